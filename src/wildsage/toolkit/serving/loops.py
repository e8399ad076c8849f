"""The event loop of a process that answers: HTTP/1.1 over one listening socket, which the workers share.

A worker takes one request at a time, since the user's functions block; what it cannot take waits in the kernel, where
an idle worker finds it.  So that one worker does not gather connections which another could serve, it accepts the next
only once the last has had its first answer, or has said nothing for a moment.  And a connection whose request took long
is closed after the answer: its client then connects anew, and whichever worker is idle by then takes it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from .http import Answer, Connection, Handle, Malformed, Request

_LONG_SECONDS = 0.005  # from here on, a new connection costs little beside the request itself
_FRESH_SECONDS = 0.02  # how long a new connection may be silent before the next is accepted
_READ = 256 * 1024
_PIECE_SECONDS = 60.0  # how long a client may take to accept a piece of a streamed answer
_UNSENT = 1024 * 1024  # of an answer, in the kernel, if the system lets it: the router takes it as it can
_PHRASES = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}


class Loop(ABC):
    """Serves ``listener`` until SIGTERM, or until ``parent`` (a pipe's end) says that the supervisor is gone."""

    def __init__(self, listener: socket.socket, parent: int) -> None:
        self._listener = listener
        self._connections: dict[int, Connection] = {}
        self._poll = select.epoll()
        self._stopping = False
        self._watched: dict[int, Callable[[], None]] = {}
        self._fresh: Connection | None = None  # accepted, and not answered yet
        self._waiting: set[Connection] = set()  # for an answer that was not known at once
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._parent = parent
        self._poll.register(parent, select.EPOLLIN)
        self.watch(woken, lambda: self._signalled(os.read(woken, 4096)))
        self._poll.register(listener, select.EPOLLIN)

    def run(self) -> None:
        while not self._stopping:
            self._round()

    def _round(self) -> None:
        """Waits until something happens, and attends to it."""
        events = self._poll.poll(None if self._fresh is None else _FRESH_SECONDS)
        if not events:
            self._settled(self._fresh)
        for descriptor, event in events:
            if descriptor in self._connections:
                self._attend(self._connections[descriptor], event)
            elif descriptor in self._watched:
                self._watched[descriptor]()
            elif descriptor == self._parent:
                self._orphaned()
            elif descriptor == self._listener.fileno():  # else what it was of was closed in this round
                self._accept()

    def watch(self, descriptor: int, attend: Callable[[], None], write: bool = False) -> None:
        """Calls ``attend`` whenever there is something to read (``write``: room to write), until ``unwatch``."""
        self._watched[descriptor] = attend
        self._poll.register(descriptor, select.EPOLLOUT if write else select.EPOLLIN)

    def unwatch(self, descriptor: int) -> None:
        del self._watched[descriptor]
        self._poll.unregister(descriptor)

    def _signalled(self, numbers: bytes) -> None:  # noqa: B027 - for those that it concerns
        """Signals have come, and their handlers have run."""

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _orphaned(self) -> None:
        """The supervisor is gone."""
        self._stopping = True

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # another worker was faster, or the client has gone again
            return
        sock.setblocking(False)
        if sock.family == socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._connections[sock.fileno()] = Connection(sock)
        self._poll.register(sock, select.EPOLLIN)
        self._fresh = connection
        self._poll.unregister(self._listener)
        self._attend(connection, select.EPOLLIN)

    def _attend(self, connection: Connection, event: int) -> None:
        try:
            if event & select.EPOLLOUT:
                self._flush(connection)
            elif not connection.unsent:
                self._read(connection)
        except OSError:
            self._close(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(_READ)
        except BlockingIOError:
            return
        if not data:
            self._close(connection)
            return
        connection.feed(data)
        self._answer(connection)

    def _answer(self, connection: Connection) -> None:
        """Answers the whole requests at hand, in order."""
        while not connection.unsent and not self._stopping and connection not in self._waiting:
            try:
                request = connection.take()
            except Malformed as error:
                connection.closing = True
                self._send(connection, Answer(error.status, "", b""), False)
                return
            if request is None:
                return
            self._settled(connection)
            answer = self._answered(connection, request)
            if answer is None:
                self._waiting.add(connection)
            elif not self._send(connection, answer, request.method == "HEAD"):
                return

    @abstractmethod
    def _answered(self, connection: Connection, request: Request) -> Answer | None:
        """The answer; None: it comes later."""

    def answer_later(self, connection: Connection, answer: Answer) -> None:
        """To a request whose answer was not known at once; the client may have gone."""
        self._waiting.discard(connection)
        if self._connections.get(connection.sock.fileno()) is not connection:
            return
        try:
            if self._send(connection, answer, False):
                self._answer(connection)
        except OSError:
            self._close(connection)

    def _send(self, connection: Connection, answer: Answer, head_only: bool) -> bool:
        """False once the connection is closed."""
        status, kind, body, extra = answer
        head = f"HTTP/1.1 {status} {_PHRASES.get(status, 'Status')}\r\n{extra}"
        if kind:
            head += f"content-type: {kind}\r\n"
        if not isinstance(body, bytes):
            head += "transfer-encoding: chunked\r\n"
        elif status != 204:
            head += f"content-length: {len(body)}\r\n"
        head += "connection: close\r\n\r\n" if connection.closing else "\r\n"
        data = head.encode("latin-1", "replace")
        if not isinstance(body, bytes):
            return self._stream(connection, data, body)
        if connection.send(data if head_only else data + body):
            if connection.closing:
                self._close(connection)
            return not connection.closing
        self._poll.modify(connection.sock, select.EPOLLOUT)
        return True

    def _stream(self, connection: Connection, head: bytes, pieces: Iterable[bytes]) -> bool:
        """Each piece is on its way before the next is made; the first leaves with the head, which alone is no news.

        What breaks off ends the connection.
        """
        sock = connection.sock
        sock.settimeout(_PIECE_SECONDS)
        try:
            for piece in filter(None, pieces):
                sock.sendall(b"%b%x\r\n%b\r\n" % (head, len(piece), piece))
                head = b""
            sock.sendall(head + b"0\r\n\r\n")
        except Exception as error:  # the user's code makes the pieces, and may raise anything
            if not isinstance(error, OSError):
                traceback.print_exc()
            connection.closing = True
        if connection.closing:
            self._close(connection)
            return False
        sock.setblocking(False)
        return True

    def _flush(self, connection: Connection) -> None:
        if not connection.flush():
            return
        if connection.closing:
            self._close(connection)
            return
        self._poll.modify(connection.sock, select.EPOLLIN)
        self._answer(connection)

    def _close(self, connection: Connection) -> None:
        self._settled(connection)
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            connection.sock.close()

    def _settled(self, connection: Connection | None) -> None:
        """If ``connection`` is the newest, the next may be accepted."""
        if connection is not None and connection is self._fresh:
            self._fresh = None
            self._poll.register(self._listener, select.EPOLLIN)


class Serving(Loop):
    """Answers with what ``handle`` returns, one request at a time."""

    _long = _LONG_SECONDS

    def __init__(self, listener: socket.socket, parent: int, handle: Handle) -> None:
        super().__init__(listener, parent)
        self._handle = handle

    def _answered(self, connection: Connection, request: Request) -> Answer:
        began = time.perf_counter()
        answer = self._handle(request)
        if time.perf_counter() - began > self._long:
            connection.closing = True
        return answer
