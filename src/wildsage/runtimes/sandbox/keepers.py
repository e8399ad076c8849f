"""Control's end of the processes that stay with what they made (see ``keeper.launcher``)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Coroutine, Sequence
from typing import Any

from wildsage.core.clock import Clock


async def ordered(launcher: Sequence[str], order: bytes) -> tuple[str, bytes]:
    """Gives the order to a launcher; its answer, and what went to its standard error."""
    answer, errors = await asyncio.to_thread(_given, launcher, order)
    return answer.decode("utf-8", "replace"), errors


def _given(launcher: Sequence[str], order: bytes) -> tuple[bytes, bytes]:
    """In a thread: a fork of the event loop's own making copies the page tables of all of this process."""
    with subprocess.Popen(launcher, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        return process.communicate(order)


def last_words(errors: bytes) -> str:
    """The last line that went to standard error; empty without any."""
    return errors.decode("utf-8", "replace").strip().rpartition("\n")[2]


async def end_of(descriptor: int) -> None:
    """Returns when the process of the descriptor has ended. Closes it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def comes_within(end: Coroutine[Any, Any, object], seconds: float, clock: Clock) -> bool:
    """Whether ``end`` returns by then. It is not waited for any longer."""
    ending = asyncio.ensure_future(end)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({ending, timer}, return_when=asyncio.FIRST_COMPLETED)
        return ending.done()
    finally:
        ending.cancel()
        timer.cancel()
