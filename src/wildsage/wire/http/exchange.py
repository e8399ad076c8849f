"""One request on a server's connection, and the means to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from wildsage.wire.http import heads
from wildsage.wire.http.bulk import Diverting, Flow, Intake, Pieces, Sink, flow, gather
from wildsage.wire.http.messages import Headers, Request
from wildsage.wire.http.streams import StreamBody

# A request body up to this size that nobody reads is swallowed to keep the connection; for more it is closed.
_SWALLOWED = 1024 * 1024


class Line(Diverting, Protocol):
    """What an exchange needs of its connection."""

    closing: bool

    def write(self, *parts: bytes | memoryview) -> None: ...

    def finished(self, exchange: Exchange) -> None: ...

    def detach(self) -> bytes: ...

    async def drain(self, exchange: Exchange) -> None: ...


class Exchange:
    """One request and its answer.

    Answered by ``respond``, or by ``start``, any number of ``write`` and ``end``.  Once the client has gone (``gone``;
    ``on_gone`` is then called) or the answer is whole, all of them do nothing.

    ``whole``: the request has arrived to its end. ``expects``: its client waits for ``100 Continue``.
    ``legacy``: HTTP/1.0.
    """

    __slots__ = (
        "_chunked",
        "_left",
        "_line",
        "chunks",
        "expects",
        "gone",
        "keep_alive",
        "legacy",
        "on_gone",
        "request",
        "started",
        "stream",
        "whole",
    )

    def __init__(self, line: Line, request: Request, keep_alive: bool, legacy: bool) -> None:
        self._line = line
        self.request = request
        self.keep_alive = keep_alive
        self.legacy = legacy
        self.expects = False
        self.chunks: list[bytes] = []
        self.stream: StreamBody | None = None
        self.whole = False
        self.gone = False
        self.started = False
        self.on_gone: Callable[[], object] | None = None
        self._chunked = False
        self._left: int | None = None

    @property
    def transport(self) -> asyncio.Transport:
        return self._line.transport

    def gather(self, sink: Sink) -> Intake | Pieces:
        """Begins to gather the body of a request that did not arrive at once; nobody else may read it.

        ``whole`` of what it returns is the body. Raises what ``sink`` raises.
        """
        assert self.stream is not None
        length = self.request.header("content-length")
        plain = self.request.scheme == "http"
        return gather(self.stream, self._line if plain else None, None if length is None else int(length), sink)

    def flow(self) -> Flow | StreamBody:
        """The body of a request that did not arrive at once, to be read from here and nowhere else.

        It costs a third of reading a long body from the request, which goes through the parser.
        """
        assert self.stream is not None
        length = self.request.header("content-length")
        plain = self.request.scheme == "http"
        return flow(self.stream, self._line if plain else None, None if length is None else int(length))

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer in one write; a HEAD request gets its head only.

        Raises ValueError for headers that cannot be sent or a content-length that is not the body's.
        """
        if self.gone:
            return
        length = _announced(headers, len(body))
        if heads.bodiless(self.request.method, status):
            body = b""
        elif length != len(body):
            raise ValueError("the content-length is not the body's")
        head = self._head(status, headers, length)
        self.started = True
        self._line.write(head, body)
        self._line.finished(self)

    def start(self, status: int, headers: Headers, length: int | None, first: bytes = b"") -> None:
        """The head of an answer whose body follows; ``length`` None means chunked encoding.

        ``first``: what is there of the body already, to leave in the same write. Raises ValueError as ``write`` does.
        """
        if self.gone:
            return
        if length is None and not heads.bodiless(self.request.method, status):
            if self.legacy:
                self.keep_alive = False  # HTTP/1.0: the end of the connection is the end of the body
            else:
                self._chunked = True
        head = self._head(status, headers, length)
        self.started = True
        self._left = 0 if heads.bodiless(self.request.method, status) else length
        self._line.write(head, *self._framed(first))

    def write(self, data: bytes | memoryview) -> None:
        """A piece of the body. Raises ValueError for more than the announced length.

        While the transport has something unsent, ``data`` may be a part of that.
        """
        if not self.gone and (parts := self._framed(data)):
            self._line.write(*parts)

    def _framed(self, data: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
        if not data or self.request.method == "HEAD":
            return ()
        if self._chunked:
            return b"%x\r\n" % len(data), data, b"\r\n"
        self.count(len(data))
        return (data,)

    def count(self, size: int) -> None:
        """Notes ``size`` bytes of the body that are sent past ``write``."""
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise ValueError("the body is longer than its content-length")

    def end(self) -> None:
        """The body is whole. Raises ValueError for less than the announced length."""
        if self.gone:
            return
        if self._left:
            raise ValueError("the body is shorter than its content-length")
        if self._chunked:
            self._line.write(b"0\r\n\r\n")
        self._line.finished(self)

    async def drain(self) -> None:
        """Waits while the client reads more slowly than we write; raises ClientGone."""
        await self._line.drain(self)

    def abort(self) -> None:
        """Cuts the connection, so that the client sees that the answer is not whole."""
        self._line.transport.abort()

    def detach(self) -> bytes:
        """Takes the connection away from HTTP (CONNECT): its reading is paused, its protocol the caller's to set.

        Returns what the client has already sent after its request.
        """
        self.gone = True
        return self._line.detach()

    def keeps(self) -> bool:
        """Whether the connection goes on after this answer."""
        if not self.keep_alive or self._line.closing:
            return False
        if self.whole:
            return True
        length = self.request.header("content-length")
        return not self.expects and length is not None and int(length) <= _SWALLOWED

    def _head(self, status: int, headers: Headers, length: int | None) -> bytes:
        # An answer that is passed on has the date of its origin (RFC 9110 section 6.6.1).
        names = {name for name, _ in headers}
        framing = "" if "date" in names else f"date: {heads.date.text()}\r\n"
        if self._chunked:
            framing += "transfer-encoding: chunked\r\n"
        elif length is not None and status >= 200 and status != 204 and "content-length" not in names:
            framing += f"content-length: {length}\r\n"
        if not self.keeps():
            self.keep_alive = False
            framing += "connection: close\r\n"
        elif self.legacy:
            framing += "connection: keep-alive\r\n"
        return heads.response_head(status, headers, framing)


def _announced(headers: Headers, default: int | None) -> int | None:
    for name, value in headers:
        if name == "content-length":
            return int(value)
    return default
