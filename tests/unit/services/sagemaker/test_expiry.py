"""Requests of asynchronous endpoints whose time is over, beside those that are just being answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.unit.services.sagemaker.conftest import ACCOUNT, BUCKET, REGION, Server

from wildsage.services.sagemaker.asynchronous import rules
from wildsage.services.sagemaker.asynchronous.lines import Hosts, Line
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.store.queued import Queued, QueuedRequests

CONFIG = {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/out", "S3FailurePath": f"s3://{BUCKET}/failed"}}


async def test_what_is_answered_while_others_expire_has_not_failed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, requests = server.control.dispatcher, QueuedRequests(server.control.platform.database)
    asked = {name: rules.queued({"Body": b"x"}, CONFIG, "uid", name, 100.0) for name in ("late", "answered")}
    numbers = {name: await requests.add(replace(each, expires=101.0)) for name, each in asked.items()}
    hosts = Hosts(ENDPOINT.key(ACCOUNT, REGION, "queue"), "uid", CONFIG, server.role, ("all",), ())
    line = Line(hosts, underway={numbers["answered"]})
    monkeypatch.setitem(dispatcher._lines, "uid", line)
    expired = dispatcher._requests.expired

    async def meanwhile(now: float, limit: int) -> list[Queued]:
        found = await expired(now, limit)
        await requests.settle(numbers["answered"], "topic", (), "box", (), now)
        line.underway.discard(numbers["answered"])
        return found

    monkeypatch.setattr(dispatcher._requests, "expired", meanwhile)
    await dispatcher._expire(200.0)
    assert await server.keys("failed/") == ["failed/late-error.out"]
    assert await requests.after("uid", 0, 10) == []
    assert not line.underway


async def test_a_look_at_what_expires_that_a_bug_ends_begins_again_and_what_is_under_way_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, began, again = server.control.dispatcher, list[int](), asyncio.Event()

    async def broken() -> None:
        began.append(1)
        if len(began) == 2:
            again.set()
        raise RuntimeError("a bug")

    monkeypatch.setattr(dispatcher, "_watch", broken)
    running = asyncio.create_task(dispatcher.run())
    async with asyncio.timeout(60):
        await again.wait()
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
