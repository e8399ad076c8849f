"""Turns that do not last: what takes too long goes on, and the next begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wildsage.core.clock import Clock


class Turns:
    """So many at a time, of those that have had theirs for less than ``seconds``."""

    def __init__(self, most: int, seconds: float, clock: Clock) -> None:
        self._free = asyncio.Semaphore(most)
        self._seconds = seconds
        self._clock = clock

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        await self._free.acquire()
        turn = asyncio.create_task(self._clock.sleep(self._seconds))
        turn.add_done_callback(lambda _: self._free.release())
        try:
            yield
        finally:
            turn.cancel()
