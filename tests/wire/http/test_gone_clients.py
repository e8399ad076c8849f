"""Clients that go, or keep what they announced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.wire.http.raw import get, serving, talk

from wildsage.wire.http.messages import ClientGone, Request, Response


async def test_a_reader_learns_that_its_client_has_gone() -> None:
    learned = asyncio.Event()

    async def read(request: Request) -> Response:
        try:
            await request.body.read(100)
        except ClientGone:
            learned.set()
            raise
        return Response(200)

    async with serving(read) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        await writer.drain()
        writer.close()
        await asyncio.wait_for(learned.wait(), 5)


async def test_a_stream_ends_when_its_client_has_gone() -> None:
    ended = asyncio.Event()

    async def endless(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(100_000)
                    await asyncio.sleep(0)
            finally:
                ended.set()

        return Response(200, [], chunks())

    async with serving(endless) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get())
        await reader.readexactly(1_000_000)
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_body_that_its_client_keeps_is_not_waited_for() -> None:
    async def answer_first(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"too early"
            yield await request.body.read(10)

        return Response(200, [], chunks())

    async with serving(answer_first) as server:
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(
                talk(server, b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), 5
            )


async def test_a_handler_that_waits_learns_that_its_client_has_gone() -> None:
    began, gone = asyncio.Event(), asyncio.Event()

    async def wait(request: Request) -> Response:
        request.on_gone = gone.set
        began.set()
        await gone.wait()
        return Response(200)

    async with serving(wait) as server, asyncio.timeout(60):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get())
        await began.wait()
        writer.close()
        await gone.wait()
