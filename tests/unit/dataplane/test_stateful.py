"""Stateful sessions stay at their instance, whichever router is asked."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.dataplane.plant import Plant, endpoint

from wildsage.core.routes import Endpoint, Instance, Routes, Variant
from wildsage.dataplane.router import Router
from wildsage.dataplane.stateful import BadSession, Sessions, Visit
from wildsage.dataplane.table import LiveEndpoint, Table
from wildsage.wire.http.messages import Request, Response

SECRET = b"s" * 32
EXPIRES = "2100-01-01T00:00:00Z"


def model(name: str, made: list[str]) -> Any:
    """A container with sessions: a body of ``close`` closes one."""

    async def answer(request: Request) -> Response:
        body = await request.body.read(1000)
        session = request.header("x-amzn-sagemaker-session-id")
        headers = []
        if session == "NEW_SESSION":
            made.append(f"{name}-{len(made)}")
            headers = [("x-amzn-sagemaker-new-session-id", f"{made[-1]}; Expires={EXPIRES}")]
        elif body == b"close":
            headers = [("x-amzn-sagemaker-closed-session-id", session or "")]
        return Response(200, headers, json.dumps([name, session]).encode())

    return answer


async def three(plant: Plant) -> tuple[Endpoint, list[str]]:
    """An endpoint of two variants, with three instances."""
    made: list[str] = []
    instances = [await plant.serve(name, model(name, made)) for name in ("a", "b", "c")]
    found = endpoint("iris", Variant("A", 1.0, tuple(instances[:2])), Variant("B", 1.0, (instances[2],)))
    plant.put(found)
    return found, made


async def unknown(call: Any) -> None:
    with pytest.raises(ClientError, match="not found or expired") as caught:
        await call
    assert caught.value.response["Error"]["Code"] == "ValidationError"


async def test_a_session_stays_where_it_was_made(plant: Plant) -> None:
    _, made = await three(plant)
    boto = plant.boto()
    for number in range(6):
        wanted = {"TargetVariant": "A"} if number % 2 else {}  # whose instances take turns
        new = await plant.invoke(boto, SessionId="NEW_SESSION", **wanted)
        id_, _, expiry = new["NewSessionId"].partition("; ")
        assert expiry == f"Expires={EXPIRES}"
        name, told = json.loads(new["Body"])
        assert told == "NEW_SESSION"
        for _ in range(3):
            answer = await plant.invoke(boto, SessionId=id_)
            assert json.loads(answer["Body"]) == [name, made[number]]
            assert answer["InvokedProductionVariant"] == new["InvokedProductionVariant"]
            assert "NewSessionId" not in answer
    assert len({name.partition("-")[0] for name in made}) > 1


async def test_a_session_can_be_streamed_and_another_router_knows_it(plant: Plant) -> None:
    _, made = await three(plant)
    id_ = (await plant.invoke(SessionId="NEW_SESSION"))["NewSessionId"].partition(";")[0]
    other = Router(plant.data, socket.create_server(("127.0.0.1", 0)), 1)
    await other.start()
    other.table.put(plant.routes)

    def call() -> bytes:
        boto = plant.boto(url=f"http://127.0.0.1:{other.home()[1]}")
        answer = boto.invoke_endpoint_with_response_stream(EndpointName="iris", Body=b"", SessionId=id_)
        return b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])

    assert json.loads(await asyncio.to_thread(call))[1] == made[0]
    await other.close(grace=1.0)


async def test_a_closed_session_and_others_that_are_none(plant: Plant) -> None:
    iris, _ = await three(plant)
    plant.put(iris, endpoint("rose", *iris.variants))
    new = await plant.invoke(SessionId="NEW_SESSION", TargetVariant="A")
    id_ = new["NewSessionId"].partition(";")[0]
    await unknown(plant.invoke(SessionId=id_, TargetVariant="B"))
    await unknown(plant.invoke(SessionId=id_, EndpointName="rose"))
    await unknown(plant.invoke(SessionId=f"{id_[:-1]}{'0' if id_[-1] != '0' else '1'}"))
    await unknown(plant.invoke(SessionId="nobody"))
    await unknown(plant.invoke(SessionId="a-1-b-c"))
    assert (await plant.invoke(SessionId=id_, Body=b"close"))["ClosedSessionId"] == id_
    await unknown(plant.invoke(SessionId=id_))


async def test_a_session_ends_with_its_instance(plant: Plant) -> None:
    iris, _ = await three(plant)
    new = await plant.invoke(SessionId="NEW_SESSION", TargetVariant="B")
    id_ = new["NewSessionId"].partition(";")[0]
    plant.put(endpoint("iris", iris.variants[0]))
    await unknown(plant.invoke(SessionId=id_))


async def test_an_id_that_is_too_long_is_the_container_s_fault(plant: Plant) -> None:
    async def long(request: Request) -> Response:
        return Response(200, [("x-amzn-sagemaker-new-session-id", f"{'x' * 200}; Expires={EXPIRES}")], b"")

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", long),))))
    with pytest.raises(ClientError, match="letters too long") as caught:
        await plant.invoke(SessionId="NEW_SESSION")
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert plant.router.table.underway() == {}


def live() -> LiveEndpoint:
    iris = endpoint("iris", Variant("A", 1.0, (Instance("i-1", "unix:/1"),)))
    table = Table()
    table.put(Routes(1, "000000000000", "ab", endpoints={"us-east-1/iris": iris}))
    found = table.endpoint("us-east-1", "iris")
    assert found is not None
    return found


def test_a_session_expires() -> None:
    now = 1000.0
    sessions = Sessions(lambda: SECRET, lambda: now)
    there = live()
    slot = there.variants[0].slots[0]
    sent = [("x-amzn-sagemaker-new-session-id", "id-1; Expires=1970-01-01T01:00:00Z"), ("x", "y")]
    (_, value), other = sessions.outward(sent, Visit("NEW_SESSION", "NEW_SESSION"), there.endpoint.arn, slot.instance)
    assert other == ("x", "y")
    id_, _, rest = value.partition("; ")
    assert rest == "Expires=1970-01-01T01:00:00Z"
    found = sessions.open(id_, there)
    assert found is not None
    assert (found.inward, found.slot) == ("id-1", slot)
    now = 3600.0
    assert sessions.open(id_, there) is None
    assert Sessions(lambda: b"other", lambda: 0.0).open(id_, there) is None


@pytest.mark.parametrize("end", ["", "; Expires=soon", "; Max-Age=3", ";"])
def test_a_session_without_an_end_does_not_expire(end: str) -> None:
    sessions = Sessions(lambda: SECRET, lambda: 1e9)
    there = live()
    slot = there.variants[0].slots[0]
    sent = [("x-amzn-sagemaker-new-session-id", f"id{end}")]
    ((_, value),) = sessions.outward(sent, Visit("NEW_SESSION", "NEW_SESSION"), there.endpoint.arn, slot.instance)
    assert sessions.open(value.removesuffix(end), there) is not None


@pytest.mark.parametrize("id_", ["", "---", "a-²-b-c", "a-" + "9" * 5000 + "-b-c", "é-1-b-c", "x" * 70_000])
def test_rubbish_is_no_session(id_: str) -> None:
    assert Sessions(lambda: SECRET, lambda: 0.0).open(id_, live()) is None


def test_a_long_id_is_refused() -> None:
    there = live()
    sent = [("x-amzn-sagemaker-new-session-id", "x" * 250)]
    with pytest.raises(BadSession, match="letters too long"):
        Sessions(lambda: SECRET, lambda: 0.0).outward(
            sent, Visit("NEW_SESSION", "NEW_SESSION"), there.endpoint.arn, there.variants[0].slots[0].instance
        )
