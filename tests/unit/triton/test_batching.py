"""Dynamic batching, with a function of numpy's in the model's place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from wildsage.toolkit.serving.triton.batching import Job, Outcome, Scheduler
from wildsage.toolkit.serving.triton.config import read


class Model:
    """``Y = 2 X``; refuses negative numbers. ``gate`` holds it back; ``sizes``: the rows of each execution."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.sizes: list[int] = []

    def run(self, names: list[str], feeds: dict[str, Any]) -> list[Any]:
        self.entered.release()
        assert self.gate.wait(60)
        self.sizes.append(len(feeds["X"]))
        assert feeds["X"].flags.aligned
        if (feeds["X"] < 0).any():
            raise ValueError("a negative number")
        return [feeds["X"] * 2]


class Finished:
    def __init__(self) -> None:
        self.outcomes: dict[Job, Outcome] = {}
        self._changed = threading.Condition()

    def __call__(self, found: list[tuple[Job, Outcome]]) -> None:
        with self._changed:
            self.outcomes.update(found)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.outcomes) >= count, 60)


@contextmanager
def scheduled(batching: str, instances: int = 1) -> Iterator[tuple[Scheduler, Model, Finished]]:
    text = f"""
        max_batch_size: 8
        instance_group {{ count: {instances} }}
        input {{ name: "X" data_type: TYPE_FP32 dims: -1 }} output {{ name: "Y" data_type: TYPE_FP32 dims: -1 }}
        {batching}
    """
    model, finished = Model(), Finished()
    scheduler = Scheduler(read(text, "config.pbtxt", "double"), model.run, finished)
    try:
        yield scheduler, model, finished
    finally:
        model.gate.set()
        scheduler.close()


def jobs(*values: float, width: int = 2) -> list[Job]:
    return [Job({"X": np.full((1, width), value, "f4")}, 1, ["Y"]) for value in values]


def answered(finished: Finished, job: Job) -> Any:
    outcome = finished.outcomes[job]
    assert isinstance(outcome, dict), outcome
    return outcome["Y"].tolist()


def test_what_waits_is_joined_and_split_again() -> None:
    with scheduled("dynamic_batching { }") as (scheduler, model, finished):
        many = jobs(*range(11))
        scheduler.submit(many)
        finished.wait(11)
        assert [answered(finished, job) for job in many] == [[[2.0 * n, 2.0 * n]] for n in range(11)]
        assert model.sizes == [8, 3]
        shown = scheduler.statistics.shown("double", "1")
        assert (shown["inference_count"], shown["execution_count"]) == (11, 2)
        assert [each["batch_size"] for each in shown["batch_stats"]] == [3, 8]
        assert shown["inference_stats"]["success"]["count"] == 11


def test_without_dynamic_batching_each_runs_alone() -> None:
    with scheduled("") as (scheduler, model, finished):
        scheduler.submit([*jobs(1, 2), Job({"X": np.zeros((3, 2), "f4")}, 3, ["Y"])])
        finished.wait(3)
        assert model.sizes == [1, 1, 3]


def test_tensors_are_where_a_cpu_wants_them() -> None:
    with scheduled("dynamic_batching { }") as (scheduler, _, finished):
        array = np.frombuffer(bytes(9), "u1")[1:].view("<f4").reshape(1, 2)
        assert not array.flags.aligned
        job = Job({"X": array}, 1, ["Y"])
        scheduler.submit([job])
        finished.wait(1)
        assert answered(finished, job) == [[0, 0]]


def test_a_request_is_never_divided() -> None:
    with scheduled("dynamic_batching { }") as (scheduler, model, finished):
        scheduler.submit([Job({"X": np.zeros((rows, 2), "f4")}, rows, ["Y"]) for rows in (5, 3, 4, 5)])
        finished.wait(4)
        assert model.sizes == [8, 4, 5]


def test_other_shapes_run_apart() -> None:
    with scheduled("dynamic_batching { }") as (scheduler, model, finished):
        scheduler.submit([*jobs(1, 2), *jobs(3, width=5), *jobs(4)])
        finished.wait(4)
        assert model.sizes == [2, 1, 1]


def test_a_bad_request_fails_alone() -> None:
    with scheduled("dynamic_batching { }") as (scheduler, model, finished):
        first, bad, last = jobs(1, -1, 3)
        scheduler.submit([first, bad, last])
        finished.wait(3)
        assert model.sizes == [3, 1, 1, 1]
        assert answered(finished, first) == [[2.0, 2.0]]
        assert answered(finished, last) == [[6.0, 6.0]]
        assert str(finished.outcomes[bad]) == "a negative number"
        assert scheduler.statistics.fail.count == 1


def test_preferred_sizes_are_run_at_once() -> None:
    delay = "max_queue_delay_microseconds: 60000000"
    with scheduled(f"dynamic_batching {{ preferred_batch_size: [ 2, 4 ] {delay} }}") as (scheduler, model, finished):
        scheduler.submit(jobs(*range(5)))
        finished.wait(4)
        assert model.sizes == [4]  # the fifth waits for another
        scheduler.submit(jobs(6))
        finished.wait(6)
        assert model.sizes == [4, 2]


def test_the_delay() -> None:
    with scheduled("dynamic_batching { max_queue_delay_microseconds: 200000 }") as (scheduler, model, finished):
        began = time.monotonic()
        scheduler.submit(jobs(1))
        scheduler.submit(jobs(2))
        finished.wait(2)
        assert time.monotonic() - began >= 0.2
        assert sum(model.sizes) == 2


def test_instances_run_side_by_side() -> None:
    with scheduled("", instances=3) as (scheduler, model, finished):
        model.gate.clear()
        scheduler.submit(jobs(1, 2, 3, 4))
        for _ in range(3):
            assert model.entered.acquire(timeout=60)
        assert not model.entered.acquire(timeout=0.05)
        model.gate.set()
        finished.wait(4)


def test_closed_it_finishes_what_it_has() -> None:
    with scheduled("dynamic_batching { max_queue_delay_microseconds: 60000000 }") as (scheduler, _, finished):
        scheduler.submit(jobs(1, 2))
        scheduler.close()
        finished.wait(2)
        (late,) = jobs(3)
        scheduler.submit([late])
        assert str(finished.outcomes[late]) == "the model was unloaded"
