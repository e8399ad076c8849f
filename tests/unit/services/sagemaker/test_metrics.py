"""Metrics in lines of a log, and lines that wait."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from wildsage.runtimes.base import LogLine
from wildsage.services.sagemaker.instance.attendant import Waiting
from wildsage.services.sagemaker.instance.metrics import Metric, Metrics


async def test_values_are_the_first_group_or_the_whole_match() -> None:
    metrics = Metrics([Metric("loss", "loss=([0-9.]+)"), Metric("number", "[0-9]+$"), Metric("maybe", "x(y)?")])
    first = await metrics.find(["loss=0.5 step 7", "nothing", "loss=. x"])
    second = await metrics.find(["loss=0.25"])
    await metrics.close()
    assert first.values == [(0, "loss", 0.5), (0, "number", 7.0)]
    assert second.values == [(0, "loss", 0.25), (0, "number", 25.0)]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "many"])
async def test_what_is_no_finite_number_is_no_data_point(text: str) -> None:
    metrics = Metrics([Metric("loss", "loss=(.*)")])
    found = await metrics.find([f"loss={text}"])
    await metrics.close()
    assert found.values == []


async def test_an_expression_without_end_is_given_up_and_holds_up_nobody() -> None:
    metrics = Metrics([Metric("endless", "(a+)+$"), Metric("loss", "loss=(.*)")])
    finding = asyncio.create_task(metrics.find(["loss=1", "a" * 60 + "b"]))
    turns = 0
    while not finding.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 20, "the event loop was held up"
    assert (await finding).values == [(0, "loss", 1.0)]
    assert (await finding).given_up == ["endless"]
    again = await metrics.find(["a" * 60 + "b", "loss=2"])
    await metrics.close()
    assert (list(again.values), again.given_up) == ([(1, "loss", 2.0)], [])


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


async def test_a_killed_process_is_started_again_and_none_is_left() -> None:
    before = children()
    metrics = Metrics([Metric("loss", "loss=(.*)")])
    await metrics.find(["loss=1"])
    (pid,) = set(children()) - set(before)
    os.kill(pid, signal.SIGKILL)
    assert (await metrics.find(["loss=2"])).values == [(0, "loss", 2.0)]
    await metrics.close()
    assert children() == before


async def test_long_lines_do_not_pile_up() -> None:
    waiting = Waiting()
    line = LogLine(0.0, "x" * (1 << 18), 0)

    async def write() -> None:
        for _ in range(40):
            await waiting.room()
            waiting.put(line)
        waiting.end()

    writing = asyncio.create_task(write())
    taken, ended = 0, False
    while not ended:
        lines, ended = await waiting.take()
        assert len(lines) <= 5
        taken += len(lines)
    await writing
    assert taken == 40
