"""Meters on a clock that only tests move."""

from __future__ import annotations

import asyncio

import pytest

from wildsage.core.clock import ManualClock
from wildsage.kit.meters import Meters


@pytest.mark.parametrize("error", [OSError("no space"), KeyError("a bug")])
async def test_a_meter_that_fails_leaves_the_others_theirs(error: Exception) -> None:
    clock, reads = ManualClock(1_700_000_041.0), list[float]()
    meters = Meters(clock)

    async def failing() -> None:
        raise error

    async def working() -> None:
        reads.append(clock.now())

    meters.add(failing)
    meters.add(working)
    running = asyncio.create_task(meters.run())
    await asyncio.sleep(0)
    for _ in range(2):
        await clock.advance(60)
    assert reads == [1_700_000_041.0, 1_700_000_100.0, 1_700_000_160.0]
    assert not running.done()
    running.cancel()


async def test_who_reads_often_does_not_make_meters_look_as_often() -> None:
    clock, reads = ManualClock(), list[float]()
    meters = Meters(clock)

    async def read() -> None:
        reads.append(clock.now())

    meters.add(read)
    for _ in range(10):
        await meters.fresh()
        await clock.advance(0.25)
    assert len(reads) == 3
