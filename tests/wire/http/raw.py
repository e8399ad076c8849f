"""A server, and what a raw socket gets of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from wildsage.wire.http.limits import Limits
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import Handler, Server, start_server

QUICK = Limits(head_seconds=0.2, body_seconds=0.3, idle_seconds=0.4, linger_seconds=0.2)


@contextlib.asynccontextmanager
async def serving(handler: Handler, limits: Limits | None = None) -> AsyncIterator[Server]:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = await start_server(handler, sock=sock, limits=limits or Limits())
    try:
        yield server
    finally:
        await server.close(grace=1.0)


async def talk(server: Server, *sent: bytes) -> bytes:
    """Sends each piece, then everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for piece in sent:
        writer.write(piece)
        await writer.drain()
    received = await reader.read(-1)
    writer.close()
    return received


def get(path: str = "/", *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


CLOSE = "Connection: close"


async def echo(request: Request) -> Response:
    body = await request.body.read(1 << 30)
    return Response(200, [("x-method", request.method), ("x-target", request.target)], body)
