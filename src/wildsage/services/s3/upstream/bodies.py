"""Bytes on their way to the upstream and back: never more than a few pieces of them in memory."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import IO, Final

from wildsage.core.clock import Clock
from wildsage.core.errors import ApiError
from wildsage.services.s3.objects.store import Trailed
from wildsage.wire.http.messages import read_whole

_PIECE: Final = 64 * 1024  # bytes; AWS takes no chunks below 8 KiB but the last
_FILE_PIECE: Final = 1 << 20
_TRAILER: Final = re.compile(r"x-amz-checksum-[a-z0-9]{3,12}")


class Pulse:
    """Since when it is the upstream that is waited for; not while the client sends slowly."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._since: float | None = clock.monotonic()

    def ours(self) -> None:
        """The client is waited for."""
        self._since = None

    def theirs(self) -> None:
        """The upstream is waited for, from now on."""
        self._since = self._clock.monotonic()

    @property
    def left(self) -> float:
        """Seconds until it has been silent for too long."""
        return self._seconds if self._since is None else self._since + self._seconds - self._clock.monotonic()


class Sized:
    """A body of a known length.

    Its last piece is held back until the whole of it is proven (signature, checksums, length): what turns out wrong at
    its end never becomes whole at the upstream.
    """

    def __init__(self, source: AsyncIterable[bytes], length: int, pulse: Pulse) -> None:
        self._source = source
        self._length = length
        self._pulse = pulse

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held, seen = b"", 0
        self._pulse.ours()
        async for chunk in self._source:
            seen += len(chunk)
            if seen > self._length:
                raise _incomplete()
            if held:
                self._pulse.theirs()
                yield held
                self._pulse.ours()
            held = chunk
        if seen != self._length:
            raise _incomplete()
        self._pulse.theirs()
        if held:
            yield held

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)


class Trailing:
    """A body in the form ``aws-chunked``, with the checksum that followed it in the client's request.

    Its end is only written once the source's end is proven.
    """

    def __init__(self, source: Trailed, chunks: AsyncIterable[bytes], name: str, pulse: Pulse) -> None:
        self._source = source
        self._chunks = chunks
        self._name = name
        self._pulse = pulse

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._pulse.ours()
        async for piece in _pieces(self._chunks):
            self._pulse.theirs()
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
            self._pulse.ours()
        value = self._source.trailers.get(self._name)
        if value is None or not value.isascii() or not value.isprintable():
            raise ApiError("MalformedTrailerError", "The request contained trailing data that was not well-formed", 400)
        self._pulse.theirs()
        yield f"0\r\n{self._name}:{value}\r\n\r\n".encode()

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)


def trailer_name(header: str | None) -> str | None:
    """The checksum that x-amz-trailer announces."""
    name = (header or "").strip().lower()
    return name if _TRAILER.fullmatch(name) else None


async def _pieces(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of at least _PIECE."""
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


class Spooled:
    """A body of unknown length in an unnamed file: S3 wants to know the length first."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file = file
        self.length = length

    @classmethod
    async def of(cls, source: AsyncIterable[bytes], folder: Path) -> Spooled:
        """Reads it to its end; raises what the source raises, and OSError."""
        file = await asyncio.to_thread(_unnamed, folder)
        length = 0
        try:
            async for chunk in source:
                length += len(chunk)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(file.seek, 0)
        except BaseException:
            file.close()
            raise
        return cls(file, length)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._file.seek, 0)  # it may be sent a second time
        while chunk := await asyncio.to_thread(self._file.read, _FILE_PIECE):
            yield chunk

    def close(self) -> None:
        self._file.close()


def _unnamed(folder: Path) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)


def _incomplete() -> ApiError:
    return ApiError(
        "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header", 400
    )
