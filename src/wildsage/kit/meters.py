"""Meters: what has to be looked at before a reader of metrics gets the latest.

Some numbers exist whether or not anybody looks (counters of routers, processor time of containers). A meter turns them
into metrics: at every full minute, and when somebody reads, so that nobody waits for the minute to be over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from wildsage.core.clock import Clock

log = logging.getLogger(__name__)

MINUTE = 60.0
_AT_MOST_EVERY = 1.0

Read = Callable[[], Awaitable[None]]


class Meters:
    """The meters of one control process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reads: list[Read] = []
        self._turn = asyncio.Lock()
        self._read_at = float("-inf")

    def add(self, read: Read) -> None:
        """``read`` publishes what happened since it was last called."""
        self._reads.append(read)

    async def fresh(self) -> None:
        """Returns once what the meters saw until a second ago can be read. Errors are logged: older data is left."""
        async with self._turn:
            now = self._clock.monotonic()
            if now - self._read_at < _AT_MOST_EVERY:
                return
            for read in self._reads:
                try:
                    await read()
                except OSError as error:
                    log.warning("metrics could not be gathered: %s", error)
                except Exception:  # a bug of one meter must not end all others, and control with them
                    log.exception("metrics could not be gathered")
            self._read_at = now

    async def run(self) -> None:
        """Reads now and at every full minute, until cancelled."""
        await self.fresh()
        while True:
            now = self._clock.now()
            await self._clock.sleep(MINUTE - now % MINUTE)
            await self.fresh()
