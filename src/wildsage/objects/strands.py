"""Pieces of one body, each given to several steps: every step takes all of them in order, beside the other steps.

No step waits for another: the slowest is never idle while there is something for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

Pieces = Sequence[bytes]


class _Strand:
    """One step; a thread is busy with it while there are pieces. ``told`` is called, there, when one is done."""

    def __init__(self, threads: Executor, step: Callable[[Pieces], None], told: Callable[[], None]) -> None:
        self._threads = threads
        self._step = step
        self._told = told
        self._lock = threading.Lock()
        self._waiting: deque[Pieces] = deque()
        self._busy = False
        self.done = 0
        self.error: BaseException | None = None

    def give(self, pieces: Pieces) -> None:
        with self._lock:
            self._waiting.append(pieces)
            if self._busy:
                return
            self._busy = True
        self._threads.submit(self._work)

    def stop(self) -> None:
        with self._lock:
            self._waiting.clear()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                pieces = self._waiting.popleft()
            if self.error is None:
                try:
                    self._step(pieces)
                except BaseException as error:  # whoever gives the pieces gets it
                    self.error = error
            del pieces  # nothing keeps them in memory while this waits
            self.done += 1
            self._told()


class Strands:
    """``most``: what may be under way. For one coroutine, which calls ``stop`` if anything goes wrong."""

    def __init__(self, threads: Executor, steps: Sequence[Callable[[Pieces], None]], most: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._most = most
        self._given = 0
        self._wanted = 0  # done by every step: then whoever waits goes on
        self._waiter: asyncio.Future[None] | None = None
        self._strands = [_Strand(threads, step, self._told) for step in steps]

    async def give(self, pieces: Pieces) -> None:
        """Returns once there is room for more. Raises what a step raised."""
        self._given += 1
        for strand in self._strands:
            strand.give(pieces)
        await self._reach(self._given - self._most)

    async def finish(self) -> None:
        """Returns once every step has taken everything. Raises what a step raised."""
        await self._reach(self._given)

    def stop(self) -> None:
        """What no step has begun with is forgotten."""
        for strand in self._strands:
            strand.stop()

    async def _reach(self, wanted: int) -> None:
        with self._lock:
            self._wanted = wanted
            if not self._is_reached():
                self._waiter = self._loop.create_future()
        if self._waiter is not None:
            await self._waiter
            self._waiter = None
        for strand in self._strands:
            if strand.error is not None:
                raise strand.error

    def _told(self) -> None:
        with self._lock:
            waiter = self._waiter
            if waiter is None or not self._is_reached():
                return
        self._loop.call_soon_threadsafe(_wake, waiter)

    def _is_reached(self) -> bool:
        return any(strand.error is not None for strand in self._strands) or all(
            strand.done >= self._wanted for strand in self._strands
        )


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
