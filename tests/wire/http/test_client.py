"""The client against our server and against raw sockets that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wildsage.wire.http.client import Client, forgo
from wildsage.wire.http.client_connection import AnswerLost, Pool, Unreachable
from wildsage.wire.http.messages import BytesBody, ClientGone, Request, Response
from wildsage.wire.http.server import Handler, Server, start_server
from wildsage.wire.http.streams import StreamBody


async def test_a_pool_keeps_nothing_of_an_address_that_is_gone() -> None:
    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")  # without a length its end is the connection's
        writer.close()

    pool = Pool()
    client = Client(pool)
    async with raw(until_closed) as address:
        assert (await client.whole(address, Request("GET", "/", [("host", "x")], BytesBody()))).body == b"all of it"
    assert pool._idle == {}
    client.close()


class Pieces:
    """A body of ``count`` pieces that ends with ``error`` if there is one."""

    def __init__(self, piece: bytes, count: int, error: Exception | None = None) -> None:
        self._piece, self._count, self._error = piece, count, error
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._count):
            self.given += 1
            yield self._piece
            await asyncio.sleep(0)
        if self._error is not None:
            raise self._error

    async def read(self, limit: int) -> bytes:
        return self._piece * self._count


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[str, Server]]:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = await start_server(handler, sock=sock)
    try:
        yield f"tcp:127.0.0.1:{server.port}", server
    finally:
        await server.close(grace=1.0)


Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw(talk: Raw) -> AsyncIterator[str]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def request(method: str = "GET", body: bytes = b"", *headers: tuple[str, str]) -> Request:
    return Request(method, "/a?b", [("host", "x"), *headers], BytesBody(body))


async def whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    assert not hasattr(response.body, "path")
    return b"".join([chunk async for chunk in response.body])


async def echo(request: Request) -> Response:
    return Response(200, [("x-expect", request.header("expect") or "")], await request.body.read(1 << 30))


async def test_connections_are_kept() -> None:
    async with serving(echo) as (address, server):
        client = Client()
        for _ in range(5):
            response = await client.send(address, request("POST", b"hello"))
            assert (response.status, response.body) == (200, b"hello")
        assert server.connections == 1
        both = await asyncio.gather(*(client.send(address, request("POST", b"x")) for _ in range(3)))
        assert [response.body for response in both] == [b"x"] * 3
        client.close()


async def test_a_kept_connection_that_was_closed_just_now_is_replaced(tmp_path: Path) -> None:
    """Its end has arrived and is not seen yet: nothing is sent there, so a request is safe that may not be repeated."""
    served: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as thread:
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        listener.settimeout(60)

        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                served.append(connection.recv(65536).partition(b" HTTP")[0])
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                go_on.wait(60)

        go_on = threading.Event()
        client, first = Client(), thread.submit(answer_one)
        assert (await client.send(f"unix:{tmp_path}/s", Request("POST", "/1", [], BytesBody(b"a")))).status == 200
        go_on.set()
        first.result()  # the event loop waits, too, and so has not heard of the end
        second = thread.submit(answer_one)
        assert (await client.send(f"unix:{tmp_path}/s", Request("POST", "/2", [], BytesBody(b"b")))).status == 200
        second.result()
        client.close()
    assert served == [b"POST /1", b"POST /2"]


async def test_head_and_unix_sockets(tmp_path: Path) -> None:
    async def answer(request: Request) -> Response:
        return Response(200, [("content-length", "77")] if request.method == "HEAD" else [], b"")

    path = tmp_path / "s"
    server = await start_server(answer, path=path)
    client = Client()
    for _ in range(2):
        response = await client.send(f"unix:{path}", request("HEAD"))
        assert response.header("content-length") == "77"
        assert response.body == b""
    assert server.connections == 1
    client.close()
    await server.close()


@pytest.mark.parametrize("sized", [True, False])
async def test_bodies_stream_both_ways(sized: bool) -> None:
    async def turn(request: Request) -> Response:
        assert isinstance(request.body, StreamBody)
        return Response(200, [], aiter(request.body))

    async with serving(turn) as (address, _):
        client = Client()
        framing = ("content-length", "20000000") if sized else ("transfer-encoding", "chunked")
        headers = [("host", "x"), framing]
        response = await client.send(address, Request("PUT", "/", headers, Pieces(b"ab" * 50_000, 200)))
        assert await whole(response) == b"ab" * 10_000_000
        client.close()


async def test_a_refused_upload_is_not_sent() -> None:
    async def refuse(request: Request) -> Response:
        return Response(403, [], b"no")

    async with serving(refuse) as (address, _):
        client = Client()
        body = Pieces(b"x" * 1000, 1000)
        headers = [("host", "x"), ("content-length", "1000000"), ("expect", "100-continue")]
        response = await client.send(address, Request("PUT", "/", headers, body))
        assert (response.status, response.body, body.given) == (403, b"no", 0)
        assert (await client.send(address, request())).status == 403
        client.close()


async def test_a_wanted_upload_is_sent_after_continue() -> None:
    async with serving(echo) as (address, _):
        client = Client()
        headers = [("host", "x"), ("content-length", "3000"), ("expect", "100-continue")]
        response = await client.send(address, Request("PUT", "/", headers, Pieces(b"x" * 1000, 3)))
        assert (response.status, response.body) == (200, b"x" * 3000)
        client.close()


async def test_a_request_body_that_fails_is_told() -> None:
    async with serving(echo) as (address, _):
        client = Client()
        body = Pieces(b"x", 3, ClientGone("gone"))
        with pytest.raises(ClientGone):
            await client.send(address, Request("PUT", "/", [("host", "x"), ("content-length", "10")], body))
        client.close()


async def test_a_link_where_a_socket_was_leads_nowhere(tmp_path: Path) -> None:
    """Or a container could have the router ask another endpoint's."""

    async def answer(request: Request) -> Response:
        return Response(200, [], b"from somebody else")

    server = await start_server(answer, path=tmp_path / "other")
    (tmp_path / "own").symlink_to(tmp_path / "other")
    with pytest.raises(Unreachable):
        await Client().send(f"unix:{tmp_path}/own", request())
    await server.close(grace=1.0)


async def test_a_short_answer_that_never_ends_is_lost() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(1 << 20))
                await writer.drain()

    async with raw(talk) as address:
        with pytest.raises(AnswerLost, match="longer than"):
            await Client().whole(address, request(), 60)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(Unreachable):
        await Client().send(f"tcp:127.0.0.1:{port}", request())
    with pytest.raises(Unreachable):
        await Client().send("unix:/nowhere/at/all", request())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_answers_that_are_none(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with raw(talk) as address:
        with pytest.raises(AnswerLost):
            await Client().send(address, request())


async def test_an_answer_cut_short_is_told_to_its_reader() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        await reader.readexactly(1)
        writer.close()

    async with raw(talk) as address:
        client = Client()
        response = await client.send(address, Request("PUT", "/", [("host", "x")], Pieces(b"x", 1)))
        with pytest.raises(AnswerLost):
            await whole(response)


async def test_an_answer_that_ends_with_its_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc")
        writer.close()

    async with raw(talk) as address:
        assert await whole(await Client().send(address, request())) == b"abc"


async def test_slow_heads_time_out() -> None:
    async def never(request: Request) -> Response:
        await asyncio.sleep(30)
        return Response(200)

    async with serving(never) as (address, _):
        with pytest.raises(TimeoutError):
            await Client().send(address, request(), head_seconds=0.05)


async def test_an_answer_nobody_reads_pauses_its_sender() -> None:
    sent = 0

    async def endless(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                yield bytes(100_000)
                sent += 1

        return Response(200, [], chunks())

    async with serving(endless) as (address, _):
        response = await Client().send(address, request())
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 200
        await forgo(response)


async def test_a_host_that_cannot_be_a_name_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await Pool().connect(f"tcp:{'a' * 300}:80")


async def test_addresses_that_are_shunned_hear_nothing() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        with contextlib.suppress(ConnectionResetError):
            data = await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()
        heard.set_result(data)

    async with raw(listen) as address:
        pool = Pool(shuns=lambda ip: ip == "127.0.0.1")
        with pytest.raises(Unreachable, match="not an address to be called"):
            await pool.connect(address)
        assert await heard == b""


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_listener_that_has_enough_waiting_is_waited_for(tmp_path: Path) -> None:
    """On uvloop, which routers run on: asyncio takes EAGAIN of a unix socket for a connection that is being made."""
    path = tmp_path / "busy.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(0)
    pool = Pool()
    first = [await pool.connect(f"unix:{path}")]
    more = [asyncio.create_task(pool.connect(f"unix:{path}")) for _ in range(5)]
    await asyncio.wait(more, timeout=0.05)
    assert not all(task.done() for task in more), "the listener was to be full"
    accepted = [await asyncio.to_thread(lambda: listener.accept()[0]) for _ in range(6)]
    first += await asyncio.gather(*more)
    assert len(first) == 6
    for connection in first:
        connection.transport.abort()
    for sock in (*accepted, listener):
        sock.close()
    impatient = Pool(connect_seconds=0.1)
    full = socket.socket(socket.AF_UNIX)
    full.bind(str(tmp_path / "full.sock"))
    full.listen(0)
    one = await impatient.connect(f"unix:{tmp_path}/full.sock")
    with pytest.raises(Unreachable):
        await impatient.connect(f"unix:{tmp_path}/full.sock")
    one.transport.abort()
    full.close()
