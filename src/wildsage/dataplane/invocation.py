"""One invocation under way: the container's answer, passed on to the client as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from wildsage.core.errors import ApiError
from wildsage.core.routes import Endpoint
from wildsage.dataplane import answers
from wildsage.dataplane.table import LiveVariant, Slot
from wildsage.wire.http.client_connection import AnswerLost, ClientConnection
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import ClientGone, Headers

_WAIT_FOR_WHOLE = 64 * 1024  # an answer up to this size is passed on in one write
_UNSENT_MOST = 256 * 1024  # more than this, and the container waits for the client


class Invocation:
    """A ``client_connection.Receiver``. ``done`` is called once, when nothing more will happen.

    ``slot``: the instance it is at. ``began``: on the clock of ``perf_counter``.
    """

    __slots__ = (
        "_account",
        "_body",
        "_done",
        "_drain",
        "_endpoint",
        "_exchange",
        "_headers",
        "_parts",
        "_size",
        "_status",
        "_streaming",
        "_tried",
        "_variant",
        "began",
        "connection",
        "over",
        "sent_at",
        "slot",
    )

    def __init__(
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        account: str,
        variant: LiveVariant,
        body: bytes,
        began: float,
        done: Callable[[Invocation], None],
    ) -> None:
        self._exchange = exchange
        self._endpoint = endpoint
        self._account = account
        self._variant = variant
        self._body = body
        self._done = done
        self._tried: tuple[Slot, ...] = ()
        self._status = 0
        self._headers: Headers = []
        self._parts: list[bytes] = []
        self._size = 0
        self._streaming = False
        self._drain: asyncio.Task[None] | None = None
        self.sent_at = began
        self.began = began
        self.connection: ClientConnection | None = None
        self.slot: Slot | None = None
        self.over = False
        exchange.on_gone = self._client_gone
        variant.counters.invocations += 1

    def next_slot(self) -> Slot | None:
        """Moves on to the least busy instance that was not tried yet."""
        if self.slot is not None:
            self.slot.outstanding -= 1
            self._tried += (self.slot,)
        self.slot = self._variant.pick(self._tried)
        if self.slot is not None:
            self.slot.outstanding += 1
        return self.slot

    def send(self, connection: ClientConnection) -> bool:
        """Sends the request to the container, unless it is over; the rest happens as the answer comes."""
        if self.over:
            return False
        self.connection = connection
        connection.begin(self, "POST")
        self.sent_at = perf_counter()
        head = answers.container_head(self._exchange.request.headers, len(self._body))
        if len(self._body) <= 16 * 1024:
            connection.transport.write(head + self._body)
        else:
            connection.transport.write(head)
            connection.transport.write(self._body)
        self._body = b""
        return True

    def fail(self, error: ApiError) -> None:
        """Ends it with an error, or by cutting the connection if the client has already got a part of the answer."""
        self.over = True
        if self._streaming:
            self._exchange.abort()
        else:
            self._exchange.respond(*answers.error_answer(error))
        self._finish()

    def time_out(self) -> None:
        self._abandon()
        self._variant.counters.errors_5xx += 1
        self.fail(answers.timed_out(self._endpoint, self._account))

    # Receiver

    def on_continue(self) -> None:
        """Never asked for."""

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status
        self._headers = headers

    def on_data(self, data: bytes) -> None:
        if self.over:
            return
        if self._streaming:
            self._exchange.write(data)
            return
        self._size += len(data)
        if self._status < 300 or self._size <= answers.ERROR_BODY_BYTES:
            self._parts.append(data)

    def on_pause(self) -> None:
        if self.over or not self._status or self._status >= 300:
            return
        if not self._streaming:
            length = next((int(value) for name, value in self._headers if name == "content-length"), None)
            if length is not None and length <= _WAIT_FOR_WHOLE:
                return
            self._streaming = True
            self._exchange.start(200, answers.success_headers(self._headers, self._variant.variant.name), length)
            for part in self._parts:
                self._exchange.write(part)
            self._parts = []
        if self._drain is None and self._exchange.transport.get_write_buffer_size() > _UNSENT_MOST:
            self._drain = asyncio.get_running_loop().create_task(self._wait_for_client())

    def on_end(self) -> None:
        if self.over:
            return
        self.over = True
        now = perf_counter()
        counters = self._variant.counters
        model = now - self.sent_at
        counters.took(round(model * 1e6), round((now - self.began - model) * 1e6))
        if self._status >= 300:
            if 400 <= self._status < 500:
                counters.errors_4xx += 1
            else:
                counters.errors_5xx += 1
            body = b"".join(self._parts) if self._size <= answers.ERROR_BODY_BYTES else None
            error = answers.model_error(self._endpoint, self._account, self._status, body)
            self._exchange.respond(*answers.error_answer(error))
        elif self._streaming:
            self._exchange.end()
        else:
            headers = answers.success_headers(self._headers, self._variant.variant.name)
            self._exchange.respond(200, headers, self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
        self._finish()

    def on_lost(self, error: AnswerLost) -> None:
        if self.over:
            return
        self.connection = None
        self._variant.counters.errors_5xx += 1
        words = b"The model server closed the connection before its answer was whole."
        self.fail(answers.model_error(self._endpoint, self._account, 0, words))

    # inside

    def _client_gone(self) -> None:
        if not self.over:
            self.over = True
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
        self._exchange.on_gone = None  # so that reference counting alone frees both
        self._done(self)

    async def _wait_for_client(self) -> None:
        connection = self.connection
        if connection is None:
            return
        connection.transport.pause_reading()
        try:
            await self._exchange.drain()
        except ClientGone:
            return
        finally:
            self._drain = None
            if not connection.transport.is_closing():
                connection.transport.resume_reading()
