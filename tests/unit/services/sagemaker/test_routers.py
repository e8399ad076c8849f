"""Several routers are asked as one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from wildsage.core.instances import DOUBT, LEFT
from wildsage.core.settings import DataDir
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import Server, start_server


class Plant:
    """Routers that say what they are told to, or nothing."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._servers: list[Server] = []
        self._client = Client()
        self.doubts: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.routers = Routers(data, self._client, patience=60.0)
        self.impatient = Routers(data, self._client, patience=1.0)

    async def add(self, underway: Mapping[str, int], routed: Sequence[str] = (), hangs: bool = False) -> None:

        async def answer(request: Request) -> Response:
            if hangs:
                await self.go_on.wait()
            if request.path == DOUBT:
                address = json.loads(await request.body.read(1 << 20))["address"]
                self.doubts.append(address)
                return Response(200, [], json.dumps({"underway": underway.get(address, 0)}).encode())
            if request.path == LEFT:
                asked = json.loads(await request.body.read(1 << 20))["addresses"]
                left = {*underway, *routed}.isdisjoint(asked)
                return Response(200, [], json.dumps({"left": left}).encode())
            return Response(200, [], json.dumps({"underway": underway}).encode())

        self._servers.append(await start_server(answer, path=self._data.router_socket(len(self._servers))))

    async def close(self) -> None:
        self._client.close()
        for server in self._servers:
            await server.close(0.1)


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    data = DataDir(tmp_path)
    data.run.mkdir()
    data.router_socket(9).touch()  # left by a router that was killed
    plant = Plant(data)
    yield plant
    await plant.close()


async def test_an_instance_is_done_with_when_all_that_run_say_so(plant: Plant) -> None:
    await plant.add({f"unix:/{number}": 1 for number in range(20_000)})
    await plant.add({"unix:/other": 2}, ["unix:/routed"])
    told = await plant.routers.told()  # far more than arrives at once
    assert [len(each["underway"]) for each in told.answers] == [20_000, 1]
    found = [await plant.routers.done_with([f"unix:/{name}"]) for name in ("7", "other", "routed", "no")]
    assert found == [False, False, False, True]


async def test_a_router_that_hangs_may_have_requests_at_any_instance(plant: Plant) -> None:
    await plant.add({})
    await plant.add({}, hangs=True)
    plant.go_on.clear()
    assert not await plant.impatient.done_with(["unix:/7"])
    assert not (await plant.impatient.told()).whole
    plant.go_on.set()
    assert await plant.routers.done_with(["unix:/7"])


async def test_a_doubt_is_told_to_all_and_answered_by_all(plant: Plant) -> None:
    await plant.add({"unix:/7": 0})
    await plant.add({"unix:/7": 2, "unix:/8": 0})
    assert [await plant.routers.doubt(f"unix:/{name}", 10.0) for name in ("7", "8")] == [False, True]
    assert plant.doubts == ["unix:/7", "unix:/7", "unix:/8", "unix:/8"]
    plant.routers.own.begin("unix:/8")
    assert not await plant.routers.doubt("unix:/8", 0.0)


async def test_a_router_that_hangs_may_have_requests_at_what_is_in_doubt(plant: Plant) -> None:
    await plant.add({})
    await plant.add({}, hangs=True)
    plant.go_on.clear()
    assert not await plant.impatient.doubt("unix:/7", 10.0)
    plant.go_on.set()
