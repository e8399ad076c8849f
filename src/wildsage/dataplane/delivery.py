"""How an answer of a container reaches the client: as it is (InvokeEndpoint), or as an event stream
(InvokeEndpointWithResponseStream)."""

from __future__ import annotations

import json
from typing import Protocol

from wildsage.core.errors import ApiError
from wildsage.dataplane import answers
from wildsage.wire import eventstream
from wildsage.wire.eventstream import Message
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import Headers

_PAYLOAD_PART = eventstream.encode_headers(
    {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}
)
_WAIT_FOR_WHOLE = 64 * 1024  # an answer up to this size is passed on in one write


class Delivery(Protocol):
    """``headers`` are those that the client may see; ``length`` is what the container announced, if it did."""

    def waits(self, length: int | None) -> bool:
        """Whether the answer is better passed on once it is whole."""
        ...

    def whole(self, headers: Headers, body: bytes) -> None:
        """All of it."""
        ...

    def start(self, headers: Headers, length: int | None, first: bytes) -> None:
        """The head and ``first``, where that is there already; then any number of ``part``, and ``end`` or ``cut``."""
        ...

    def part(self, data: bytes | memoryview) -> None: ...

    def end(self) -> None: ...

    def cut(self, error: ApiError) -> None:
        """The rest will not come, because of ``error`` (of the codes that an event stream knows)."""
        ...


class Plain:
    """The container's bytes; an answer that breaks off ends the connection."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def waits(self, length: int | None) -> bool:
        return length is not None and length <= _WAIT_FOR_WHOLE

    def whole(self, headers: Headers, body: bytes) -> None:
        self._exchange.respond(200, headers, body)

    def start(self, headers: Headers, length: int | None, first: bytes) -> None:
        self._exchange.start(200, headers, length, first)

    def part(self, data: bytes | memoryview) -> None:
        self._exchange.write(data)

    def end(self) -> None:
        self._exchange.end()

    def cut(self, error: ApiError) -> None:
        self._exchange.abort()


class Events:
    """A PayloadPart for what arrives at a time; an answer that breaks off ends with an exception among the events."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def waits(self, length: int | None) -> bool:
        return False

    def whole(self, headers: Headers, body: bytes) -> None:
        self._exchange.respond(200, answers.event_headers(headers), payload_part(body) if body else b"")

    def start(self, headers: Headers, length: int | None, first: bytes) -> None:
        self._exchange.start(200, answers.event_headers(headers), None, payload_part(first) if first else b"")

    def part(self, data: bytes | memoryview) -> None:
        self._exchange.write(payload_part(bytes(data)))

    def end(self) -> None:
        self._exchange.end()

    def cut(self, error: ApiError) -> None:
        self._exchange.write(_exception(error))
        self._exchange.end()


def payload_part(data: bytes) -> bytes:
    """The frame of the event PayloadPart."""
    return eventstream.framed(_PAYLOAD_PART, data)


def _exception(error: ApiError) -> bytes:
    headers = {":exception-type": error.code, ":content-type": "application/json", ":message-type": "exception"}
    return eventstream.encode(Message(headers, json.dumps({"Message": error.message, **error.fields}).encode()))
