"""The server's side of one HTTP/1.1 connection: parsing, order, keep-alive, back-pressure.

A connection turns bytes into exchanges and hands them, one at a time and in order, to ``on_request``; it knows nothing
of tasks.  ``server.py`` runs an async handler on top of it, the router answers its hot path from callbacks.  A request
that arrived whole has a BytesBody, any other a StreamBody.

Smuggling: llhttp in its strict mode refuses a message with both Content-Length and Transfer-Encoding, repeated or
malformed lengths, a last coding other than chunked, bare line feeds, folded headers and spaces before the colon.  After
a malformed message nothing on the connection is believed any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NoReturn, cast

import httptools

from wildsage.wire.http import heads
from wildsage.wire.http.bulk import switch
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.limits import Limits
from wildsage.wire.http.messages import BytesBody, ClientGone, Headers, Request
from wildsage.wire.http.streams import HIGH_WATER, LOW_WATER, StreamBody, write_at_once

_JOIN_LIMIT = 16 * 1024  # up to here a copy costs less than one more buffer in the system call
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Members(set["ServerConnection"]):
    """A server's live connections; ``none_left`` is set while there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.none_left = asyncio.Event()
        self.none_left.set()

    def join(self, member: ServerConnection) -> None:
        self.add(member)
        self.none_left.clear()

    def leave(self, member: ServerConnection) -> None:
        self.discard(member)
        if not self:
            self.none_left.set()


class ServerConnection(asyncio.Protocol):
    """Parses requests and keeps answers in order"""

    def __init__(self, on_request: Callable[[Exchange], None], limits: Limits, members: Members) -> None:
        self._on_request = on_request
        self._limits = limits
        self._members = members
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        # Exchanges: being parsed, waiting their turn, being answered.
        self._reading: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._active: Exchange | None = None
        self._dispatching = False
        # The message being parsed.
        self._url = b""
        self._headers: Headers = []
        self._in_head = True
        self._head_size = 0
        self._head_since: float | None = None
        self._refusal = 0
        self._rest: bytes | None = None
        # Flow.
        self._seen = self._loop.time()
        self._paused = False
        self._full = False
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0
        self._lost = False
        self.closing = False
        self.transport: asyncio.Transport
        self.peer = ""
        self.scheme = "http"

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.peer = f"{peer[0]}:{peer[1]}"
        if transport.get_extra_info("sslcontext") is not None:
            self.scheme = "https"
        write_at_once(self.transport)
        self._members.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()
        error = ClientGone("the client closed the connection before its request was whole")
        waiting = [self._active, *self._queue]
        self._active = self._reading = None
        self._queue.clear()
        for exchange in waiting:
            if exchange is not None and not exchange.gone:
                exchange.gone = True
                if exchange.stream is not None:
                    exchange.stream.fail(error)
                if exchange.on_gone is not None:
                    exchange.on_gone()

    def data_received(self, data: bytes) -> None:
        self._seen = self._loop.time()
        if self.closing or self._parser is None:
            return
        self._head_size += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or 400)
        else:
            if self._reading is None and self._head_size > self._limits.head_bytes:
                self._refuse(431)
        if self._active is not None:
            if self._queue:
                self._pause()
        elif self._queue or self._refusal:
            self._dispatch()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()
        self._unsent = self.transport.get_write_buffer_size()
        self._seen = self._loop.time()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # the parser's callbacks; one that raises stops the parser

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are dropped
            self._headers.append((heads.NAMES.get(name) or heads.name_of(name), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        self._in_head = False
        if self._head_size > self._limits.head_bytes:
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > self._limits.head_bytes:
                self._stop(431)
        self._head_since = None
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._stop(505)
        method = parser.get_method().decode("latin-1")
        target = self._url.decode("latin-1")
        if target[:1] != "/" and method != "CONNECT":
            target = heads.origin_form(target)
        request = Request(method, target, self._headers, BytesBody(), self.peer, self.scheme)
        exchange = Exchange(self, request, parser.should_keep_alive() and method != "CONNECT", version == "1.0")
        hosts = 0
        for name, value in self._headers:
            if name == "host":
                hosts += 1
            elif name == "expect":
                exchange.expects = value.lower() == "100-continue"
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            self._stop(400)
        self._reading = exchange
        self._queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        exchange = self._reading
        assert exchange is not None
        if exchange.stream is not None:
            if not exchange.gone:
                exchange.stream.feed(data)
        elif not exchange.gone:
            exchange.chunks.append(data)

    def on_message_complete(self) -> None:
        exchange, self._reading = self._reading, None
        assert exchange is not None
        exchange.whole = True
        self._head_size = 0
        if exchange.stream is not None:
            exchange.stream.finish()

    # what an exchange and its body ask for

    def write(self, *parts: bytes | memoryview) -> None:
        if self._lost:
            return
        if sum(map(len, parts)) <= _JOIN_LIMIT:
            parts = (b"".join(parts),)
        # uvloop's; asyncio's own forgets to pause the writer before 3.12.9 and 3.13.2 (CVE-2024-12254).
        self.transport.writelines(parts)

    async def drain(self, exchange: Exchange) -> None:
        while self._drained is not None and not exchange.gone:
            await asyncio.shield(self._drained)
        if exchange.gone:
            raise ClientGone("the client closed the connection before its answer was whole")

    def finished(self, exchange: Exchange) -> None:
        """The answer is written; on to the next request."""
        exchange.gone = True
        self._active = None
        keep = exchange.keep_alive and exchange.keeps()
        if exchange.stream is not None:
            exchange.stream.discard()
        if not keep:
            self.close()
        elif not self._dispatching and (self._queue or self._paused or self._refusal):
            self._dispatch()

    def detach(self) -> bytes:
        """See ``Exchange.detach``."""
        self._pause()
        self._release()
        self._active = None
        return self._rest or b""

    def body_wanted(self) -> None:
        exchange = self._active
        if exchange is None or not exchange.expects or exchange.whole:
            return
        if not exchange.started:
            exchange.expects = False
            self.write(_CONTINUE)
        elif exchange.stream is not None:
            exchange.stream.fail(ClientGone("the client was answered before its body was asked for, and keeps it"))

    def divert(self, diversion: asyncio.BufferedProtocol) -> None:
        """The rest of the body that is being read goes to ``diversion``, until ``take_back``."""
        self._parser = None
        switch(self.transport, diversion)

    def moved(self) -> None:
        self._seen = self._loop.time()

    def take_back(self) -> None:
        switch(self.transport, self)
        self._parser = httptools.HttpRequestParser(self)
        self.on_message_complete()

    def body_level(self, buffered: int) -> None:
        if buffered > HIGH_WATER:
            self._full = True
            self._pause()
        elif self._full and buffered < LOW_WATER:
            self._full = False
            self._resume()

    # what the server asks for

    def close(self) -> None:
        """Closes once everything written has been sent.

        While the client is still sending it only closes our half and swallows the rest for a moment: closing at once
        would reset the connection, and the client might never see the answer.
        """
        if self.closing or self._lost:
            return
        self.closing = True
        self._queue.clear()
        if self._reading is None or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._resume()
        self._loop.call_later(self._limits.linger_seconds, self.transport.close)

    def close_gently(self) -> None:
        """An idle connection closes now, a busy one after the answers it owes."""
        if self._active is None and not self._queue:
            self.close()
            return
        last = self._queue[-1] if self._queue else self._active
        assert last is not None
        last.keep_alive = False

    def check_pace(self, now: float) -> None:
        """Cuts the connection if its client has been too slow; called about once a second."""
        limits = self._limits
        silent = now - self._seen
        if self._drained is not None:
            unsent = self.transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._seen = now
            elif silent > limits.write_seconds:
                self.transport.abort()
            self._unsent = unsent
        elif self._reading is not None:
            if silent > limits.body_seconds and not self._paused and not self._reading.expects:
                self.transport.abort()
        elif self._head_since is not None:
            if now - self._head_since > limits.head_seconds:
                self._refuse(408)
                self._finish_refusal()
        elif self._active is None and silent > limits.idle_seconds:
            self.close()

    # inside

    def _feed(self, data: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._queue[-1].request.method == "CONNECT":
                self._rest = rest
                self._parser = None
                self._pause()
            else:  # RFC 9110 section 7.8: a server may ignore an offer to upgrade
                self._parser = httptools.HttpRequestParser(self)
                self._feed(rest)
        if self._reading is None and self._head_size and self._head_since is None:
            self._head_since = self._seen

    def _dispatch(self) -> None:
        """Starts the next exchange; the rest of a pipeline waits, most of it in the client."""
        self._dispatching = True
        while self._active is None and self._queue and not self.closing:
            exchange = self._active = self._queue.popleft()
            if exchange.whole:
                exchange.request.body = BytesBody(b"".join(exchange.chunks))
            else:
                exchange.request.body = exchange.stream = StreamBody(self, exchange.chunks)
            exchange.chunks = []
            self._on_request(exchange)
        self._dispatching = False
        if self._queue:
            self._pause()
        elif not self._full:
            self._resume()
        if self._refusal:
            self._finish_refusal()

    def _stop(self, status: int) -> NoReturn:
        self._refusal = status
        raise ValueError(f"refused with {status}")

    def _refuse(self, status: int) -> None:
        """A message that cannot be understood: it is answered with ``status`` once those before it are answered."""
        reading = self._reading
        self._parser = None
        self._refusal = status
        if reading is None:
            return
        if reading in self._queue:
            self._queue.remove(reading)
        else:
            reading.keep_alive = False
            if reading.stream is not None:
                reading.stream.fail(ClientGone("the request's body is malformed"))

    def _finish_refusal(self) -> None:
        if self._active is None and not self._queue and not self.closing:
            self.write(heads.response_head(self._refusal, [], "content-length: 0\r\nconnection: close\r\n"))
            self.close()

    def _pause(self) -> None:
        if not self._paused and not self._lost and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._rest is None and not self._lost and not self.transport.is_closing():
            self._paused = False
            self._seen = self._loop.time()
            self.transport.resume_reading()

    def _release(self) -> None:
        self._lost = True
        self._parser = None
        self._members.leave(self)
        self.resume_writing()
