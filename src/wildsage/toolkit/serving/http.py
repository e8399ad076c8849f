"""HTTP/1.1 as the model server speaks it: requests out of bytes, and answers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple, Union

_MOST_HEAD = 64 * 1024
_MOST_BODY = 1024 * 1024 * 1024  # asynchronous inference sends up to 1 GB
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request(NamedTuple):
    """``headers``: names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """``content_type`` empty: none is sent. A body in pieces is sent as they are made. ``extra``: more header lines."""

    status: int
    content_type: str
    body: Union[bytes, Iterator[bytes]]  # noqa: UP007 - Python 3.9
    extra: str = ""


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
        self._chunks: Chunks | None = None

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
            self._chunks = Chunks()
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


class Chunks:
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
