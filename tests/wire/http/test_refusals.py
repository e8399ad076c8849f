"""What the server refuses, and whom it does not wait for."""

from __future__ import annotations

import contextlib

import pytest
from tests.wire.http.raw import QUICK, echo, get, serving, talk

from wildsage.wire.http.messages import Request, Response


@pytest.mark.parametrize(
    "message",
    [
        b"rubbish\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_malformed_messages_are_refused(message: bytes) -> None:
    async with serving(echo) as server:
        received = await talk(server, get("/good") + message)
    assert received.count(b"HTTP/1.1 ") == 2
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 400 Bad Request\r\n" in received


async def test_empty_header_values_do_not_run_into_the_next_header() -> None:
    async def names(request: Request) -> Response:
        return Response(200, [], repr(request.headers).encode())

    async with serving(names) as server:
        received = await talk(
            server, b"GET / HTTP/1.1\r\nHost: x\r\nEmpty:\r\nB: 2\r\nAlso: \r\nConnection: close\r\n\r\n"
        )
    assert received.endswith(b"[('host', 'x'), ('empty', ''), ('b', '2'), ('also', ''), ('connection', 'close')]")


@pytest.mark.parametrize("pieces", [1, 5])
async def test_heads_that_are_too_large_are_refused(pieces: int) -> None:
    message = get("/", *(f"H{number}: {'v' * 1000}" for number in range(80)))
    step = len(message) // pieces + 1
    async with serving(echo) as server:
        received = await talk(server, *(message[at : at + step] for at in range(0, len(message), step)))
        endless = await talk(server, b"GET / HTTP/1.1\r\nHost: " + b"x" * 70_000)
    assert received.startswith(b"HTTP/1.1 431 ")
    assert endless.startswith(b"HTTP/1.1 431 ")


async def test_slow_clients_are_cut() -> None:
    async with serving(echo, QUICK) as server:
        assert await talk(server) == b""
        assert (await talk(server, b"GET / HT")).startswith(b"HTTP/1.1 408 ")
        with contextlib.suppress(ConnectionResetError):
            assert await talk(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab") == b""
