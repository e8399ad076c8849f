"""What a container uses, as the engine tells of one that runs and as its attendant has reported of one that ended."""

from __future__ import annotations

import asyncio
from typing import Any

from wildsage.core.errors import InternalFault
from wildsage.runtimes.base import Usage
from wildsage.runtimes.containers.api import EngineError
from wildsage.runtimes.containers.attendant.used import seconds
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.state import Container
from wildsage.runtimes.sandbox.usage import files

_NANOSECONDS = 1e9


async def measure(engine: Engine, container: Container) -> Usage | None:
    """None if nothing can be told: it was lost, or the engine is gone."""
    report = container.report()
    if report is not None:
        if "cpu_seconds" not in report:
            return None
        size = await asyncio.to_thread(files, container.directory)
        span = (report["started_at"], report["ended_at"])
        return Usage(report["cpu_seconds"], report["peak_memory_bytes"], size, span)
    try:
        found, about = await asyncio.gather(
            engine.call("GET", f"/containers/{container.id}/stats?stream=0&one-shot=1"),
            engine.call("GET", f"/containers/{container.id}/json"),
        )
    except (EngineError, InternalFault):
        return None
    if not found or not about["State"]["Running"]:  # of one that is just ending the engine answers nothing
        return None
    size = await asyncio.to_thread(files, container.directory)
    used = found["cpu_stats"]["cpu_usage"]["total_usage"] / _NANOSECONDS
    return Usage(used, _memory(found["memory_stats"]), size, began=seconds(about["State"]["StartedAt"]))


def _memory(found: dict[str, Any]) -> int:
    """Files that the kernel could forget at once are nobody's memory."""
    table = found.get("stats") or {}
    given_back = table.get("total_inactive_file", table.get("inactive_file", 0))
    return max(int(found.get("usage", 0)) - int(given_back), 0)
