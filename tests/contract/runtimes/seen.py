"""How a contract test sees a container from outside."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from pathlib import Path

from wildsage.runtimes.base import Handle, LaunchSpec, Runtime

MIB = 1 << 20
_PATIENCE = 30.0  # seconds after which a condition that should come true is given up
PYTHON = sys.executable

Launch = Callable[..., Awaitable[Handle]]


def of_this_machine() -> LaunchSpec:
    """A launch of the interpreter that runs the tests, for runtimes that need no image."""
    environment = {"PATH": f"{Path(PYTHON).parent}:/usr/local/bin:/usr/bin:/bin"}
    return LaunchSpec("", Path(), (PYTHON,), environment)


async def until(condition: Callable[[], bool]) -> None:
    """Returns when ``condition`` holds; fails the test if it never does."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        await asyncio.sleep(0.01)


async def text_of(runtime: Runtime, handle: Handle) -> str:
    """Everything the container wrote, once it has ended."""
    return "\n".join([line.text async for line in runtime.logs(handle, follow=True)])


async def first_line(runtime: Runtime, handle: Handle) -> str:
    """What the container writes first."""
    lines = runtime.logs(handle, follow=True)
    text = (await anext(lines)).text
    if isinstance(lines, AsyncGenerator):
        await lines.aclose()
    return text


def processes_with(marker: str) -> list[int]:
    """The live processes of this machine whose command line holds ``marker``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found


def existing(paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` that exist on the host."""
    return [path for path in paths if Path(path).exists()]
