"""The server against raw sockets: what arrives on the wire is what is checked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.wire.http.raw import CLOSE, QUICK, echo, get, serving, talk

from wildsage.wire.http.messages import FileBody, Request, Response
from wildsage.wire.http.server import start_server
from wildsage.wire.http.streams import HIGH_WATER, StreamBody


async def test_a_request_is_answered_and_the_connection_kept() -> None:
    async with serving(echo) as server:
        received = await talk(server, get("/a?b=%20c"), get("/two", CLOSE))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"x-target: /a?b=%20c\r\n" in received
    assert b"\r\ndate: " in received
    assert received.count(b"connection: close") == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def slow_first(request: Request) -> Response:
        if request.target == "/0":
            await asyncio.sleep(0.05)
        return Response(200, [], request.target.encode())

    async with serving(slow_first) as server:
        burst = b"".join(get(f"/{number}") for number in range(50)) + get("/last", CLOSE)
        received = await talk(server, burst)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/%d" % number for number in range(50)] + [b"/last"]


@pytest.mark.parametrize("pieces", [1, 7, 400])
async def test_bodies_arrive_however_they_are_cut(pieces: int) -> None:
    chunked = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-t: 1\r\n\r\n"
    sized = b"POST /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    message = chunked + sized
    step = max(1, len(message) // pieces)
    async with serving(echo) as server:
        received = await talk(server, *(message[at : at + step] for at in range(0, len(message), step)))
    assert b"\r\n\r\nhello world" in received
    assert received.endswith(b"\r\n\r\nabc")


async def test_a_large_body_streams_with_back_pressure() -> None:
    total = 32 * 1024 * 1024
    largest = 0

    async def count(request: Request) -> Response:
        nonlocal largest
        assert isinstance(request.body, StreamBody)
        await asyncio.sleep(0.1)
        size = 0
        async for chunk in request.body:
            size += len(chunk)
            largest = max(largest, request.body.buffered)
        return Response(200, [], str(size).encode())

    async with serving(count) as server:
        head = f"POST / HTTP/1.1\r\nHost: x\r\n{CLOSE}\r\nContent-Length: {total}\r\n\r\n".encode()
        received = await talk(server, head, *(bytes(1024 * 1024) for _ in range(total // (1024 * 1024))))
    assert received.endswith(str(total).encode())
    assert largest <= HIGH_WATER + 256 * 1024


async def test_expect_continue_is_answered_when_the_body_is_wanted() -> None:
    async with serving(echo) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(2) == b"ok"
        writer.close()


async def test_a_refused_upload_is_never_sent() -> None:
    async def refuse(request: Request) -> Response:
        return Response(403, [], b"no")

    async with serving(refuse) as server:
        received = await talk(
            server, b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"
        )
    assert received.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in received
    assert b"100 Continue" not in received


async def test_an_answer_before_the_end_of_a_large_body_reaches_its_client() -> None:
    async def refuse(request: Request) -> Response:
        return Response(403, [], b"no")

    async with serving(refuse, QUICK) as server:
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n"
        received = await talk(server, head, bytes(2_000_000))
    assert received.startswith(b"HTTP/1.1 403 ")


async def test_an_unread_small_body_does_not_cost_the_connection() -> None:
    async def ignore(request: Request) -> Response:
        return Response(200, [], b"yes")

    async with serving(ignore) as server:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
        received = await talk(server, head, b"12", b"345", get("/", CLOSE))
    assert received.count(b"HTTP/1.1 200 OK") == 2


async def test_chunked_answers_and_their_absence_for_http_1_0() -> None:
    async def stream(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            yield b""
            yield b"three"

        return Response(200, [], chunks())

    async with serving(stream) as server:
        modern = await talk(server, get("/", CLOSE))
        old = await talk(server, b"GET / HTTP/1.0\r\n\r\n")
    assert modern.endswith(
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"
    )
    assert old.endswith(b"connection: close\r\n\r\nonethree")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_answers_without_a_body(method: str, status: int) -> None:
    async def answer(request: Request) -> Response:
        return Response(status, [("content-length", "7")] if method == "HEAD" else [], b"")

    async with serving(answer) as server:
        request = get("/", CLOSE).replace(b"GET", method.encode(), 1)
        received = await talk(server, request)
    assert received.endswith(b"\r\n\r\n")
    assert (b"content-length: 7" in received) == (method == "HEAD")
    assert status != 204 or b"content-length" not in received


@pytest.mark.parametrize("size", [0, 10, 64 * 1024, 64 * 1024 + 1, 20_000_000])
async def test_files(size: int, tmp_path: Path) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    path = tmp_path / "file"
    path.write_bytes(b"head" + content[:size] + b"tail")

    async def answer(request: Request) -> Response:
        return Response(200, [], FileBody(path, 4, size))

    async with serving(answer) as server:
        received = await talk(server, get(), get("/", CLOSE))
        head = await talk(server, get("/", CLOSE).replace(b"GET", b"HEAD", 1))
    first, _, rest = received.partition(b"\r\n\r\n")
    assert f"content-length: {size}".encode() in first
    assert rest[:size] == content[:size]
    assert received.endswith(b"\r\n\r\n" + content[:size])
    assert f"content-length: {size}".encode() in head


async def test_a_file_that_shrank_cuts_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(200_000))

    async def answer(request: Request) -> Response:
        return Response(200, [], FileBody(path, 0, 300_000))

    async with serving(answer) as server:
        with contextlib.suppress(ConnectionResetError):
            received = await talk(server, get())
            assert len(received) < 300_000


async def test_a_handler_that_raises_is_a_500_and_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Response:
        if request.target == "/raise":
            raise RuntimeError("a bug")
        if request.target == "/split":
            return Response(200, [("x", "a\r\nset-cookie: b")], b"")
        return Response(200, [], b"fine")

    async with serving(broken) as server:
        received = await talk(server, get("/raise"), get("/split"), get("/", CLOSE))
    assert received.count(b"HTTP/1.1 500 ") == 2
    assert b"set-cookie" not in received
    assert received.endswith(b"fine")
    assert "a bug" in caplog.text


async def test_closing_finishes_what_runs() -> None:
    started = asyncio.Event()

    async def slow(request: Request) -> Response:
        started.set()
        await asyncio.sleep(0.1)
        return Response(200, [], b"done")

    async with serving(slow) as server:
        _, idle = await asyncio.open_connection("127.0.0.1", server.port)
        talking = asyncio.create_task(talk(server, get()))
        await started.wait()
        await server.close(grace=5.0)
        received = await talking
        idle.close()
    assert received.endswith(b"done")


async def test_an_offer_to_upgrade_is_ignored() -> None:
    async with serving(echo) as server:
        received = await talk(server, get("/h2", "Connection: Upgrade", "Upgrade: h2c") + get("/after", CLOSE))
    assert b"x-target: /h2" in received
    assert b"x-target: /after" in received


async def test_absolute_targets_are_understood() -> None:
    async with serving(echo) as server:
        received = await talk(server, get("http://x/path?q=1", CLOSE))
    assert b"x-target: /path?q=1\r\n" in received


async def test_unix_sockets_replace_stale_ones_and_headers_of_the_router_are_believed(tmp_path: Path) -> None:
    async def who(request: Request) -> Response:
        return Response(200, [], f"{request.peer} {request.scheme} {len(request.headers)}".encode())

    path = tmp_path / "control.sock"
    path.write_text("stale")
    server = await start_server(who, path=path, behind_router=True)
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(get("/", CLOSE, "x-wildsage-peer: 10.0.0.1:99", "x-wildsage-scheme: https"))
    assert (await reader.read(-1)).endswith(b"10.0.0.1:99 https 2")
    assert path.stat().st_mode & 0o777 == 0o600
    writer.close()
    await server.close()
