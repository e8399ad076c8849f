"""Delivers what waits in an outbox (``store.outbox``): at least once, across restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.store.outbox import Outbox, Waiting

log = logging.getLogger(__name__)

_AT_ONCE = 32
_IDLE_SECONDS = 30.0
_RETRY_SECONDS = (0.2, 1.0, 5.0, 20.0, 60.0)
_ATTEMPTS = 1440
"""About a day."""

Deliver = Callable[[Waiting], Awaitable[float | None]]
"""One attempt. Returns None if the letter is settled, else the seconds until the next attempt; may raise."""


class Courier:
    """Delivers the letters of ``box``; hint ``box`` (as ``topic_of``) when some were added."""

    def __init__(self, platform: Platform, box: str, deliver: Deliver) -> None:
        self._platform = platform
        self._outbox = Outbox(platform.database, box)
        self._topic = topic_of(box)
        self._deliver = deliver
        self._under_way: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled; what is under way is then tried again by the next process."""
        try:
            while True:
                try:
                    await self._round()
                except OSError as error:
                    log.warning("%s cannot go on: %s", self._topic, error)
                    await self._platform.clock.sleep(_RETRY_SECONDS[-1])
        finally:
            tasks = list(self._under_way.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._under_way.clear()  # one that was cancelled before it began has not taken itself out

    async def _round(self) -> None:
        """Begins whatever can begin, then waits until something changes."""
        # Listening starts before the look at the table, so that a hint in between is not missed.
        hint = asyncio.ensure_future(self._platform.hints.wait(self._topic))
        try:
            now = self._platform.clock.now()
            for waiting in await self._outbox.due(now, 2 * _AT_ONCE):
                if waiting.number not in self._under_way and len(self._under_way) < _AT_ONCE:
                    self._under_way[waiting.number] = asyncio.create_task(self._attempt(waiting))
            following = await self._outbox.next_due(now)
            pause = _IDLE_SECONDS if following is None else min(max(following - now, 0.0), _IDLE_SECONDS)
            alarm = asyncio.ensure_future(self._platform.clock.sleep(pause))
            await asyncio.wait({hint, alarm}, return_when=asyncio.FIRST_COMPLETED)
            alarm.cancel()
        finally:
            hint.cancel()

    async def _attempt(self, waiting: Waiting) -> None:
        try:
            await self._settle(waiting, await self._outcome(waiting))
        except OSError as error:
            log.warning("what became of letter %s of %s cannot be kept: %s", waiting.number, self._topic, error)
            await self._platform.clock.sleep(_RETRY_SECONDS[-1])
        finally:
            del self._under_way[waiting.number]
            self._platform.hints.notify(self._topic)

    async def _outcome(self, waiting: Waiting) -> float | None:
        try:
            return await self._deliver(waiting)
        except (ApiError, OSError, TimeoutError) as error:
            log.warning("letter %s of %s: %s", waiting.number, self._topic, error)
        except Exception:
            log.exception("letter %s of %s failed", waiting.number, self._topic)
        if waiting.attempts >= _ATTEMPTS:
            log.error("letter %s of %s is given up after %s attempts", waiting.number, self._topic, waiting.attempts)
            return None
        return _RETRY_SECONDS[min(waiting.attempts, len(_RETRY_SECONDS) - 1)]

    async def _settle(self, waiting: Waiting, after: float | None) -> None:
        if after is None:
            await self._outbox.done(waiting.number)
        else:
            due = self._platform.clock.now() + after
            await self._outbox.postpone(waiting.number, waiting.attempts + 1, due)


def topic_of(box: str) -> str:
    """The hint that letters were added to ``box``."""
    return f"outbox {box}"
