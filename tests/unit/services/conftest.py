"""A control process without its door: real store, real services; calls go straight to the operations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from wildsage.core import ids
from wildsage.core.caller import Caller
from wildsage.core.clock import SystemClock
from wildsage.core.credentials import create
from wildsage.core.settings import DataDir, Settings
from wildsage.kit.context import Context, Platform
from wildsage.kit.hints import Hints
from wildsage.kit.operation import Service
from wildsage.objects.local import LocalObjects
from wildsage.services.logs.service import LOGS
from wildsage.store.codec import Document
from wildsage.store.database import Database
from wildsage.store.facts import Facts
from wildsage.store.resources import Resources

REGION = "us-east-1"


class DirectCalls:
    """Calls without authorization: that is the gateway's, and tested there."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services
        self.platform: Platform

    async def call(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> Document:
        context = Context(self.platform, caller, region, service, operation, ids.request_id())
        return await self._services[service].operations[operation].handler(context, dict(params))

    async def allowed(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> bool:
        return True


class Api:
    """Calls of the account's root, as ``await api.logs("CreateLogGroup", logGroupName="g")``."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def __getattr__(self, service: str) -> Any:
        async def call(operation: str, **params: Any) -> Document:
            root = self._platform.credentials.root
            return await self._platform.calls.call(root, REGION, service, operation, params)

        return call


@pytest.fixture
def services() -> Mapping[str, Service]:
    return {"logs": LOGS}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDir]:
    found = DataDir(tmp_path / "data")
    found.root.mkdir()
    found.instances.mkdir()
    yield found


@pytest.fixture
async def platform(data: DataDir, services: Mapping[str, Service]) -> AsyncIterator[Platform]:
    calls = DirectCalls(services)
    async with AsyncExitStack() as stack:
        database = await Database.open(data.database)
        stack.push_async_callback(database.close)
        calls.platform = Platform(
            settings=Settings(data),
            credentials=create(data.credentials, "000000000000"),
            clock=SystemClock(),
            database=database,
            resources=Resources(database),
            facts=Facts(database),
            hints=Hints(),
            calls=calls,
            runtimes={},
            objects=LocalObjects(data.objects),
        )
        yield calls.platform


@pytest.fixture
def api(platform: Platform) -> Api:
    return Api(platform)
