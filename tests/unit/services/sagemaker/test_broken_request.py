"""A request of an asynchronous endpoint at which our own code fails."""

from __future__ import annotations

import asyncio
import logging

import pytest
from sqlalchemy import Connection, select, update
from tests.unit.services.sagemaker.conftest import ACCOUNT, BUCKET, REGION, Server

from wildsage.services.sagemaker.asynchronous import rules
from wildsage.services.sagemaker.asynchronous.lines import Hosts, Line, Place
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.store.queued import QueuedRequests, queued_requests

CONFIG = {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/out", "S3FailurePath": f"s3://{BUCKET}/failed"}}


@pytest.mark.parametrize("missing", [("Timeout",), ("Timeout", "Own")])
async def test_it_ends_with_a_notice_and_not_with_its_time(
    server: Server, caplog: pytest.LogCaptureFixture, missing: tuple[str, ...]
) -> None:
    """As an earlier version may have left it; the second cannot be told where failures go either."""
    dispatcher, requests = server.control.dispatcher, QueuedRequests(server.control.platform.database)
    asked = rules.queued({"Body": b"x"}, CONFIG, "uid", "one", server.control.platform.clock.now())
    for name in missing:
        del asked.document[name]
    number = await requests.add(asked)
    (request,) = await requests.after("uid", number - 1, 1)
    place = Place("all", "i-0", "unix:/nowhere", server.role, 1, (("unix:/nowhere", ""),))
    hosts = Hosts(ENDPOINT.key(ACCOUNT, REGION, "queue"), "uid", CONFIG, server.role, ("all",), ())
    line = Line(hosts, underway={number})
    dispatcher._busy.begin(place.address)
    with caplog.at_level(logging.ERROR):
        await dispatcher._serve(line, request, place)
    assert "KeyError" in caplog.text
    assert await requests.after("uid", 0, 10) == []
    assert not line.underway
    if "Own" not in missing:
        assert await server.keys("failed/") == ["failed/one-error.out"]
        assert b"The request could not be handled (KeyError)" in await server.get("failed/one-error.out")


async def test_one_that_nobody_can_read_holds_up_its_queue_and_no_other(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = server.control.platform.database
    dispatcher, requests = server.control.dispatcher, QueuedRequests(database)
    for uid in ("damaged", "whole"):
        hosts = Hosts(ENDPOINT.key(ACCOUNT, REGION, uid), uid, CONFIG, server.role, ("all",), ())
        monkeypatch.setitem(dispatcher._lines, uid, Line(hosts))
        await requests.add(rules.queued({"Body": b"x"}, CONFIG, uid, uid, server.control.platform.clock.now()))
    lines, documents = dispatcher._lines, queued_requests.c.document
    ours = queued_requests.c.endpoint == "damaged"
    kept: list[str] = []

    def damage(connection: Connection) -> None:
        kept.append(connection.execute(select(documents).where(ours)).scalar_one())
        connection.execute(update(queued_requests).where(ours).values(document="damaged"))

    await database.write(damage)
    for _ in range(2):  # the second look does not even try
        await dispatcher._round()
    assert [len(lines[uid].waiting) for uid in ("damaged", "whole")] == [0, 1]
    assert caplog.text.count("a queue cannot be read, of endpoint damaged; again in 1 s") == 1
    mend = update(queued_requests).where(ours).values(document=kept[0])
    await database.write(lambda connection: connection.execute(mend) and None)
    async with asyncio.timeout(60):
        while not lines["damaged"].waiting:
            await dispatcher._stir.wait()  # by itself, once it may be read again
            dispatcher._stir.clear()
            await dispatcher._round()
