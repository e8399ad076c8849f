"""Changes that one job puts in force elsewhere, and for which their callers wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Settling:
    """Whether every change so far is in force."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._ended = False

    def change(self) -> None:
        """There is something to put in force."""
        self._changed.set()
        if not self._ended:
            self._settled.clear()

    async def run(self, put: Callable[[], Awaitable[None]]) -> None:
        """Has ``put`` put in force what has changed whenever something has, until cancelled.

        OSErrors are told in the log. What is not in force for another reason is put in force when this runs again.
        """
        self._ended = False
        if self._changed.is_set():
            self._settled.clear()
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                try:
                    await put()
                except OSError:
                    log.exception("the routing snapshot could not be written")
                except BaseException:
                    self._changed.set()
                    raise
                if not self._changed.is_set():
                    self._settled.set()
        finally:
            self._ended = True  # nobody need wait for what is not told before this runs again
            self._settled.set()

    async def settled(self) -> None:
        """Returns once every change so far is in force, while ``run`` runs."""
        await self._settled.wait()
