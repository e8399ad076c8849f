"""What an earlier control process has left: workers that nobody gives events to any more, and code of nobody's.

A worker belongs to the control process that launched it, for the Runtime API that it asks is gone with that one. So
workers are never adopted: the next control process takes them away before it launches its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wildsage.core import trees
from wildsage.core.errors import WildsageError
from wildsage.core.settings import DataDir
from wildsage.kit.context import Platform
from wildsage.runtimes.base import Handle, LaunchSpec
from wildsage.services.lambda_.names import KIND

log = logging.getLogger(__name__)

PREFIX = "lambda-"
_RECORD = "worker.json"


def record(directory: Path, image: str, handle: Handle | None = None) -> None:
    """Written before a worker is launched, and again with its handle: whoever comes after a crash finds it."""
    fresh = directory / f".{_RECORD}"
    fresh.write_text(json.dumps({"image": image, "handle": None if handle is None else dict(handle)}))
    fresh.rename(directory / _RECORD)


async def sweep(platform: Platform, began: float) -> None:
    """Takes away what is older than this process, which ``began`` then."""
    data = platform.settings.data
    for directory in await asyncio.to_thread(_workers, data, began):
        try:
            await _end(platform, directory)
        except (OSError, WildsageError) as error:
            log.warning("a worker that was left in %s could not be ended: %s", directory, error)
        await asyncio.to_thread(trees.remove, directory)
    known = {each.uid: str(each.state["sha256"]) for each in await platform.resources.all_of(KIND)}
    await asyncio.to_thread(_clear, data, known, began)


def _workers(data: DataDir, began: float) -> list[Path]:
    return [each for each in data.instances.glob(f"{PREFIX}*") if each.stat().st_mtime < began]


async def _end(platform: Platform, directory: Path) -> None:
    try:
        found: dict[str, Any] = json.loads(await asyncio.to_thread((directory / _RECORD).read_text))
    except (FileNotFoundError, ValueError):
        return  # nothing was launched yet; what runs in a folder that is gone ends by itself
    handle = found["handle"]
    if handle is None and found["image"]:
        return  # what nobody has a handle of is swept in the engine itself, at the start of the server
    if handle is None:
        # Launched or not: the same folder gives the container that is there, or this one.
        spec = LaunchSpec(directory.name, directory, ("/bin/true",), {})
        handle = await platform.runtimes["sandbox"].launch(spec)
    await platform.runtimes[handle["runtime"]].remove(handle)


def _clear(data: DataDir, known: Mapping[str, str], began: float) -> None:
    with suppress(FileNotFoundError):
        for home in data.functions.iterdir():
            if home.stat().st_mtime >= began:
                continue
            for each in [home] if home.name not in known else home.iterdir():
                if home.name not in known or each.name != known[home.name]:
                    trees.remove(each)
