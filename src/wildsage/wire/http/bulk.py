"""Large bodies of known length, read from the socket straight to where they stay.

A body that passes the event loop, the parser and a list of pieces is copied three times on its way.  Here a connection
hands its transport over for the rest of one body and takes it back when the body is whole.  A request's body goes to an
``Intake``, which keeps it as one piece of memory, or to a ``Flow``, from which it is read in blocks; an answer's goes
to a ``Relay``, which passes it on from one buffer.
"""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Callable
from copy import copy
from typing import Protocol

from wildsage.wire.http.messages import ClientGone, read_whole
from wildsage.wire.http.streams import HIGH_WATER, StreamBody

WORTHWHILE = 64 * 1024  # with less to come, handing over costs more than it spares
_READ = 256 * 1024  # at a time: what is read is hashed at once, and others wait meanwhile
_FIRST_ROOM, _TIMES = 64 * 1024, 16
_RELAYED = 256 * 1024
# Memory of 128 KiB and more comes from the kernel each time, with all its pages yet to be made: that costs three times
# what it does to receive the bytes.
BLOCK = 120 * 1024
_MOST_BLOCKS = 8  # that wait to be taken


class Owner(Protocol):
    """The connection whose transport is handed over."""

    transport: asyncio.Transport

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def moved(self) -> None:
        """Bytes have arrived."""
        ...

    def take_back(self) -> None:
        """The body is whole: what follows is the connection's again."""
        ...


class Sink(Protocol):
    """Told of a body while it is gathered. What it raises ends the gathering."""

    def room(self, size: int) -> None:
        """``size`` bytes more are going to be kept in memory."""
        ...

    def piece(self, data: bytes | memoryview) -> None:
        """What came next; not to be kept."""
        ...


def switch(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    """From here on ``protocol`` gets what arrives."""
    if not transport.is_closing():
        transport.set_protocol(protocol)
        # uvloop asks what kind of protocol it has when it begins to read.
        transport.pause_reading()
        transport.resume_reading()


class _Diversion(asyncio.BufferedProtocol):
    """In a connection's place at its transport; all but reading is still the connection's."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()


class Intake(_Diversion):
    """Gathers the rest of a request's body.

    Memory is taken as the body comes, at most ``_TIMES`` what is there: an announced length is only a promise. BytesIO
    is the one writable memory that becomes bytes without a copy.
    """

    def __init__(self, owner: Owner, length: int, first: bytes, sink: Sink) -> None:
        super().__init__(owner)
        self._length = length
        self._sink = sink
        self._at = len(first)
        self._room = 0
        self._kept = io.BytesIO()
        self._view = memoryview(first)
        self._over = asyncio.get_running_loop().create_future()
        self._make_room()
        sink.piece(first)

    async def whole(self) -> bytes:
        """The body. Raises ClientGone, and what the sink raises; the rest is then swallowed."""
        try:
            await self._over
        except BaseException:
            self._swallow()
            raise
        self._view.release()
        return self._kept.getvalue()

    # asyncio.BufferedProtocol

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._at == self._room and not self._over.done():
            self._tell(self._make_room)
        if self._over.done():
            return self._view[: self._length - self._at]
        return self._view[self._at : self._at + _READ]

    def buffer_updated(self, nbytes: int) -> None:
        begin, self._at = self._at, self._at + nbytes
        self._owner.moved()
        if not self._over.done():
            with self._view[begin : self._at] as piece:
                self._tell(self._sink.piece, piece)
        if self._at == self._length:
            if not self._over.done():
                self._over.set_result(None)
            self._owner.take_back()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._over.done():
            self._over.set_exception(ClientGone("the client closed the connection before its request was whole"))

    def _tell(self, told: Callable[..., None], *what: memoryview) -> None:
        try:
            told(*what)
        except Exception as error:  # the reader's to answer
            self._over.set_exception(error)
            self._swallow()

    def _make_room(self) -> None:
        room = min(self._length, max(_FIRST_ROOM, self._at * _TIMES))
        self._sink.room(room - self._room)
        # Another: the kernel moves one of this size that grows page by page, which is up to 0.6 ms for 1 MB.
        kept = io.BytesIO(bytes(room))
        view = kept.getbuffer()
        view[: self._at] = self._view[: self._at]
        self._view.release()
        self._room, self._kept, self._view = room, kept, view

    def _swallow(self) -> None:
        """Nobody wants it any more."""
        self._kept = io.BytesIO()
        self._view = memoryview(bytearray(_FIRST_ROOM))


class Diverting(Owner, Protocol):
    """A connection that can hand over a request's body."""

    def divert(self, diversion: asyncio.BufferedProtocol) -> None: ...

    def body_wanted(self) -> None: ...

    def body_level(self, buffered: int) -> None: ...


class Pieces:
    """The same for a body that comes through the parser: of unknown length, nearly here, or under TLS."""

    def __init__(self, stream: StreamBody, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink

    async def whole(self) -> bytes:
        """As ``Intake.whole``."""
        parts = []
        async for part in self._stream:
            self._sink.room(len(part))
            self._sink.piece(part)
            parts.append(part)
        return b"".join(parts)


def gather(stream: StreamBody, line: Diverting | None, length: int | None, sink: Sink) -> Intake | Pieces:
    """Begins to gather the whole body behind ``stream``; raises what ``sink`` raises.

    ``line``: the connection it comes from, if that may hand it over. ``length``: the announced one.
    """
    if line is not None:
        line.body_wanted()
    if line is None or length is None or stream.over or length - stream.buffered < WORTHWHILE:
        return Pieces(stream, sink)
    intake = Intake(line, length, stream.take(), sink)
    line.divert(intake)
    return intake


class Flow(_Diversion):
    """The rest of a request's body, of which ``left`` bytes come after ``first``, as a body in blocks of BLOCK.

    The client is not read from while blocks wait.
    """

    def __init__(self, owner: Diverting, left: int, first: bytes) -> None:
        super().__init__(owner)
        self._line = owner
        self._left = left
        self._ready = deque([first] if first else [])
        self._kept = io.BytesIO()
        self._view: memoryview | None = None
        self._at = 0
        self._unwanted = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                while self._ready:
                    block = self._ready.popleft()
                    if len(self._ready) <= _MOST_BLOCKS // 2:
                        self._line.body_level(0)
                    yield block
                if not self._left:
                    return
                if self._error is not None:
                    raise copy(self._error)  # as a StreamBody does
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        finally:
            self._swallow()

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)

    # asyncio.BufferedProtocol

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._view is None:
            self._kept = io.BytesIO(bytes(min(BLOCK, self._left)))  # which becomes bytes again without a copy
            self._view = self._kept.getbuffer()
            self._at = 0
        return self._view[self._at :]

    def buffer_updated(self, nbytes: int) -> None:
        self._left -= nbytes
        self._owner.moved()
        if not self._unwanted:
            self._take(nbytes)
        elif self._view is not None and self._left < len(self._view):
            self._view = self._view[: self._left]
        if not self._left:
            self._line.body_level(0)
            self._owner.take_back()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._error = ClientGone("the client closed the connection before its request was whole")
        self._wake()

    def _take(self, count: int) -> None:
        assert self._view is not None
        self._at += count
        if self._at == len(self._view):
            self._view.release()
            self._view = None
            self._ready.append(self._kept.getvalue())
            if len(self._ready) >= _MOST_BLOCKS:
                self._line.body_level(HIGH_WATER + 1)
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _swallow(self) -> None:
        """Nobody reads any more."""
        if self._left and self._error is None and not self._unwanted:
            self._unwanted = True
            self._ready.clear()
            self._view, self._at = memoryview(bytearray(min(_FIRST_ROOM, self._left))), 0
            self._line.body_level(0)


def flow(stream: StreamBody, line: Diverting | None, length: int | None) -> Flow | StreamBody:
    """The body behind ``stream``, to be read from what is returned; ``line`` and ``length`` as for ``gather``."""
    if line is not None:
        line.body_wanted()
    if line is None or length is None or stream.over or length - stream.buffered < WORTHWHILE:
        return stream
    if line.transport.is_closing():
        return stream  # which will be told: who comes to a closing transport is not
    first = stream.take()
    diversion = Flow(line, length - len(first), first)
    line.divert(diversion)
    return diversion


class Scratch:
    """The buffer that a process passes large answers on from."""

    def __init__(self) -> None:
        self._view: memoryview | None = None

    def view(self) -> memoryview:
        if self._view is None:
            self._view = memoryview(bytearray(_RELAYED))
        return self._view

    def leave(self) -> None:
        """Somebody still needs what is in it: the next use gets another."""
        self._view = None


# Takes a piece of an answer; whether it is done with it, else the memory is its own from now on.
Taker = Callable[[memoryview], bool]


class Relay(_Diversion):
    """Gives the rest of an answer's body, ``left`` bytes, to ``taker`` as it comes."""

    def __init__(self, owner: Owner, left: int, taker: Taker, scratch: Scratch) -> None:
        super().__init__(owner)
        self._left = left
        self._taker = taker
        self._scratch = scratch
        switch(owner.transport, self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._scratch.view()[: self._left]

    def buffer_updated(self, nbytes: int) -> None:
        self._left -= nbytes
        if not self._taker(self._scratch.view()[:nbytes]):
            self._scratch.leave()
        if not self._left:
            self._owner.take_back()
