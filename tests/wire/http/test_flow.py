"""Bodies read in blocks, past the parser."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from wildsage.wire.http.bulk import Flow
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.limits import Limits
from wildsage.wire.http.messages import BytesBody, ClientGone
from wildsage.wire.http.server import Server, guarded

MB = 1024 * 1024
Reader = Callable[[Exchange], Awaitable[None]]


@contextlib.asynccontextmanager
async def reading(reader: Reader) -> AsyncIterator[Server]:
    """A server whose requests ``reader`` answers."""
    tasks: set[asyncio.Task[None]] = set()

    def take(exchange: Exchange) -> None:
        task = asyncio.create_task(guarded(exchange, _read(exchange)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _read(exchange: Exchange) -> None:
        await reader(exchange)

    server = Server(take, Limits(linger_seconds=5))
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    await server.listen(sock)
    try:
        async with asyncio.timeout(60):
            yield server
    finally:
        await server.close(grace=1.0)
        await asyncio.gather(*tasks)


def head(size: int, *lines: str) -> bytes:
    return "\r\n".join(["PUT / HTTP/1.1", "Host: x", f"Content-Length: {size}", *lines, "", ""]).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(text.partition("content-length: ")[2].partition("\r\n")[0])
    return int(text.split()[1]), await reader.readexactly(length)


async def test_every_byte_arrives_in_order_and_requests_follow_each_other() -> None:
    flows = 0

    async def back(exchange: Exchange) -> None:
        nonlocal flows
        if isinstance(exchange.request.body, BytesBody):
            exchange.respond(200, [], exchange.request.body.data)
            return
        body = exchange.flow()
        flows += isinstance(body, Flow)
        exchange.respond(200, [], await body.read(8 * MB))

    chance = random.Random(1)
    bodies = [chance.randbytes(size) for size in (3 * MB, 10, 65_536, 300_000, 2 * MB + 1)]
    async with reading(back) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def send() -> None:
            for body in bodies:
                message = head(len(body)) + body
                while message:
                    size = chance.choice((100, 70_000, MB))
                    writer.write(message[:size])
                    await writer.drain()
                    message = message[size:]

        sending = asyncio.create_task(send())
        for body in bodies:
            assert await answer(reader) == (200, body)
        await sending
        writer.close()
    assert flows >= 2


async def test_a_client_sends_no_more_than_is_read() -> None:
    go_on = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        blocks = aiter(exchange.flow())
        size = len(await anext(blocks))
        await go_on.wait()
        async for block in blocks:
            size += len(block)
        exchange.respond(200, [], str(size).encode())

    async with reading(slow) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(64 * MB))
        sent = 0
        with contextlib.suppress(TimeoutError):
            while True:
                writer.write(bytes(MB))
                sent += MB
                await asyncio.wait_for(writer.drain(), 1.0)
        assert sent < 48 * MB
        go_on.set()
        writer.write(bytes(64 * MB - sent))
        assert await answer(reader) == (200, str(64 * MB).encode())
        writer.close()


async def test_a_client_that_leaves_ends_the_reading() -> None:
    ended = asyncio.get_running_loop().create_future()

    async def read(exchange: Exchange) -> None:
        try:
            await exchange.flow().read(8 * MB)
        except ClientGone as error:
            ended.set_result(error)
            raise

    async with reading(read) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(4 * MB) + bytes(MB))
        await writer.drain()
        writer.close()
        assert isinstance(await ended, ClientGone)


@pytest.mark.parametrize("size", [MB, 4 * MB])
async def test_who_reads_no_further_may_answer_and_the_rest_is_swallowed(size: int) -> None:
    async def refuse(exchange: Exchange) -> None:
        if isinstance(exchange.request.body, BytesBody):
            exchange.respond(200, [], b"next")
            return
        blocks = aiter(exchange.flow())
        await anext(blocks)
        # Both kinds of body are read by generators, which the type of a body does not say.
        await blocks.aclose()  # type: ignore[attr-defined]
        exchange.respond(507, [], b"full")

    async with reading(refuse) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(size) + bytes(size // 2))
        assert await answer(reader) == (507, b"full")
        with contextlib.suppress(ConnectionError):
            writer.write(bytes(size // 2) + head(2) + b"ok")
            if size <= MB:
                assert await answer(reader) == (200, b"next")
            else:
                assert await reader.read() == b""
        writer.close()


async def test_a_client_that_waits_is_asked_for_its_body() -> None:
    async def read(exchange: Exchange) -> None:
        exchange.respond(200, [], str(len(await exchange.flow().read(8 * MB))).encode())

    async with reading(read) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(MB, "Expect: 100-continue"))
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes(MB))
        assert await answer(reader) == (200, str(MB).encode())
        writer.close()
