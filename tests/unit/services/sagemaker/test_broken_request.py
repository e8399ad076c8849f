"""A request of an asynchronous endpoint at which our own code fails."""

from __future__ import annotations

import logging

import pytest
from tests.unit.services.sagemaker.conftest import ACCOUNT, BUCKET, REGION, Server

from wildsage.services.sagemaker.asynchronous import rules
from wildsage.services.sagemaker.asynchronous.lines import Hosts, Line, Place
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.store.queued import QueuedRequests

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
