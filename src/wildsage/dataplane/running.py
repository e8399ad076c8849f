"""What the router and the objects process have in common as processes."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal

_DESCRIPTORS = 1 << 16


def raise_descriptors() -> None:
    """More open files than the 1,024 that shells give: a client is one, and its request at an instance another."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _DESCRIPTORS)), hard))


def told_to_stop(lifeline: int | None) -> asyncio.Event:
    """Set by SIGTERM, SIGINT, and when the other end of the pipe ``lifeline`` is gone with the supervisor."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    return stop


def settle() -> None:
    """Once everything is imported and made: the collector has little to do from here on."""
    gc.collect()
    gc.freeze()  # what was imported lives for ever: collections need not look at it
    gc.set_threshold(50_000, 20, 100)  # requests leave no cycles behind
