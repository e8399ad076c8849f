"""Requests that wait are joined, run together, and their answers split again.

What may be joined: requests of one model whose inputs have the same shapes but for the batch, up to ``max_batch_size``
rows. Each instance is a thread that takes what there is; with ``max_queue_delay_microseconds`` it waits so long for
more, unless the rows at hand are a preferred number (core, ``dynamic_batch_scheduler.cc``).
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Union

from .config import Config
from .statistics import Statistics
from .tensors import Array

_np: Any = importlib.import_module("numpy")

# What a request came to: its arrays by the names of outputs, or what ONNX Runtime said.
Outcome = Union[dict[str, Array], Exception]  # noqa: UP007 - Python 3.9


class Job:
    """A request that is to be run. ``rows``: of its batch. ``outputs``: the names it wants. ``asker``: whose it is."""

    __slots__ = ("_likes", "asker", "feeds", "outputs", "rows", "since")

    def __init__(self, feeds: dict[str, Array], rows: int, outputs: list[str], asker: Any = None) -> None:
        self.feeds = feeds
        self.rows = rows
        self.outputs = outputs
        self.asker = asker
        self.since = 0.0
        self._likes: Any = None

    @property
    def likes(self) -> Any:
        """Equal for jobs that can be joined."""
        if self._likes is None:
            self._likes = [(name, array.shape[1:]) for name, array in sorted(self.feeds.items())]
        return self._likes


# Run(names, feeds): the outputs of these names, by any number of threads at once.
Run = Callable[[list[str], dict[str, Array]], list[Array]]
# Is called in the thread of an instance after each execution.
Finished = Callable[[list[tuple[Job, Outcome]]], None]


class Scheduler:
    """The queue of one version of a model, and its instances."""

    def __init__(self, config: Config, run: Run, finished: Finished) -> None:
        self.statistics = Statistics()
        self._names = [each.name for each in config.outputs]
        self._model = run
        self._finished = finished
        self._batching = config.batching if config.max_batch_size else None
        self._most = config.max_batch_size or 0
        self._preferred = frozenset(self._batching.preferred) if self._batching else frozenset()
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{config.name}-{number}", daemon=True)
            for number in range(config.instances)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, jobs: Iterable[Job]) -> None:
        """All at once, so that they find each other."""
        now = time.monotonic()
        with self._changed:
            closed, count = self._closed, 0
            for job in jobs if not closed else ():
                job.since = now
                self._queue.append(job)
                count += 1
            self._changed.notify(count)
        if closed:
            self._finished([(job, RuntimeError("the model was unloaded")) for job in jobs])

    def close(self) -> None:
        """Returns when all that was submitted is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            jobs = self._take()
            if not jobs:
                return
            self._finished(self._run(jobs))

    def _take(self) -> list[Job]:
        """The next jobs to be run together; empty once it is closed and none is left."""
        with self._changed:
            while True:
                if self._queue:
                    count, wait = self._ripe()
                    if wait <= 0 or self._closed:
                        jobs = [self._queue.popleft() for _ in range(count)]
                        if self._queue:
                            self._changed.notify()
                        return jobs
                    self._changed.wait(wait)
                elif self._closed:
                    return []
                else:
                    self._changed.wait()

    def _ripe(self) -> tuple[int, float]:
        """How many of the first jobs go together, and for how many seconds more to wait for others."""
        first = self._queue[0]
        if self._batching is None:
            return 1, 0.0
        count = rows = best = 0
        whole = False
        for job in self._queue:
            if rows + job.rows > self._most or (count and job.likes != first.likes):
                whole = True
                break
            rows += job.rows
            count += 1
            if rows in self._preferred:
                best = count
            if rows == self._most:
                whole = True
                break
        if best:
            return best, 0.0
        return count, 0.0 if whole else first.since + self._batching.delay - time.monotonic()

    def _run(self, jobs: list[Job]) -> list[tuple[Job, Outcome]]:
        began = time.perf_counter_ns()
        queued = time.monotonic()
        outcomes: list[Outcome]
        try:
            outcomes, took = self._together(jobs, began)
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            if len(jobs) > 1:
                # One of them may be to blame: the others are not to suffer for it.
                return [self._run([job])[0] for job in jobs]
            outcomes, took = [error], None
        ended = time.perf_counter_ns()
        statistics = self.statistics
        with self._changed:
            for job, outcome in zip(jobs, outcomes):  # noqa: B905 - Python 3.9
                waited = int((queued - job.since) * 1e9)
                failed = isinstance(outcome, Exception)
                (statistics.fail if failed else statistics.success).add(1, waited + ended - began)
                if not failed:
                    statistics.queue.add(1, waited)
            if took is not None:
                statistics.ran(sum(job.rows for job in jobs), len(jobs), took)
        return list(zip(jobs, outcomes))  # noqa: B905 - Python 3.9

    def _together(self, jobs: list[Job], began: int) -> tuple[list[Outcome], tuple[int, int, int]]:
        first = jobs[0]
        if len(jobs) == 1:
            # Tensors lie in the request's body wherever its JSON ended; ONNX Runtime computes where they lie.
            names = first.outputs
            feeds = {name: each if each.flags.aligned else each.copy() for name, each in first.feeds.items()}
        else:
            wanted = {name for job in jobs for name in job.outputs}
            names = [name for name in self._names if name in wanted]
            feeds = {name: _np.concatenate([job.feeds[name] for job in jobs]) for name in first.feeds}
        joined = time.perf_counter_ns()
        found = self._model(names, feeds)
        ran = time.perf_counter_ns()
        outcomes: list[Outcome] = []
        if len(jobs) == 1:
            outcomes.append(dict(zip(names, found)))  # noqa: B905 - Python 3.9
        else:
            rows = sum(job.rows for job in jobs)
            if any(len(array) != rows for array in found):
                raise ValueError("the model's answer has not a row for each row that it was given")
            at = 0
            for job in jobs:
                part = [array[at : at + job.rows] for array in found]
                outcomes.append(dict(zip(names, part)))  # noqa: B905 - Python 3.9
                at += job.rows
        return outcomes, (joined - began, ran - joined, time.perf_counter_ns() - ran)
