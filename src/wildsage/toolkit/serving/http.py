"""A worker's event loop: HTTP/1.1 over one listening socket that all workers share.

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
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Union

_MOST_HEAD = 64 * 1024
_MOST_BODY = 1024 * 1024 * 1024  # asynchronous inference sends up to 1 GB
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
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request(NamedTuple):
    """``headers``: names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """``content_type`` empty: none is sent. A body in pieces is sent as they are made."""

    status: int
    content_type: str
    body: Union[bytes, Iterator[bytes]]  # noqa: UP007 - Python 3.9


class Malformed(Exception):
    """A request that cannot be understood; ``status`` is how it is answered."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


Handle = Callable[[Request], Answer]


class Connection:
    """One client. ``feed`` what arrives, then ``take`` whole requests; ``send`` answers."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unsent: bytes | memoryview = b""
        self.closing = False
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None
        self._length = 0
        self._chunks: _Chunks | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing of a request has arrived and nothing of an answer is left."""
        return not self._buffer and self._head is None and not self.unsent

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def take(self) -> Request | None:
        """The next request once it is whole; raises Malformed."""
        if self._head is None and not self._take_head():
            return None
        assert self._head is not None
        if self._chunks is not None:
            body = self._chunks.take(self._buffer)
            if body is None:
                return None
        else:
            if len(self._buffer) < self._length:
                return None
            with memoryview(self._buffer) as view:
                body = bytes(view[: self._length])
            del self._buffer[: self._length]
        method, target, headers = self._head
        self._head = self._chunks = None
        return Request(method, target, headers, body)

    def send(self, data: bytes) -> bool:
        """Sends what the kernel takes; False if some is left in ``unsent``."""
        if self.unsent:
            self.unsent = bytes(self.unsent) + data
            return False
        self.unsent = memoryview(data)
        return self.flush()

    def flush(self) -> bool:
        """Sends what the kernel takes of ``unsent``; False if some is left."""
        try:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            return False
        return not self.unsent

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEAD:
                raise Malformed(431)
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        parts = lines[0].split(" ")
        if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise Malformed(400)
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or not name or name[-1] in " \t" or name[0] in " \t":
                raise Malformed(400)
            if name in headers and name in ("content-length", "transfer-encoding"):
                raise Malformed(400)
            headers[name] = value.strip()
        self._head = (parts[0], parts[1], headers)
        self._frame(headers, parts[2])
        return True

    def _frame(self, headers: dict[str, str], version: str) -> None:
        """How long the body is, and whether the connection goes on."""
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise Malformed(400)
            self._chunks = _Chunks()
        elif length is not None:
            if not length.isascii() or not length.isdigit():
                raise Malformed(400)
            self._length = int(length)
            if self._length > _MOST_BODY:
                raise Malformed(413)
        else:
            self._length = 0
        connection = headers.get("connection", "").lower()
        self.closing = connection == "close" or (version == "HTTP/1.0" and connection != "keep-alive")
        if headers.get("expect", "").lower() == "100-continue" and len(self._buffer) < max(self._length, 1):
            self.send(_CONTINUE)


class _Chunks:
    """Puts a chunked body together."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._left: int | None = None  # of the current chunk, with its line end; None between chunks
        self._trailers = False

    def take(self, buffer: bytearray) -> bytes | None:
        """The whole body once the last chunk has come; raises Malformed."""
        while True:
            if self._left is None:
                end = buffer.find(b"\r\n")
                if end < 0:
                    if len(buffer) > _MOST_HEAD:
                        raise Malformed(400)
                    return None
                line = bytes(buffer[:end])
                del buffer[: end + 2]
                if self._trailers:
                    if not line:
                        return b"".join(self._parts)
                    continue
                size = self._size_of(line)
                if size == 0:
                    self._trailers = True
                else:
                    self._left = size
            elif len(buffer) < self._left + 2:
                return None
            else:
                if buffer[self._left : self._left + 2] != b"\r\n":
                    raise Malformed(400)
                self._parts.append(bytes(buffer[: self._left]))
                del buffer[: self._left + 2]
                self._left = None

    def _size_of(self, line: bytes) -> int:
        digits = line.partition(b";")[0].strip()
        if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise Malformed(400)
        size = int(digits, 16)
        self._size += size
        if self._size > _MOST_BODY:
            raise Malformed(413)
        return size


class Loop:
    """Serves ``listener`` until SIGTERM, or until ``parent`` (a pipe's end) says that the supervisor is gone."""

    _long = _LONG_SECONDS

    def __init__(self, listener: socket.socket, parent: int, handle: Handle) -> None:
        self._listener = listener
        self._handle = handle
        self._connections: dict[int, Connection] = {}
        self._poll = select.epoll()
        self._stopping = False
        self._watched: dict[int, Callable[[], None]] = {}
        self._fresh: Connection | None = None  # accepted, and not answered yet
        self._extra = ""  # header lines for the next answer
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
            events = self._poll.poll(None if self._fresh is None else _FRESH_SECONDS)
            if not events:
                self._settled(self._fresh)
            for descriptor, event in events:
                if descriptor in self._connections:
                    self._attend(self._connections[descriptor], event)
                elif descriptor in self._watched:
                    self._watched[descriptor]()
                elif descriptor == self._parent:
                    self._stopping = True
                else:
                    self._accept()

    def watch(self, descriptor: int, attend: Callable[[], None], write: bool = False) -> None:
        """Calls ``attend`` whenever there is something to read (``write``: room to write), until ``unwatch``."""
        self._watched[descriptor] = attend
        self._poll.register(descriptor, select.EPOLLOUT if write else select.EPOLLIN)

    def unwatch(self, descriptor: int) -> None:
        del self._watched[descriptor]
        self._poll.unregister(descriptor)

    def _signalled(self, numbers: bytes) -> None:
        """Signals have come, and their handlers have run."""

    def _stop(self, number: int, frame: object) -> None:
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
        while not connection.unsent and not self._stopping:
            try:
                request = connection.take()
            except Malformed as error:
                connection.closing = True
                self._send(connection, Answer(error.status, "", b""), False)
                return
            if request is None:
                return
            began = time.perf_counter()
            answer = self._handle(request)
            if time.perf_counter() - began > self._long:
                connection.closing = True
            self._settled(connection)
            if not self._send(connection, answer, request.method == "HEAD"):
                return

    def _send(self, connection: Connection, answer: Answer, head_only: bool) -> bool:
        """False once the connection is closed."""
        head = f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Status')}\r\n"
        if answer.content_type:
            head += f"content-type: {answer.content_type}\r\n"
        if not isinstance(answer.body, bytes):
            head += "transfer-encoding: chunked\r\n"
        elif answer.status != 204:
            head += f"content-length: {len(answer.body)}\r\n"
        head, self._extra = head + self._extra, ""
        head += "connection: close\r\n\r\n" if connection.closing else "\r\n"
        data = head.encode("latin-1", "replace")
        if not isinstance(answer.body, bytes):
            return self._stream(connection, data, answer.body)
        if connection.send(data if head_only else data + answer.body):
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
        except Exception as error:
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
