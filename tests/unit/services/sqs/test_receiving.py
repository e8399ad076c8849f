"""Long polls whose client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from tests.unit.services.conftest import REGION, Api

from wildsage.kit.context import Context, Platform
from wildsage.kit.operation import Service
from wildsage.services.sqs.service import SQS
from wildsage.wire.http.messages import BytesBody, Request

SECONDS = 60.0


@pytest.fixture
def services() -> Mapping[str, Service]:
    return {"sqs": SQS}


async def test_nothing_is_received_for_a_client_that_has_gone(platform: Platform, api: Api) -> None:
    url = (await api.sqs("CreateQueue", QueueName="q"))["QueueUrl"]
    request = Request("POST", "/", [("host", "here")], BytesBody())
    context = Context(platform, platform.credentials.root, REGION, "sqs", "ReceiveMessage", "id", request)
    handler = SQS.operations["ReceiveMessage"].handler
    waiting = asyncio.ensure_future(handler(context, {"QueueUrl": url, "WaitTimeSeconds": 20}))
    for _ in range(6000):
        if request.on_gone is not None:
            break
        await asyncio.sleep(0.01)
    request.leave()
    assert await asyncio.wait_for(waiting, SECONDS) == {}
    await api.sqs("SendMessage", QueueUrl=url, MessageBody="kept")
    found = await api.sqs("ReceiveMessage", QueueUrl=url, MessageSystemAttributeNames=["All"])
    assert found["Messages"][0]["Attributes"]["ApproximateReceiveCount"] == "1"
