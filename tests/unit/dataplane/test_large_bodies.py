"""Bodies that pass the parser by: each byte arrives, in order, and the connections go on behind them."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time

import pytest
from tests.unit.dataplane.conftest import LIMITS
from tests.unit.dataplane.plant import Plant, echo, endpoint
from tests.unit.dataplane.test_router import certify

from wildsage.core.routes import Instance, Variant
from wildsage.wire.http.messages import BytesBody, Request, Response
from wildsage.wire.sigv4 import Credentials, sign

MB = 1024 * 1024
ROOT_KEY = Credentials("AKIAROOT", "root-secret")


def written(plant: Plant, body: bytes, *headers: tuple[str, str]) -> bytes:
    """A signed invocation as it goes over the wire, without its body."""
    length = ("content-length", str(len(body)))
    request = Request("POST", "/endpoints/iris/invocations", [("host", "x"), length, *headers], BytesBody(body))
    sign(request, ROOT_KEY, "us-east-1", "sagemaker", time.time(), hashlib.sha256(body).hexdigest())
    lines = [f"POST {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers), "", ""]
    return "\r\n".join(lines).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer that announces its length."""
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), await reader.readexactly(length)


async def test_requests_follow_each_other_on_a_connection_whatever_their_size(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    chance = random.Random(1)
    bodies = [chance.randbytes(size) for size in (3 * MB, 10, 65_536, 300_000, 5, 2 * MB + 1)]
    reader, writer = await asyncio.open_connection(*plant.router.home())

    async def send() -> None:
        """All of them, whether or not an answer is there."""
        for body in bodies:
            message = written(plant, body) + body
            while message:
                size = chance.choice((1, 1000, 70_000, MB))
                writer.write(message[:size])
                await writer.drain()
                message = message[size:]

    sending = asyncio.create_task(send())
    for body in bodies:
        status, got = await answer(reader)
        assert status == 200
        assert got[: len(body)] == body
    await sending
    writer.close()


async def test_they_arrive_under_tls_too(plant: Plant) -> None:
    context = certify(plant.data, "localhost")
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    reader, writer = await asyncio.open_connection(*plant.router.home(), ssl=context)
    for size in (5 * MB, 10, 2 * MB):
        body = random.Random(size).randbytes(size)
        writer.write(written(plant, body) + body)
        status, got = await answer(reader)
        assert (status, got[:size]) == (200, body)
    writer.close()


async def test_a_body_of_which_a_byte_was_changed_reaches_nobody(plant: Plant) -> None:
    asked = 0

    async def model(request: Request) -> Response:
        nonlocal asked
        asked += 1
        return await echo(request)

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", model),))))
    body = random.Random(2).randbytes(2 * MB)
    reader, writer = await asyncio.open_connection(*plant.router.home())
    writer.write(written(plant, body) + body[:-1] + bytes((body[-1] ^ 1,)))
    assert (await answer(reader))[0] == 403
    assert asked == 0
    writer.write(written(plant, body) + body)
    assert (await answer(reader))[0] == 200
    writer.close()


async def test_bodies_of_requests_that_are_refused_are_let_go_of(plant: Plant) -> None:
    plant.put(endpoint("another", Variant("A", 1.0, (await plant.serve("m", echo),))))
    body = bytes(9 * MB)
    reader, writer = await asyncio.open_connection(*plant.router.home())
    for _ in range(LIMITS.together // len(body) + 1):
        writer.write(written(plant, body) + body)
        status, said = await answer(reader)
        assert (status, b"not found" in said) == (400, True)
    writer.close()


async def test_who_asks_for_100_continue_gets_it(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    body = random.Random(3).randbytes(MB)
    reader, writer = await asyncio.open_connection(*plant.router.home())
    writer.write(written(plant, body, ("expect", "100-continue")))
    async with asyncio.timeout(60):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    status, got = await answer(reader)
    assert (status, got[:MB]) == (200, body)
    writer.close()


async def test_a_client_that_reads_slowly_gets_every_byte(plant: Plant) -> None:
    large = random.Random(4).randbytes(9 * MB)

    async def model(request: Request) -> Response:
        return Response(200, [], large)

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", model),))))
    reader, writer = await asyncio.open_connection(*plant.router.home(), limit=1024)
    for _ in range(2):
        writer.write(written(plant, b""))
        async with asyncio.timeout(60):
            await reader.readuntil(b"\r\n\r\n")
            got = bytearray()
            while len(got) < len(large):
                got += await reader.read(200_000)
                await asyncio.sleep(0.001)
        assert got == large
    writer.close()


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_large_answer_that_breaks_off_is_not_whole(plant: Plant, pieces: int) -> None:
    async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (4 * MB))
        for _ in range(pieces):
            writer.write(bytes(MB))
            await writer.drain()
        writer.close()

    path = plant.data.root / "broken.sock"
    server = await asyncio.start_unix_server(model, path)
    plant.put(endpoint("iris", Variant("A", 1.0, (Instance("broken", f"unix:{path}"),))))
    reader, writer = await asyncio.open_connection(*plant.router.home())
    writer.write(written(plant, b""))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await answer(reader)
    writer.close()
    server.close()
    assert plant.router.table.underway() == {}
