"""Long blocking work off the event loop, in a way that a cancelled step never leaves behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Stopped = Callable[[], bool]


class Interrupted(Exception):
    """The step this work belongs to was cancelled; raised by the work itself between two chunks."""


def check(stopped: Stopped) -> None:
    """Raises Interrupted once the work is no longer wanted."""
    if stopped():
        raise Interrupted


async def in_thread(work: Callable[[Stopped], T]) -> T:
    """Runs ``work(stopped)``; if the caller is cancelled, returns only after the thread has ended.

    So whoever comes next (a step that removes the folder, say) finds nobody writing there.
    """
    stop = threading.Event()
    future = asyncio.get_running_loop().run_in_executor(None, work, stop.is_set)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({future})
        # Whatever the thread ended with no longer matters to anyone.
        if not future.cancelled():
            future.exception()
        raise
