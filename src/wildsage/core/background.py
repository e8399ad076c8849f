"""Work in the background, which somebody must hold on to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """The tasks of one owner. The event loop knows its tasks weakly: one that nobody holds may vanish amid its work."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The task; whoever wants to know no more of it may forget it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cancels what is under way, and does not wait for its end."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancels what is under way; returns once it has ended."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
