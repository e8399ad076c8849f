"""A message body that arrives while it is being read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from copy import copy
from typing import Protocol

from wildsage.wire.http.messages import read_whole

HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024


def write_at_once(transport: asyncio.WriteTransport) -> None:
    """What is written leaves at once: uvloop would otherwise wait for its next iteration.

    Not under TLS, which would take even "none buffered" for too much, and never say that it is less.
    """
    if transport.get_extra_info("sslcontext") is None:
        transport.set_write_buffer_limits(high=0)


class Source(Protocol):
    """The connection that feeds a body."""

    def body_wanted(self) -> None:
        """A reader waits for the first time: a client that asked ``Expect: 100-continue`` may now send."""
        ...

    def body_level(self, buffered: int) -> None:
        """``buffered`` bytes wait to be read: more than HIGH_WATER means pause, less than LOW_WATER go on."""
        ...


class StreamBody:
    """The reading end implements ``messages.Body``; ``feed``, ``finish`` and ``fail`` are the connection's."""

    __slots__ = ("_chunks", "_error", "_size", "_source", "_waiter", "_wanted", "complete")

    def __init__(self, source: Source, chunks: list[bytes]) -> None:
        self._source = source
        self._chunks = deque(chunks)
        self._size = sum(map(len, chunks))
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = False
        self.complete = False

    @property
    def buffered(self) -> int:
        """Bytes that have arrived and were not read yet."""
        return self._size

    @property
    def over(self) -> bool:
        """Whether nothing more will come: it is whole, or has failed."""
        return self.complete or self._error is not None

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        self._wake()
        self._source.body_level(self._size)

    def finish(self) -> None:
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Readers get ``error`` after what has arrived; nothing happens to a complete body."""
        if not self.complete and self._error is None:
            self._error = error
            self._wake()

    def discard(self) -> None:
        """Nobody will read this any more."""
        self._chunks.clear()
        self._size = 0
        self._source.body_level(0)

    def take(self) -> bytes:
        """What has arrived and was not read yet, at once."""
        data = b"".join(self._chunks)
        self.discard()
        return data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                self._source.body_level(self._size)
                yield chunk
            if self.complete:
                return
            if self._error is not None:
                # Its own would keep whoever reads, with all it has read, in a cycle that only the collector ends.
                raise copy(self._error)
            await self._arrival()

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)

    async def _arrival(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        if not self._wanted:
            self._wanted = True
            self._source.body_wanted()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
