"""What is taken away: containers when the server ends, everything when it is reset."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from wildsage.core import trees
from wildsage.core.settings import DataDir
from wildsage.kit.context import Platform
from wildsage.runtimes.base import Handle

log = logging.getLogger(__name__)


async def end_containers(platform: Platform) -> None:
    """Ends every container that a resource's state holds a handle of."""
    found = [handle for state in await platform.resources.states_with("runtime") for handle in handles(state)]
    ended = [platform.runtimes[handle["runtime"]].remove(handle) for handle in found]
    for outcome in await asyncio.gather(*ended, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.error("a container could not be ended", exc_info=outcome)


def handles(state: Any) -> Iterator[Handle]:
    """Every runtime handle in a resource's state, however deep."""
    if isinstance(state, dict):
        if "runtime" in state and "name" in state:
            yield state
        else:
            for value in state.values():
                yield from handles(value)
    elif isinstance(state, list):
        for value in state:
            yield from handles(value)


def empty(data: DataDir) -> None:
    """Every resource, object and log line of a server that is not running."""
    for path in (data.database, *data.root.glob(f"{data.database.name}-*")):
        path.unlink(missing_ok=True)
    for folder in (data.objects, data.instances, data.functions):
        trees.remove(folder)
        folder.mkdir(mode=0o700)
    for path in data.captured.glob("*"):  # the folder stays: routers are running
        path.unlink(missing_ok=True)
