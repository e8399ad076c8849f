"""What runs containers on this machine."""

from __future__ import annotations

import asyncio
import logging
import os

from wildsage.core.settings import Settings
from wildsage.kit.context import Platform
from wildsage.runtimes.base import Runtime
from wildsage.runtimes.composite import Composite
from wildsage.runtimes.containers.api import EngineError, EngineGone
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.runtime import Containers
from wildsage.runtimes.sandbox.runtime import Sandbox

log = logging.getLogger(__name__)


def runtimes(settings: Settings) -> dict[str, Runtime]:
    """Every runtime by name. An engine need not be there yet, nor ever: what has no image does without."""
    found: tuple[Runtime, ...] = (
        Sandbox(hidden=[settings.data.root], metadata=settings.metadata),
        Containers(Engine(os.environ), metadata=settings.metadata, aside=settings.data.aside),
    )
    return {each.name: each for each in found}


def together(platform: Platform) -> Runtime:
    """All of them as one."""
    return Composite(platform.runtimes, native=Sandbox.name, engine=Containers.name)


async def sweep(platform: Platform) -> None:
    """Takes away what a crash left in the engine, if there is one; then goes on for ever, as what runs beside does."""
    engine = platform.runtimes[Containers.name]
    if isinstance(engine, Containers) and engine.engine.found:
        try:
            await engine.sweep(platform.settings.data.instances)
        except EngineGone:
            log.info("no container engine answers")
        except EngineError as error:
            log.warning("the container engine could not be swept: %s", error)
    await asyncio.Event().wait()
