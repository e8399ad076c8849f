"""Work on large bodies, aside from the event loop.

What takes Python tens of milliseconds would hold everybody else for as long; in a thread it gives way every 5 ms (the
interpreter's switch interval). There is one such thread: large bodies wait for each other and not all for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_LARGE = 64 * 1024  # bytes; less takes less than a thread's turn and its way back
_THREAD = ThreadPoolExecutor(1, "large-bodies")
Answer = TypeVar("Answer")


async def aside(size: int, work: Callable[..., Answer], *given: object) -> Answer:
    """``work(*given)``; in the thread if it is about more than a few ``size`` bytes."""
    if size <= _LARGE:
        return work(*given)
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work, *given)
