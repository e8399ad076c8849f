"""HTTP/1.1 requests and responses as values, shared by the control plane's door and the router.

Header names are lower case; values are text in latin-1, as on the wire.  Bodies stream: nothing here gathers more than
its caller asks for.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from wildsage.wire.aside import aside

Headers = list[tuple[str, str]]
_AT_ONCE = 4 * 1024 * 1024  # bytes that are copied sooner than others would notice


class BodyTooLarge(Exception):
    """``read`` met more bytes than its limit."""


async def read_whole(pieces: AsyncIterable[bytes], limit: int) -> bytes:
    """All of a body in memory; raises BodyTooLarge once more than ``limit`` bytes arrive."""
    parts: list[bytes] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(f"over the limit of {limit} bytes")
        parts.append(piece)
    if size <= _AT_ONCE:
        return b"".join(parts)
    return await aside(size, b"".join, parts)


class ClientGone(Exception):
    """The other side closed the connection before its message was whole."""


class Body(Protocol):
    """A message body that can be consumed once, as chunks or whole."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def read(self, limit: int) -> bytes:
        """All of it; raises BodyTooLarge once more than ``limit`` bytes arrive."""
        ...


class BytesBody:
    """A body already in memory. ``sent``: as it came, if that was compressed: what signatures cover."""

    def __init__(self, data: bytes = b"", sent: bytes | None = None) -> None:
        self.data = data
        self.sent = data if sent is None else sent

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.data:
            yield self.data

    async def read(self, limit: int) -> bytes:
        if len(self.data) > limit:
            raise BodyTooLarge(f"{len(self.data)} bytes, over the limit of {limit}")
        return self.data


@dataclass(frozen=True, slots=True)
class FileBody:
    """A slice of a file, sent by the server with sendfile where it can."""

    path: Path
    offset: int
    length: int


@dataclass(slots=True)
class Request:
    """``target``: the request target as sent (percent-encoded path and query), which signatures cover.

    ``on_gone``: set by a handler that waits for something; called if the client hangs up before it is answered.
    """

    method: str
    target: str
    headers: Headers
    body: Body
    peer: str = ""
    scheme: str = "http"
    on_gone: Callable[[], object] | None = None

    def leave(self) -> None:
        """The client has hung up."""
        if self.on_gone is not None:
            self.on_gone()

    def header(self, name: str) -> str | None:
        """The first value of ``name`` (given in lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def path(self) -> str:
        """Still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Still percent-encoded."""
        return self.target.partition("?")[2]


@dataclass(slots=True)
class Response:
    """``body``: bytes, a file slice, or an async iterator of chunks.

    With an iterator and no content-length header the server uses chunked transfer encoding.
    """

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | FileBody | AsyncIterator[bytes] = b""

    def header(self, name: str) -> str | None:
        """The first value of ``name`` (given in lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None
