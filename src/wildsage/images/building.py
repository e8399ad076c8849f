"""Builds an environment with venv and pip: once for all who want it, in whichever processes they are."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from wildsage.core import trees
from wildsage.core.errors import InternalFault
from wildsage.images.recipes import Recipe

Progress = Callable[[str], Awaitable[None]]
"""Is given the lines that pip prints while an environment is built."""

_LINES_KEPT = 15
_LOOK_SECONDS = 0.2


async def build(recipe: Recipe, place: Path, report: Progress, slim_index: str = "") -> None:
    """An environment for ``recipe`` is at ``place``; it was already, perhaps, once another process let us look.

    ``slim_index``: asked for ``recipe.slim`` alone, since pip asks every index for every package, and takes its time
    where one cannot be reached.

    Built under a temporary name and renamed: what stands at the place is complete, and what a killed build has left
    behind is taken away by the next. Raises InternalFault with the end of pip's words and what to do.
    """
    await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
    async with _alone(place, report):
        if await asyncio.to_thread((place / "bin" / "python").exists):
            return
        for left in await asyncio.to_thread(_unfinished, place):
            await asyncio.to_thread(trees.remove, left)
        building = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
        await report(f"[wildsage] Preparing {recipe.title} once, in {place}: {' '.join(recipe.builds)}")
        try:
            await _run(recipe, report, sys.executable, "-m", "venv", "--symlinks", str(building))
            pip = (str(building / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input")
            install = (*pip, "install", "--progress-bar", "off")
            if recipe.slim and slim_index:
                await _run(recipe, report, *install, "--no-deps", "--extra-index-url", slim_index, recipe.slim)
            await _run(recipe, report, *install, *recipe.builds)
            await asyncio.to_thread(settle, building, place)
        except BaseException:
            await asyncio.to_thread(trees.remove, building)
            raise
    await report(f"[wildsage] {recipe.title} is ready.")


@asynccontextmanager
async def _alone(place: Path, report: Progress) -> AsyncIterator[None]:
    """Among all processes of this machine; the lock of one that is killed goes with it."""
    lock = os.open(place.with_name(f".{place.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    told = False
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    await report(f"[wildsage] Waiting for another process that prepares {place}.")
                    told = True
                await asyncio.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(lock)


def _unfinished(place: Path) -> list[Path]:
    return [each for each in place.parent.glob(f".{place.name}.*") if each.is_dir()]


def settle(building: Path, place: Path) -> None:
    """Scripts name their interpreter by its path, so they are told the final one before the rename."""
    old, new = str(building).encode(), str(place).encode()
    for script in (*(building / "bin").iterdir(), building / "pyvenv.cfg"):
        if script.is_file() and not script.is_symlink():
            content = script.read_bytes()
            if old in content:
                script.write_bytes(content.replace(old, new))
    building.rename(place)


async def _run(recipe: Recipe, report: Progress, *command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    last: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            last.append(line)
            await report(line)
        status = await process.wait()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if status:
        raise InternalFault(
            f"InternalServerError: {recipe.title} could not be prepared (pip ended with status {status}). Without "
            f"internet access, install {' '.join(recipe.builds)} into any Python environment and set "
            f"WILDSAGE_PYTHON_{recipe.framework.upper()} to its interpreter, or point pip at a mirror (PIP_INDEX_URL, "
            "PIP_FIND_LINKS) and start wildsage again. The last lines were:\n" + "\n".join(last)
        )
