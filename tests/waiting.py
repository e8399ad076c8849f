"""Tests wait for what shall become true, never for time to pass; how long is for a busy machine to say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

_SECONDS = 120.0


def wait_until(condition: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """The first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)  # more often would take the processor from what is waited for
    return found


async def until(condition: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """As ``wait_until``, for what happens on this event loop."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)
    return found
