"""Sending a slice of a file: by the kernel where it can, and never on the event loop's time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import ClientGone, FileBody, Response

_SMALL = 64 * 1024  # one read, one write
_PIECE = 1024 * 1024
_STALLED_SECONDS = 60.0

P = ParamSpec("P")
T = TypeVar("T")


async def send_file(exchange: Exchange, response: Response, body: FileBody) -> None:
    """Answers with ``body``. Raises OSError if the file cannot be read or is too short, ClientGone."""
    if exchange.request.method == "HEAD":
        exchange.start(response.status, response.headers, body.length)
        exchange.end()
        return
    file = os.open(body.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if body.length <= _SMALL:
            data = await _in_thread(os.pread, file, body.length, body.offset)
            if len(data) < body.length:
                raise _too_short(body)
            exchange.respond(response.status, response.headers, data)
        elif exchange.transport.get_extra_info("sslcontext") is None:
            await _by_kernel(exchange, response, file, body)
        else:
            await _by_pieces(exchange, response, file, body)
    finally:
        os.close(file)


async def _by_pieces(exchange: Exchange, response: Response, file: int, body: FileBody) -> None:
    exchange.start(response.status, response.headers, body.length)
    offset, end = body.offset, body.offset + body.length
    while offset < end:
        data = await _in_thread(os.pread, file, min(_PIECE, end - offset), offset)
        if not data:
            raise _too_short(body)
        offset += len(data)
        exchange.write(data)
        await exchange.drain()
    exchange.end()


async def _by_kernel(exchange: Exchange, response: Response, file: int, body: FileBody) -> None:
    """sendfile on a second descriptor of the socket, since the event loop keeps the first to itself.

    A thread makes the call, because a page that is not cached is read from the disk in it.
    """
    transport = exchange.transport
    exchange.start(response.status, response.headers, body.length)
    await exchange.drain()  # the head is in the kernel: connections have no buffer of their own
    sock = os.dup(transport.get_extra_info("socket").fileno())
    try:
        offset, end = body.offset, body.offset + body.length
        while offset < end:
            sent = await _in_thread(_sendfile, sock, file, offset, min(_PIECE, end - offset))
            if sent == 0:
                raise _too_short(body)
            if sent < 0:
                await _writable(sock)
                continue
            offset += sent
            exchange.count(sent)
    finally:
        os.close(sock)
    exchange.end()


def _sendfile(sock: int, file: int, offset: int, count: int) -> int:
    """Bytes sent, 0 at the end of the file, -1 while the socket is full."""
    try:
        return os.sendfile(sock, file, offset, count)
    except BlockingIOError:
        return -1
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ClientGone("the client closed the connection before its answer was whole") from error


async def _writable(sock: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(sock, ready.set)
    try:
        async with asyncio.timeout(_STALLED_SECONDS):
            await ready.wait()
    except TimeoutError as error:
        raise ClientGone("the client stopped reading") from error
    finally:
        loop.remove_writer(sock)


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``to_thread``, but a cancelled caller still waits: descriptors must not be closed under the thread."""
    work = asyncio.create_task(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _too_short(body: FileBody) -> OSError:
    return OSError(f"{body.path} is shorter than {body.offset + body.length} bytes")
