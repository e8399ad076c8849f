"""Sending a slice of a file: by the kernel where it can, and never on the event loop's time."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import ClientGone, FileBody, Response

_SMALL = 64 * 1024  # one read, one write
_PIECE = 1024 * 1024
_TURN_BYTES = 32 * 1024 * 1024
_TURN_SECONDS = 0.1  # a thread's turn: threads are few, and slow clients many
_PAUSE_MILLISECONDS = 10
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

    A thread makes the calls, because a page that is not cached is read from the disk in them, and goes on as long as
    the client keeps up: each change between thread and loop costs more than the kernel takes for a megabyte.
    """
    transport = exchange.transport
    exchange.start(response.status, response.headers, body.length)
    await exchange.drain()  # the head is in the kernel: connections have no buffer of their own
    sock = os.dup(transport.get_extra_info("socket").fileno())
    try:
        offset, end = body.offset, body.offset + body.length
        while offset < end:
            sent = await _in_thread(_sendfile, sock, file, offset, min(_TURN_BYTES, end - offset))
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
    """Bytes sent in one turn, 0 at the end of the file, -1 while the socket is full."""
    sent, until = 0, time.monotonic() + _TURN_SECONDS
    ready = select.poll()
    ready.register(sock, select.POLLOUT)
    try:
        while sent < count:
            try:
                done = os.sendfile(sock, file, offset + sent, min(_PIECE, count - sent))
            except BlockingIOError:
                if time.monotonic() > until or not ready.poll(_PAUSE_MILLISECONDS):
                    return sent or -1
                continue
            if not done or time.monotonic() > until:
                return sent + done
            sent += done
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ClientGone("the client closed the connection before its answer was whole") from error
    return sent


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
