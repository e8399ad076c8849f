"""What keeps routing snapshots from being in force."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import pytest
from tests.unit.services.conftest import data, platform, services

from wildsage.core.routes import Endpoint, Invoker, Key, ObjectGrant, from_json
from wildsage.gateway.snapshot import Snapshot
from wildsage.kit.context import Platform
from wildsage.kit.roles import IDENTITY_CHANGED
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import Handler, start_server

__all__ = ["data", "platform", "services"]


class Keys:
    """Permissions of one key."""

    async def route_keys(self) -> Mapping[str, Key]:
        return {"AKIA": Key("secret", "arn", "id", "principal")}

    async def route_permissions(self) -> Mapping[str, Invoker]:
        return {}

    async def route_objects(self) -> Mapping[str, ObjectGrant]:
        return {}


async def test_a_full_disk_does_not_keep_a_router_from_being_told(platform: Platform) -> None:
    got: list[bytes] = []

    async def take(request: Request) -> Response:
        got.append(await request.body.read(1 << 20))
        return Response(200, [], b"")

    paths = platform.settings.data
    paths.run.mkdir(exist_ok=True)
    paths.routes.with_suffix(".new").mkdir()  # nothing can be written there
    server, client = await start_server(take, path=paths.router_socket()), Client()
    try:
        with pytest.raises(OSError):
            await Snapshot(platform, Keys(), client).push({})
    finally:
        client.close()
        await server.close()
    assert [list(from_json(each).keys) for each in got] == [["AKIA"]]


async def test_a_router_that_hangs_holds_up_one_push_and_is_told_the_newest_when_it_goes_on(platform: Platform) -> None:
    got: dict[int, list[int]] = {0: [], 1: []}
    go_on, all_told = asyncio.Event(), asyncio.Event()

    def taking(number: int, hangs: bool) -> Handler:
        async def take(request: Request) -> Response:
            if hangs:
                await go_on.wait()
            got[number].append(from_json(await request.body.read(1 << 20)).version)
            if got[0] and got[1] and got[0][-1] == got[1][-1]:
                all_told.set()
            return Response(200, [], b"")

        return take

    paths = platform.settings.data
    paths.run.mkdir(exist_ok=True)
    hangs = (False, True)
    servers = [await start_server(taking(n, hangs[n]), path=paths.router_socket(n)) for n in range(2)]
    client = Client()
    snapshot = Snapshot(platform, Keys(), client, patience=2.0)
    running = asyncio.create_task(snapshot.run())
    loop = asyncio.get_running_loop()
    try:
        began = loop.time()
        for _ in range(10):
            await snapshot.push({})
        took = loop.time() - began
        assert 2.0 <= took < 15.0  # twenty, if each waited for it
        assert len(got[0]) == 10 and not got[1]
        await asyncio.wait_for(snapshot.settled(), 60)
        go_on.set()
        await asyncio.wait_for(all_told.wait(), 60)
        await snapshot.push({})
        assert got[0][-1] == got[1][-1] and len(got[1]) <= 4  # each change is pushed to both again
    finally:
        running.cancel()
        client.close()
        for server in servers:
            await server.close(0.1)


async def test_new_keys_do_not_bring_old_endpoints_back(platform: Platform) -> None:
    got: list[list[str]] = []
    first, go_on = asyncio.Event(), asyncio.Event()

    async def take(request: Request) -> Response:
        got.append(list(from_json(await request.body.read(1 << 20)).endpoints))
        first.set()
        await go_on.wait()
        return Response(200, [], b"")

    paths = platform.settings.data
    paths.run.mkdir(exist_ok=True)
    server, client = await start_server(take, path=paths.router_socket()), Client()
    snapshot = Snapshot(platform, Keys(), client, patience=60)
    try:
        old = asyncio.create_task(snapshot.push({}))
        await asyncio.wait_for(first.wait(), 60)
        endpoint = Endpoint("iris", "us-east-1", "arn", "InService", "config", "/log")
        new = asyncio.create_task(snapshot.push({"us-east-1/iris": endpoint}))
        keys = asyncio.create_task(snapshot.renew())
        await asyncio.sleep(0)  # all of them have begun
        go_on.set()
        await asyncio.wait_for(asyncio.gather(old, new, keys), 60)
    finally:
        client.close()
        await server.close(0.1)
    assert got == [[], ["us-east-1/iris"], ["us-east-1/iris"]]


async def test_a_push_that_is_cancelled_does_not_write_beside_the_next(platform: Platform) -> None:
    asked = asyncio.Event()

    class Noticed(Keys):
        async def route_objects(self) -> Mapping[str, ObjectGrant]:
            asked.set()
            return {}

    paths, client = platform.settings.data, Client()
    paths.run.mkdir(exist_ok=True)
    half = paths.routes.with_suffix(".new")
    os.mkfifo(half)  # writing waits for somebody who reads
    snapshot = Snapshot(platform, Noticed(), client)
    first = asyncio.create_task(snapshot.push({}))
    await asyncio.wait_for(asked.wait(), 60)
    first.cancel()
    await asyncio.sleep(0.05)
    waits = not first.done()
    reader = os.open(half, os.O_RDONLY | os.O_NONBLOCK)
    half.unlink()
    await asyncio.wait([first], timeout=60)
    os.close(reader)
    assert waits
    assert first.cancelled()
    await snapshot.push({})
    assert from_json(paths.routes.read_bytes()).version == 2
    client.close()


async def test_nobody_waits_for_what_is_told_by_a_job_that_has_ended(platform: Platform) -> None:
    """It begins again after a minute at most, in which control would answer nobody; then it is waited for."""
    broken, asked = [True], asyncio.Event()

    class Breaking(Keys):
        async def route_keys(self) -> Mapping[str, Key]:
            asked.set()
            if broken:
                raise RuntimeError("a bug")
            return {}

    platform.settings.data.run.mkdir(exist_ok=True)
    client = Client()
    snapshot = Snapshot(platform, Breaking(), client)
    try:
        for _ in range(2):
            platform.hints.notify(IDENTITY_CHANGED)
            with pytest.raises(RuntimeError):
                await asyncio.wait_for(snapshot.run(), 60)
            platform.hints.notify(IDENTITY_CHANGED)
            await asyncio.wait_for(snapshot.settled(), 60)
        broken.clear()
        asked.clear()
        running = asyncio.create_task(snapshot.run())
        await asyncio.wait_for(asked.wait(), 60)
        await asyncio.wait_for(snapshot.settled(), 60)
        assert from_json(platform.settings.data.routes.read_bytes()).keys == {}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finally:
        client.close()
