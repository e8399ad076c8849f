"""Starts take turns: as many at a time as there are processors, in the order in which they were asked for.

More at a time would be no faster, and would make everything else on the machine slow.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

LONGEST = 1.0
"""Seconds after which the next one has its turn in any case: what a function does at its start is its own time."""


class Turn:
    """Of one start. ``over``: set when it has come to its end; without one, that is when the turn is left."""

    def __init__(self) -> None:
        self.over: asyncio.Event | None = None


class Turns:
    """``at_once``: how many there are at a time; 0 for as many as there are processors."""

    def __init__(self, at_once: int = 0, longest: float = LONGEST) -> None:
        self._free = asyncio.Semaphore(at_once or len(os.sched_getaffinity(0)))
        self._longest = longest
        self._going: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def mine(self) -> AsyncIterator[Turn]:
        """Waits for one. It goes on after it was left, until ``over``."""
        await self._free.acquire()
        turn = Turn()
        try:
            yield turn
        finally:
            task = asyncio.create_task(self._pass_on(turn.over))
            self._going.add(task)
            task.add_done_callback(self._going.discard)

    async def _pass_on(self, over: asyncio.Event | None) -> None:
        if over is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._longest):
                    await over.wait()
        self._free.release()
