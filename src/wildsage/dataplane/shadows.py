"""Shadow variants: they get copies of requests, and what they answer is counted and thrown away.

A copy never delays or fails what it is a copy of: it is sent after it, kept only while there is room, and given up
where its instance has enough to do.
"""

from __future__ import annotations

import asyncio
import random
from time import perf_counter

from wildsage.core.background import Background
from wildsage.dataplane.capture.taking import Taken
from wildsage.dataplane.table import LiveEndpoint, LiveVariant, Slot
from wildsage.wire.http.client_connection import AnswerLost, ClientConnection, Pool, Unreachable
from wildsage.wire.http.messages import Headers

_MOST_AT_INSTANCE = 64  # requests that wait at a shadow's instance
_MOST_BYTES = 64 * 1024 * 1024  # of bodies that are kept for shadows


class Shadows:
    """Sends copies. ``seconds``: how long a shadow may take for an answer."""

    def __init__(self, pool: Pool, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._running: set[_Copy] = set()
        self._connecting = Background()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def copy(self, live: LiveEndpoint, head: bytes, body: bytes, taken: Taken | None = None) -> None:
        """Offers a request to the endpoint's shadows, each by its share. Where it is captured, so are its copies."""
        for variant, share in live.shadows:
            if share < 1.0 and random.random() >= share:
                continue
            slot = variant.pick()
            room = self._bytes + len(body) <= _MOST_BYTES
            if slot is None or slot.outstanding >= _MOST_AT_INSTANCE or not room:
                variant.counters.dropped += 1
                continue
            twin = None if taken is None else taken.beside(variant.capture, variant.counters)
            copy = _Copy(self, variant, slot, head, body, twin)
            slot.outstanding += 1
            self._bytes += len(body)
            self._running.add(copy)
            self._loop.call_soon(self._send, copy)
        if self._running and self._timer is None:
            self._timer = self._loop.call_later(min(1.0, self._seconds / 4), self._watch)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._connecting.cancel()
        for copy in list(self._running):
            copy.give_up()

    def over(self, copy: _Copy) -> None:
        """The copy was answered or lost."""
        if copy.taken is not None:
            copy.taken.gone()
        copy.slot.outstanding -= 1
        self._bytes -= len(copy.body)
        self._running.discard(copy)

    def keep(self, connection: ClientConnection) -> None:
        """A connection whose answer is whole."""
        self._pool.give(connection)

    def _send(self, copy: _Copy) -> None:
        while (connection := self._pool.take(copy.slot.instance.address)) is not None:
            if copy.send(connection):
                return
        self._connecting.begin(self._connect(copy))

    async def _connect(self, copy: _Copy) -> None:
        try:
            connection = await self._pool.connect(copy.slot.instance.address)
        except Unreachable:
            copy.slot.refused(perf_counter())
        else:
            copy.slot.reached()
            if copy.send(connection):
                return
        copy.variant.counters.dropped += 1
        self.over(copy)

    def _watch(self) -> None:
        """Gives up what takes too long."""
        limit = perf_counter() - self._seconds
        for copy in list(self._running):
            if copy.since < limit:
                copy.give_up()
        self._timer = None
        if self._running:
            self._timer = self._loop.call_later(min(1.0, self._seconds / 4), self._watch)


class _Copy:
    """One request at a shadow; a ``client_connection.Receiver``."""

    __slots__ = ("_connection", "_headers", "_shadows", "_status", "body", "head", "since", "slot", "taken", "variant")

    def __init__(
        self, shadows: Shadows, variant: LiveVariant, slot: Slot, head: bytes, body: bytes, taken: Taken | None
    ) -> None:
        self._shadows = shadows
        self._status = 0
        self._headers: Headers = []
        self._connection: ClientConnection | None = None
        self.variant = variant
        self.slot = slot
        self.head = head
        self.body = body
        self.taken = taken
        self.since = perf_counter()

    def send(self, connection: ClientConnection) -> bool:
        """False if the connection turned out closed."""
        if not connection.send(self, self.head, self.body):
            return False
        self._connection = connection
        self.since = perf_counter()
        self.variant.counters.invocations += 1
        return True

    def give_up(self) -> None:
        """It takes too long, or the router stops."""
        if self._connection is not None:
            self._connection.forsake()
            self._fail()

    def on_continue(self) -> None:
        """Never asked for."""

    def on_head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers

    def on_data(self, data: bytes) -> None:
        """Thrown away, unless it is captured."""
        if self.taken is not None and self._status < 300:
            self.taken.answer(data)

    def on_pause(self) -> None:
        """Nobody waits for it."""

    def on_end(self) -> None:
        self.slot.reached()
        counters = self.variant.counters
        counters.took(round((perf_counter() - self.since) * 1e6), 0)
        if 400 <= self._status < 500:
            counters.errors_4xx += 1
        elif self._status >= 300:
            counters.errors_5xx += 1
        elif self.taken is not None:
            self.taken.whole(self._headers)
        self._shadows.over(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            self._shadows.keep(connection)

    def on_lost(self, error: AnswerLost) -> None:
        self._connection = None
        self._fail()

    def _fail(self) -> None:
        self.variant.counters.missed()
        self._shadows.over(self)
