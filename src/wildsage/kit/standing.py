"""What runs for as long as the process does. A bug that ends one such job ends neither the others nor the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from wildsage.core.clock import Clock

log = logging.getLogger(__name__)

PAUSES = (1.0, 5.0, 30.0, 60.0)
"""Seconds until a job begins again, by how often it has ended in a row; the last for every time after that."""
_STEADY_SECONDS = 120.0
"""Whoever ran as long begins again as at first."""

Begin = Callable[[], Coroutine[Any, Any, None]]
"""Begins a job that ends only when it is cancelled; again after it has ended for whatever reason."""


async def standing(name: str, begin: Begin, clock: Clock) -> None:
    """Runs a job until cancelled: one that ends by itself is told in the log, and begins again after a pause.

    What a job cannot do for a reason that is foreseen (a full disk, a service that does not answer) it tries again
    by itself. This is for what nobody foresaw: whether that concerns one row or everything, whoever calls the other
    parts of the process must not be told that nobody answers.
    """
    ended = 0
    while True:
        began = clock.monotonic()
        fault = await _ended(name, asyncio.create_task(begin(), name=name))
        if clock.monotonic() - began > _STEADY_SECONDS:
            ended = 0
        pause = PAUSES[min(ended, len(PAUSES) - 1)]
        ended += 1
        log.error("%s ended, which is a bug; it begins again in %g s", name, pause, exc_info=fault)
        await clock.sleep(pause)


async def _ended(name: str, job: asyncio.Task[None]) -> BaseException | None:
    """What ended a job; raises CancelledError if somebody wants it to end, once it has, whatever it makes of that.

    A task of its own tells the two apart: a TaskGroup that fails leaves its own task marked as cancelled.
    """
    try:
        await asyncio.wait([job])
    except asyncio.CancelledError:
        job.cancel()
        await asyncio.wait([job])
        if (fault := _fault(job)) is not None and not job.cancelled():
            log.error("%s did not end in order, which is a bug", name, exc_info=fault)
        raise
    return _fault(job)


def _fault(job: asyncio.Task[None]) -> BaseException | None:
    """None if it just ended. CancelledError: of something that the job waited for."""
    try:
        job.result()
    except (asyncio.CancelledError, Exception) as error:
        return error
    return None
