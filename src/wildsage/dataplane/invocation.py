"""One invocation under way: the container's answer, passed on to the client as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from wildsage.core.errors import ApiError
from wildsage.core.routes import Endpoint
from wildsage.dataplane import answers, serverless
from wildsage.dataplane.capture.taking import Taken
from wildsage.dataplane.delivery import Delivery, Events, Plain
from wildsage.dataplane.stateful import BadSession, Sessions, Visit
from wildsage.dataplane.table import LiveVariant, Slot
from wildsage.wire.http.client_connection import AnswerLost, ClientConnection
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import ClientGone, Headers

_UNSENT_MOST = 256 * 1024  # more than this, and the container waits for the client


@dataclass(slots=True)
class Asked:
    """What was asked: ``body`` (until it is sent) and the ``head`` that the container gets.

    ``streams``: the answer shall be events. ``seconds``: how long the container may take. ``held``: bytes of the body
    that count as kept in memory. ``taken``: what is captured of it, if anything.
    """

    endpoint: Endpoint
    account: str
    head: bytes
    body: bytes
    streams: bool
    seconds: float
    began: float
    visit: Visit | None = None
    held: int = 0
    taken: Taken | None = None


class Invocation:
    """A ``client_connection.Receiver``. ``done`` is called once, when nothing more will happen.

    ``slot``: the instance it is at. ``deadline``: when its container has taken too long (``perf_counter``).

    Capture is told each piece of a good answer (``on_data``), that it was whole (``on_end``), or that it never will be.
    """

    __slots__ = (
        "_delivery",
        "_done",
        "_drain",
        "_exchange",
        "_headers",
        "_parts",
        "_sessions",
        "_size",
        "_status",
        "_streaming",
        "_tried",
        "_waited",
        "asked",
        "connection",
        "deadline",
        "over",
        "sent_at",
        "slot",
        "variant",
    )

    def __init__(
        self,
        exchange: Exchange,
        asked: Asked,
        variant: LiveVariant,
        sessions: Sessions,
        done: Callable[[Invocation], None],
    ) -> None:
        self._exchange = exchange
        self._delivery: Delivery = Events(exchange) if asked.streams else Plain(exchange)
        self._sessions = sessions
        self._done = done
        self._tried: tuple[Slot, ...] = ()
        self._status = 0
        self._headers: Headers = []
        self._parts: list[bytes] = []
        self._size = 0
        self._streaming = False
        self._drain: asyncio.Task[None] | None = None
        self._waited = 0.0
        self.asked = asked
        self.variant = variant
        self.sent_at = asked.began
        self.deadline = asked.began + asked.seconds
        self.connection: ClientConnection | None = None
        self.slot: Slot | None = None
        self.over = False
        exchange.on_gone = self._client_gone
        variant.counters.invocations += 1

    @property
    def container(self) -> str:
        """What the container is called that it is at, in errors."""
        return self.variant.container

    def next_slot(self) -> Slot | None:
        """Moves on to the next instance that was not tried yet; a session has only one, what is over has none."""
        if self.over:
            return None
        visit = self.asked.visit
        if self.slot is not None:
            self.slot.outstanding -= 1
            self._tried += (self.slot,)
        if visit is None or visit.slot is None:
            self.slot = self.variant.pick(self._tried)
        else:
            self.slot = None if self._tried else visit.slot
        if self.slot is not None:
            self.slot.outstanding += 1
        return self.slot

    def send(self, connection: ClientConnection) -> bool:
        """Sends the request to the container; the rest happens as the answer comes.

        False if nothing was sent: the connection was closed, or the invocation is over.
        """
        if self.over:
            return False
        asked = self.asked
        now = perf_counter()
        if not connection.send(self, asked.head, asked.body):
            return False
        asked.body = b""  # it may be large, and the answer may take its time
        self.connection = connection
        self.sent_at = now
        self.deadline = now + asked.seconds
        return True

    def fail(self, error: ApiError, ending: ApiError | None = None) -> None:
        """Ends it with an error; with ``ending`` if the client has already got a part of the answer."""
        self.over = True
        if self._streaming:
            self._delivery.cut(ending or error)
        else:
            self._exchange.respond(*answers.error_answer(error))
        self._finish()

    def time_out(self) -> None:
        """The container has taken too long, if it is not the client who keeps it waiting."""
        if self._drain is not None:
            return
        self._abandon()
        self.variant.counters.missed()
        words = "The model failed to finish sending the response within the timeout period."
        error = answers.timed_out(self.asked.endpoint, self.asked.account, self.container)
        self.fail(error, answers.stream_error("ModelInvocationTimeExceeded", words))

    def break_off(self) -> None:
        """The router stops: a stream of events is told so. Any other answer has until the connections are cut."""
        if self._streaming and self.asked.streams:
            self._abandon()
            self.fail(answers.stream_failure())

    # Receiver

    def on_continue(self) -> None:
        """Never asked for."""

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status
        self._headers = headers

    def on_data(self, data: bytes) -> None:
        if self.over:
            return
        self._size += len(data)
        if self._status < 300 or self._size <= answers.ERROR_BODY_BYTES:
            self._parts.append(data)
        if self.asked.taken is not None and self._status < 300:
            self.asked.taken.answer(data)

    def on_pause(self) -> None:
        if self.over or not self._status or self._status >= 300:
            return
        if not self._streaming:
            length = answers.length_of(self._headers)
            if self._delivery.waits(length):
                return
            headers = self._begin()
            if headers is None:
                return
            self._streaming = True
            self._delivery.start(headers, length, self._take())
            if self.connection is not None and self.asked.taken is None and not self.asked.streams:
                self.connection.relay(self._relayed)
        self._pass()
        self._pace()

    def on_end(self) -> None:
        if self.over or (self._status >= 300 and self._goes_on()):
            return
        if self.slot is not None:
            self.slot.reached()
        now = perf_counter()
        counters = self.variant.counters
        model = now - self.sent_at - self._waited
        if self.variant.variant.concurrency and (setup := serverless.setup_us(self._headers)):
            counters.set_up(setup)
            model = max(model - setup / 1e6, 0.0)
        counters.took(round(model * 1e6), round((now - self.asked.began - model) * 1e6))
        if self._status >= 300:
            if 400 <= self._status < 500:
                counters.errors_4xx += 1
            else:
                counters.errors_5xx += 1
            body = b"".join(self._parts) if self._size <= answers.ERROR_BODY_BYTES else None
            self.fail(answers.model_error(self.asked.endpoint, self.asked.account, self._status, body, self.container))
            return
        if self._streaming:
            self._pass()
            self.over = True
            self._delivery.end()
        else:
            headers = self._begin()
            if headers is None:
                return
            self.over = True
            self._delivery.whole(headers, self._take())
        if self.asked.taken is not None:
            self.asked.taken.whole(self._headers)
        self._finish()

    def on_lost(self, error: AnswerLost) -> None:
        if self.over:
            return
        self.connection = None
        self.variant.counters.missed()
        words = "The model server closed the connection before its answer was whole."
        failure = answers.model_error(self.asked.endpoint, self.asked.account, 0, words.encode(), self.container)
        self.fail(failure, answers.stream_error("StreamBroken", words))

    # inside

    def _goes_on(self) -> bool:
        """Whether the request is on its way to somebody else, and the answer, which is no success, does not count."""
        return False

    def _begin(self) -> Headers | None:
        """The headers for the client; None where there will be no such answer."""
        headers = answers.success_headers(self._headers, self.variant.variant.name)
        asked = self.asked
        if asked.visit is None or self.slot is None:
            return headers
        try:
            return self._sessions.outward(headers, asked.visit, asked.endpoint.arn, self.slot.instance)
        except BadSession as error:
            self._abandon()
            self.fail(answers.model_error(asked.endpoint, asked.account, self._status, str(error).encode()))
            return None

    def _take(self) -> bytes:
        """What has arrived and was not passed on yet: every byte of the answer's body comes through here."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _pass(self) -> None:
        if self._parts:
            self._delivery.part(self._take())

    def _relayed(self, piece: memoryview) -> bool:
        """Passes on a piece of a large answer; whether the system has taken all of it (``bulk.Taker``)."""
        if not self.over:
            self._delivery.part(piece)
        return not self._pace()

    def _pace(self) -> int:
        """How many bytes the client has not taken yet; if they are many, the container waits."""
        unsent = self._exchange.transport.get_write_buffer_size()
        if unsent > _UNSENT_MOST and self._drain is None and self.connection is not None:
            self._drain = asyncio.get_running_loop().create_task(self._wait_for_client(self.connection))
        return unsent

    def _client_gone(self) -> None:
        if not self.over:
            self._abandon()
            self._finish()

    def _abandon(self) -> None:
        """Gives up the connection, and with it the answer that is still to come."""
        self.over = True
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.transport.abort()

    def _finish(self) -> None:
        if self.slot is not None:
            self.slot.outstanding -= 1
            self.slot = None
        if self._drain is not None:
            self._drain.cancel()
        if self.asked.taken is not None:
            self.asked.taken.gone()
        self._exchange.on_gone = None  # so that reference counting alone frees both
        self._done(self)

    async def _wait_for_client(self, connection: ClientConnection) -> None:
        since = perf_counter()
        connection.transport.pause_reading()
        try:
            await self._exchange.drain()
        except ClientGone:
            return
        finally:
            self._drain = None
            waited = perf_counter() - since
            self._waited += waited
            self.deadline += waited
            if not connection.transport.is_closing():
                connection.transport.resume_reading()
