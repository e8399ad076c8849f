"""InvokeEndpointWithResponseStream as stock clients see it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError
from tests.unit.dataplane.conftest import IMPATIENT, impatient
from tests.unit.dataplane.plant import Plant, echo, endpoint

from wildsage.core.routes import Instance, Variant
from wildsage.dataplane.router import Router
from wildsage.wire.http.messages import Request, Response


def streamed(plant: Plant, url: str = "", **parameters: Any) -> Any:
    """The answer to a streaming invocation by boto3, its Body still to be read."""
    wanted = {"EndpointName": "iris", "Body": b"1,2", "ContentType": "text/csv", **parameters}
    return plant.boto(url=url).invoke_endpoint_with_response_stream(**wanted)


def parts(answer: Any) -> list[bytes]:
    return [event["PayloadPart"]["Bytes"] for event in answer["Body"]]


async def in_pieces(plant: Plant, *pieces: bytes, then: Callable[[], Any] | None = None, name: str = "m") -> Instance:
    """A model that sends one piece after the other, each once the one before was received, and then does ``then``."""

    async def model(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            for number, piece in enumerate(pieces):
                if number:
                    await asyncio.to_thread(plant.turns.acquire, timeout=30)
                yield piece
            if then is not None:
                await asyncio.to_thread(plant.turns.acquire, timeout=30)
                await then()

        headers = [("content-type", "application/jsonlines"), ("x-amzn-sagemaker-custom-attributes", "c=1")]
        return Response(200, headers, chunks())

    return await plant.serve(name, model)


async def test_each_piece_arrives_before_the_next_is_sent(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await in_pieces(plant, b"one", b"two", b"three"),))))

    def call() -> tuple[Any, list[bytes]]:
        answer = streamed(plant, Accept="application/jsonlines")
        found = []
        for event in answer["Body"]:
            found.append(event["PayloadPart"]["Bytes"])
            plant.turns.release()
        return answer, found

    answer, found = await asyncio.to_thread(call)
    assert found == [b"one", b"two", b"three"]
    assert answer["ContentType"] == "application/jsonlines"
    assert answer["CustomAttributes"] == "c=1"
    assert answer["InvokedProductionVariant"] == "A"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/vnd.amazon.eventstream"


async def test_an_answer_that_is_whole_at_once_is_one_part(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    found = await asyncio.to_thread(lambda: parts(streamed(plant, Accept="text/x")))
    assert len(found) == 1
    assert found[0].startswith(b"1,2|")
    assert b'["accept", "text/x"]' in found[0]
    assert b"x-amzn-sagemaker-accept" not in found[0]


async def test_no_answer_is_no_part(plant: Plant) -> None:
    async def empty(request: Request) -> Response:
        return Response(200)

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", empty),))))
    assert await asyncio.to_thread(lambda: parts(streamed(plant))) == []


async def test_large_answers_come_whole(plant: Plant) -> None:
    body = bytes(range(256)) * 40_000

    async def large(request: Request) -> Response:
        return Response(200, [], body)

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", large),))))
    assert b"".join(await asyncio.to_thread(lambda: parts(streamed(plant)))) == body


async def test_an_error_of_the_container_is_a_model_error_and_no_stream(plant: Plant) -> None:
    async def failing(request: Request) -> Response:
        return Response(500, [], b"no")

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", failing),))))
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(streamed, plant)
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalMessage"] == "no"


async def broken(plant: Plant, url: str = "") -> tuple[list[bytes], str, str]:
    """What came of a stream, and the error that ended it."""

    def call() -> tuple[list[bytes], EventStreamError]:
        found = []
        with closing(streamed(plant, url)["Body"]) as events, pytest.raises(EventStreamError) as caught:
            for event in events:
                found.append(event["PayloadPart"]["Bytes"])
                plant.turns.release()
        return found, caught.value

    found, error = await asyncio.to_thread(call)
    return found, error.response["Error"]["Code"], str(error)


async def test_a_container_that_breaks_off_is_a_stream_error(plant: Plant) -> None:
    async def fall() -> None:
        raise RuntimeError("the model fell over, as it should")

    plant.put(endpoint("iris", Variant("A", 1.0, (await in_pieces(plant, b"one", then=fall),))))
    found, code, words = await broken(plant)
    assert (found, code) == ([b"one"], "ModelStreamError")
    assert "closed the connection" in words


@impatient
async def test_a_stream_may_take_longer_than_an_answer_but_not_for_ever(plant: Plant) -> None:
    async def sleep() -> None:
        await asyncio.sleep(60)

    async def patient() -> None:
        await asyncio.sleep(2 * IMPATIENT.seconds)  # twice what an answer may take here

    plant.put(endpoint("iris", Variant("A", 1.0, (await in_pieces(plant, b"one", then=patient),))))
    plant.turns.release()
    assert await asyncio.to_thread(lambda: parts(streamed(plant))) == [b"one"]
    plant.put(endpoint("iris", Variant("A", 1.0, (await in_pieces(plant, b"one", then=sleep, name="n"),))))
    found, code, words = await broken(plant)
    assert (found, code) == ([b"one"], "ModelStreamError")
    assert "within the timeout period" in words


async def test_a_router_that_stops_says_so_in_the_stream(plant: Plant) -> None:
    other = Router(plant.data, socket.create_server(("127.0.0.1", 0)), 1)
    await other.start()
    ending: list[asyncio.Task[None]] = []

    async def stop() -> None:
        ending.append(asyncio.create_task(other.close(grace=0.5)))
        await asyncio.sleep(60)

    plant.put(endpoint("iris", Variant("A", 1.0, (await in_pieces(plant, b"one", then=stop),))))
    other.table.put(plant.routes)
    found, code, words = await broken(plant, f"http://127.0.0.1:{other.home()[1]}")
    assert (found, code) == ([b"one"], "InternalStreamFailure")
    assert "router is stopping" in words
    await ending[0]


async def test_a_client_that_leaves_a_stream_leaves_the_container(plant: Plant) -> None:
    left = threading.Event()

    async def endless(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(1000)
                    await asyncio.sleep(0.001)
            finally:
                left.set()

        return Response(200, [], chunks())

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", endless),))))

    def call() -> None:
        body = streamed(plant)["Body"]
        next(iter(body))
        body.close()
        assert left.wait(30)

    await asyncio.to_thread(call)
    assert plant.router.table.underway() == {}


async def test_a_session_cannot_be_made_by_a_stream(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    with pytest.raises(ClientError, match="cannot be created with InvokeEndpointWithResponseStream"):
        await asyncio.to_thread(lambda: streamed(plant, SessionId="NEW_SESSION"))
