"""The client's side of HTTP/1.1 connections, and the pool that keeps them.

A connection reports one answer at a time to a :class:`Receiver`, by callbacks: ``client.py`` puts an async face on it,
the router's hot path uses it as it is.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from wildsage.wire.http import heads
from wildsage.wire.http.bulk import WORTHWHILE, Relay, Scratch, Taker, switch
from wildsage.wire.http.messages import Headers
from wildsage.wire.http.streams import write_at_once
from wildsage.wire.http.unix import itself

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05  # seconds between two looks whether a listener has room
_UNSENT = 1024 * 1024  # bytes that wait for a neighbour in the kernel rather than here, if the system lets them
_HEAD_MOST = 256 * 1024
_JOIN_LIMIT = 16 * 1024  # up to here a copy costs less than one more system call


class Unreachable(ConnectionError):
    """No connection could be made; nothing was sent."""


class Unanswered(Unreachable):
    """No connection was made in time: there may be somebody who has as many waiting as may wait."""


class Untrusted(Unreachable):
    """There is somebody, but no TLS connection that can be trusted: the certificate, or no TLS at all."""


class AnswerLost(ConnectionError):
    """The other side closed, or sent what is not HTTP, before its answer was whole."""


class Receiver(Protocol):
    """Who waits for an answer. After ``on_end`` or ``on_lost`` it hears nothing more."""

    def on_continue(self) -> None:
        """``100 Continue``."""
        ...

    def on_head(self, status: int, headers: Headers) -> None: ...

    def on_data(self, data: bytes) -> None: ...

    def on_pause(self) -> None:
        """All bytes at hand are used up and the answer is not whole yet."""
        ...

    def on_end(self) -> None:
        """The answer is whole. The connection can take the next request if it is ``reusable``."""
        ...

    def on_lost(self, error: AnswerLost) -> None: ...


class ClientConnection(asyncio.Protocol):
    """One connection to ``address``; ``begin`` before each request is written."""

    def __init__(self, address: str, pool: Pool) -> None:
        self.address = address
        self.reusable = True
        self.idle_since = 0.0
        self._pool = pool
        self._receiver: Receiver | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._head_only = False
        self._head_size = 0
        self._interim = False
        self._framed = False
        self._left = 0
        self._keep = False
        self._headers: Headers = []
        self._in_head = True
        self._drained: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    def begin(self, receiver: Receiver, method: str) -> None:
        """The next answer, to a ``method`` request, is ``receiver``'s."""
        self._receiver = receiver
        self._head_only = method == "HEAD"
        self._head_size = 0

    def send(self, receiver: Receiver, head: bytes, body: bytes) -> bool:
        """Writes a whole POST; False, and nothing was sent, if the connection turns out closed by the other side.

        What is written leaves at once, or else the system says that nobody will read it.
        """
        self.begin(receiver, "POST")
        transport = self.transport
        if len(body) <= _JOIN_LIMIT:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        if transport.is_closing():
            self.forsake()
            return False
        return True

    def relay(self, taker: Taker) -> None:
        """Gives what is still to come of the answer's body to ``taker`` instead of the receiver's ``on_data``.

        To be called from ``on_pause``. Does nothing where it is too little, or nobody knows how much.
        """
        assert self._parser is not None
        if self._left >= WORTHWHILE and self.transport.get_extra_info("sslcontext") is None:
            self._keep = self._parser.should_keep_alive()
            self._parser = None
            Relay(self, self._left, taker, self._pool.scratch)

    def forsake(self) -> None:
        """Nobody waits for the answer any more; the connection cannot be used again."""
        self._receiver = None
        self.reusable = False
        self.transport.abort()

    async def drain(self) -> None:
        """Waits while the other side reads more slowly than we write."""
        while self._drained is not None:
            await asyncio.shield(self._drained)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        write_at_once(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._parser = None
        self._pool.forget(self)
        self.resume_writing()
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        if exc is None and not self._in_head and not self._framed:
            receiver.on_end()  # RFC 9112 section 6.3: without a length the end of the connection is the end
        else:
            receiver.on_lost(AnswerLost(f"{self.address} closed the connection before its answer was whole"))

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            return
        if self._receiver is None:  # nobody asked
            self.reusable = False
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._give_up(f"{self.address} answered with what is not HTTP: {error}")
            return
        if self._in_head and self._receiver is not None:
            self._head_size += len(data)
            if self._head_size > _HEAD_MOST:
                self._give_up(f"{self.address} answered with a head without end")
                return
        if self._receiver is not None:
            self._receiver.on_pause()

    def moved(self) -> None:
        """Answers are not timed here."""

    def take_back(self) -> None:
        switch(self.transport, self)
        self._parser = httptools.HttpResponseParser(self)
        self._end(self._keep)

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # the parser's callbacks

    def on_message_begin(self) -> None:
        self._headers = []
        self._in_head = True
        self._framed = False
        self._left = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            text = heads.NAMES.get(name) or heads.name_of(name)
            if text in ("content-length", "transfer-encoding"):
                self._framed = True
                self._left = int(value) if text == "content-length" else 0
            self._headers.append((text, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        self._interim = status < 200
        if self._receiver is None:
            return
        if self._interim:
            if status == 100:
                self._receiver.on_continue()
            return
        self._in_head = False
        self._receiver.on_head(status, self._headers)
        if self._head_only:
            # The parser would wait for the body that the headers announce.
            keep = self._parser.should_keep_alive()
            self._parser = httptools.HttpResponseParser(self)
            self._end(keep)

    def on_body(self, data: bytes) -> None:
        self._left -= len(data)
        if self._receiver is not None:
            self._receiver.on_data(data)

    def on_message_complete(self) -> None:
        if not self._interim and self._parser is not None and self._receiver is not None:
            self._end(self._parser.should_keep_alive())

    def _give_up(self, words: str) -> None:
        self.reusable = False
        self.transport.abort()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.on_lost(AnswerLost(words))

    def _end(self, keep: bool) -> None:
        self.reusable = keep and self.reusable and not self.transport.is_closing()
        receiver, self._receiver = self._receiver, None
        self._in_head = True
        if receiver is not None:
            receiver.on_end()


class Pool:
    """Idle connections by address, the newest first; ``unix:/path``, ``tcp:host:port`` or ``tls:host:port``.

    A connection idle for ``idle_seconds`` is not used again: the server may be about to close it.
    ``tls``: whom to trust; without it there are no ``tls:`` addresses. ``shuns``: which IP addresses are not spoken to,
    asked of the one that a name turned out to be.
    """

    def __init__(
        self,
        idle_seconds: float = 30.0,
        most_idle: int = 256,
        connect_seconds: float = 5.0,
        tls: ssl.SSLContext | None = None,
        shuns: Callable[[str], bool] | None = None,
    ) -> None:
        self._idle: dict[str, list[ClientConnection]] = {}
        self._idle_seconds = idle_seconds
        self._most_idle = most_idle
        self._connect_seconds = connect_seconds
        self._tls = tls
        self._shuns = shuns
        self.scratch = Scratch()
        self._loop = asyncio.get_running_loop()

    def take(self, address: str) -> ClientConnection | None:
        """An idle connection, if there is one."""
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if self._loop.time() - connection.idle_since < self._idle_seconds and not connection.transport.is_closing():
                return connection
            connection.transport.abort()
        return None

    async def connect(self, address: str) -> ClientConnection:
        """A new connection; raises Unreachable (Unanswered, Untrusted)."""
        kind, _, place = address.partition(":")
        if kind == "tls" and self._tls is None:
            raise ValueError("this pool was not told whom to trust")
        try:
            async with asyncio.timeout(self._connect_seconds):
                if kind == "unix":
                    connection = await self._connect_unix(address, place)
                else:
                    host, _, port = place.rpartition(":")
                    _, connection = await self._loop.create_connection(
                        lambda: ClientConnection(address, self),
                        host.strip("[]"),
                        int(port),
                        ssl=self._tls if kind == "tls" else None,
                    )
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"the certificate of {address} is not trusted: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise Untrusted(f"{address} does not speak TLS as we do: {error.reason or error}") from error
        except TimeoutError as error:
            raise Unanswered(f"nothing answers at {address}: {error}") from error
        except (OSError, UnicodeError) as error:  # the last: a host that cannot be a name
            raise Unreachable(f"nothing answers at {address}: {error}") from error
        peer = connection.transport.get_extra_info("peername")
        if self._shuns is not None and kind != "unix" and (not peer or self._shuns(peer[0])):
            connection.transport.abort()
            raise Unreachable(f"{address} is not an address to be called from here")
        return connection

    async def _connect_unix(self, address: str, path: str) -> ClientConnection:
        pause = _FIRST_PAUSE
        while True:
            try:
                with itself(path) as place:
                    _, connection = await self._loop.create_unix_connection(
                        lambda: ClientConnection(address, self), place
                    )
                sock = connection.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
            except BlockingIOError:  # unix(7): somebody is there, but has as many waiting as it wants to have
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return connection

    def give(self, connection: ClientConnection) -> None:
        """Takes a connection back after its answer; closes one that cannot be used again."""
        if not connection.reusable or len(self._idle.get(connection.address, ())) >= self._most_idle:
            connection.transport.abort()
            return
        connection.idle_since = self._loop.time()
        self._idle.setdefault(connection.address, []).append(connection)

    def forget(self, connection: ClientConnection) -> None:
        idle = self._idle.get(connection.address)
        if idle is not None:
            if connection in idle:
                idle.remove(connection)
            if not idle:
                del self._idle[connection.address]

    def close(self) -> None:
        for idle in list(self._idle.values()):
            for connection in list(idle):
                connection.transport.abort()
        self._idle.clear()
