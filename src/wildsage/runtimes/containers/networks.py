"""Networks of an engine that several containers share."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from wildsage.core.errors import InternalFault
from wildsage.runtimes.base import Handle, Inspection, NetworkSpec, Phase
from wildsage.runtimes.containers import plan, state
from wildsage.runtimes.containers.api import Api, EngineError, EngineGone
from wildsage.runtimes.containers.attendant import making
from wildsage.runtimes.containers.attendant.making import quoted
from wildsage.runtimes.containers.engine import Engine, gone
from wildsage.runtimes.sandbox.keeper import launcher


def is_network(handle: Handle) -> bool:
    """Whether the handle is of a network, not of a container."""
    return "engine_name" in handle


async def connect(engine: Engine, spec: NetworkSpec) -> Handle:
    """Makes it, or finds the one that the directory has already. Raises InternalFault."""
    try:
        return await asyncio.to_thread(_connect, engine.api, spec)
    except EngineGone as error:
        raise gone(error) from error
    except EngineError as error:
        raise InternalFault(f"InternalServerError: No network for the instances: {error.words}") from error


def _connect(api: Api, spec: NetworkSpec) -> Handle:
    lock = launcher.lock(spec.directory)
    try:
        place = spec.directory / launcher.STATE
        if place.exists():
            known: dict[str, Any] = json.loads(place.read_text())
            return known
        places = tuple((subnet, subnet) for subnet in plan.subnets(spec.directory, len(spec.hosts)))
        made, subnet = making.make_network(api, plan.network_of_hosts(spec), places)
        handle = {
            "runtime": state.NAME,
            "name": spec.name,
            "directory": str(spec.directory),
            "network": made,
            "engine_name": plan.name_of(spec.directory),
            "addresses": {host: plan.address(subnet, index) for index, host in enumerate(spec.hosts)},
            "loopback": list(spec.loopback) if spec.outside else [],
            "outside": spec.outside,
        }
        new = place.with_suffix(".new")
        new.write_text(json.dumps(handle))
        new.rename(place)
        return handle
    finally:
        os.close(lock)


async def inspect(engine: Engine, handle: Handle) -> Inspection:
    """RUNNING until it is removed."""
    try:
        await engine.call("GET", f"/networks/{handle['network']}")
    except EngineError:
        return Inspection(Phase.LOST, reason="the engine does not know the network any more")
    return Inspection(Phase.RUNNING)


async def wait(engine: Engine, handle: Handle) -> Inspection:
    """Returns when it is gone."""
    filters = json.dumps({"type": ["network"], "event": ["destroy", "remove"]})
    try:
        events = await asyncio.to_thread(engine.api.open, "GET", f"/events?filters={quoted(filters)}")
    except EngineGone as error:
        raise gone(error) from error
    try:
        pieces = events.pieces()
        while (found := await inspect(engine, handle)).phase is Phase.RUNNING:
            await asyncio.to_thread(next, pieces, b"")
        return found
    except EngineGone as error:
        raise gone(error) from error
    finally:
        await asyncio.to_thread(events.close)


async def remove(engine: Engine, handle: Handle) -> None:
    """Also where the engine is gone: then it is swept when Wildsage starts next."""
    try:
        await asyncio.to_thread(making.remove_network, engine.api, handle["network"])
    except EngineGone:
        pass
    except EngineError as error:
        raise InternalFault(f"InternalServerError: A network cannot be removed: {error.words}") from error
    (Path(handle["directory"]) / launcher.STATE).unlink(missing_ok=True)
