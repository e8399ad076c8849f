"""One invocation of an inference pipeline: each container's answer is the next one's request.

What a container gets is the answer of the one before with its Content-Type; Accept is for the last one alone, so that
the others answer in what they take for their default ("The default accept/content-type between containers for serial
inference is JSON", AWS's examples; SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT of AWS's images sets another).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from wildsage.core.errors import ApiError
from wildsage.core.routes import Container
from wildsage.dataplane import answers
from wildsage.dataplane.invocation import Asked, Invocation
from wildsage.dataplane.stateful import Sessions
from wildsage.dataplane.table import LiveVariant
from wildsage.wire.http.client_connection import ClientConnection
from wildsage.wire.http.exchange import Exchange

_ACCEPT = ("accept", "x-amzn-sagemaker-accept")
_SMALL = 64 * 1024  # up to here an answer that is handed on is not counted among the bytes that are kept


class Handing(Protocol):
    """What a chain needs between two containers. ``limit``: bytes of an answer that can be the next one's request."""

    limit: int

    def hold(self, size: int) -> None:
        """So many bytes more are kept, or fewer; raises ApiError if there is no room for more."""
        ...

    def onward(self, chain: Chain, connection: ClientConnection) -> None:
        """Sends it to the container whose turn it is; the one at the other end of ``connection`` has done its work."""
        ...


class Chain(Invocation):
    """It is a container's receiver at a time. Time-outs are over all of them, and so is ModelLatency."""

    __slots__ = ("_body", "_handing", "_head", "_held", "_number", "_said_at", "_waited_before")

    def __init__(
        self,
        exchange: Exchange,
        asked: Asked,
        variant: LiveVariant,
        sessions: Sessions,
        done: Callable[[Invocation], None],
        handing: Handing,
    ) -> None:
        super().__init__(exchange, asked, variant, sessions, done)
        self._handing = handing
        self._held = 0
        self._number = 0
        self._said_at = 0.0
        self._waited_before = 0.0
        self._body = asked.body
        asked.body = b""
        self._head = self._head_of(exchange.request.header("content-type"), last=False)

    @property
    def address(self) -> str:
        """Of the container whose turn it is."""
        return self._at(self._number).address

    @property
    def container(self) -> str:
        return self.variant.container if self.slot is None else self._at(self._number).hostname

    def _at(self, number: int) -> Container:
        assert self.slot is not None
        return self.slot.instance.containers[number]

    @property
    def _last(self) -> bool:
        return self.slot is not None and self._number == len(self.slot.instance.containers) - 1

    def _head_of(self, content_type: str | None, last: bool) -> bytes:
        streams = self.asked.streams and last
        headers = [] if content_type is None else [("content-type", content_type)]
        options = {}
        for name, value in self._exchange.request.headers:
            if name in _ACCEPT:
                if last:
                    headers.append((name, value))
                    options[name] = value
            elif name.startswith("x-amzn-sagemaker-"):
                options[name] = value
        return answers.container_head(headers, options, len(self._body), streams, None)

    def send(self, connection: ClientConnection) -> bool:
        if self.over:
            return False
        now = perf_counter()
        if not connection.send(self, self._head, self._body):
            return False
        self._body = b""
        if self._held:
            self._hold(-self._held)
        self.connection = connection
        if self._number:
            self._waited += now - self._said_at
        else:
            self.deadline = now + self.asked.seconds
            self.sent_at = now
        self._said_at = now
        self._waited_before = self._waited
        return True

    def elsewhere(self) -> bool:
        """The container whose turn it is takes no connections: the same one of another instance goes on.

        Nothing was sent to it, and what those before it said is as good there. False if there is none left.
        """
        if self.over:
            return False
        name = self.container
        if self.slot is not None:
            self.slot.refused(perf_counter())
        if self.next_slot() is not None:
            return True
        self.fail(answers.unavailable(f"Container {name} of the endpoint cannot be reached. Try your call again."))
        return False

    def on_data(self, data: bytes) -> None:
        if self._last:
            super().on_data(data)
        elif not self.over:
            self._size += len(data)
            if self._size <= (self._handing.limit if self._status < 300 else answers.ERROR_BODY_BYTES):
                self._parts.append(data)
                if self._size > _SMALL:
                    self._hold(len(data))

    def _hold(self, size: int) -> None:
        self.asked.held += size
        self._held += size
        try:
            self._handing.hold(size)
        except ApiError as error:
            self._abandon()
            self.fail(error)

    def on_pause(self) -> None:
        if self._last:
            super().on_pause()

    def on_end(self) -> None:
        if self.over:
            return
        now = perf_counter()
        took = now - self._said_at - (self._waited - self._waited_before)
        self.variant.counters.contained(self.container, round(took * 1e6))
        if self._status >= 300 or self._last:
            super().on_end()
        elif self._size > self._handing.limit:
            self._oversize()
        else:
            self._said_at = now
            self._hand_on()

    def _hand_on(self) -> None:
        said = next((value for name, value in self._headers if name == "content-type"), None)
        self._body = self._take()
        self._number += 1
        self._head = self._head_of(said, self._last)
        self._status, self._size, self._headers = 0, 0, []
        connection, self.connection = self.connection, None
        assert connection is not None
        self._handing.onward(self, connection)

    def _oversize(self) -> None:
        """In AWS's words (Developer Guide, "Troubleshoot Inference Pipelines")."""
        asked, next_ = self.asked, self._at(self._number + 1).hostname
        self.variant.counters.missed()
        words = (
            f"Received response from {self.container} with status code {self._status}. However, the request payload "
            f"from {self.container} to {next_} is {self._size} bytes, which has exceeded the maximum limit of "
            f"{self._handing.limit / 1e6:g} MB."
        )
        self.fail(answers.model_failure(asked.endpoint, asked.account, words, self._status))
