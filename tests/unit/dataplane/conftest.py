"""The plant's fixture; these tests run on uvloop, as the router does."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from tests.unit.dataplane.plant import ACCOUNT, MASTER, ROOT, USER, Plant

from wildsage.core.invocations import InvocationLimits
from wildsage.core.routes import EVERYTHING, Invoker, Key, Routes
from wildsage.core.settings import DataDir
from wildsage.dataplane.router import Router

LIMITS = InvocationLimits(together=40 * 1024 * 1024)
IMPATIENT = replace(LIMITS, seconds=0.5, stream_seconds=2.5)
impatient = pytest.mark.parametrize("limits", [IMPATIENT], ids=["impatient"])
"""Of a test whose model is given up after a short time; all others have time enough on any machine."""


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def limits() -> InvocationLimits:
    return LIMITS


@pytest.fixture
async def plant(tmp_path: Path, limits: InvocationLimits) -> AsyncIterator[Plant]:
    data = DataDir(tmp_path)
    data.run.mkdir()
    keys = {
        "AKIAROOT": Key("root-secret", ROOT, ACCOUNT, ROOT),
        "AKIAUSER": Key("user-secret", USER, "AIDAUSER", USER),
    }
    routes = Routes(int(time.time()), ACCOUNT, MASTER.hex(), keys, {ROOT: Invoker(ACCOUNT, EVERYTHING)})
    router = Router(data, socket.create_server(("127.0.0.1", 0)), limits=limits, patience=1.0)
    await router.start()
    plant = Plant(router, data, routes)
    yield plant
    plant.client.close()
    await router.close(grace=1.0)
    for server in plant.servers:
        await server.close(0.1)
