"""The model's containers: what they ask for, and one invocation."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from wildsage.core.transforms import DEFAULT_CONCURRENT, DEFAULT_PAYLOAD_MIB, MIB, MOST_MIB, MULTI, SINGLE, Order
from wildsage.wire.http.client import Client, TooLong, gathered, pieces
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import Body, BytesBody, Headers, Request

log = logging.getLogger(__name__)

_PING_WAIT, _PING_SECONDS = 0.02, 2.0
_ASK_SECONDS = 10.0
_MOST_ANSWER = 256 * MIB
"""A container that never stops answering must not fill the machine's memory."""
_TOO_LONG = (
    f"its answer is longer than {_MOST_ANSWER // MIB} MB. Have it answer less for one request (a smaller "
    "MaxPayloadInMB, BatchStrategy SingleRecord), or stream: MaxPayloadInMB 0"
)
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_ABSENT_SECONDS = 300.0
"""How long nobody may listen. A container that was killed is brought up again by control, which may have been, too."""
_STRATEGIES = {"MULTI_RECORD": MULTI, "SINGLE_RECORD": SINGLE, MULTI: MULTI, SINGLE: SINGLE}


class Failed(Exception):
    """An invocation that no retry cured. ``body``: the container's answer.

    ``telling``: it answered, so a smaller request may tell what it does not like. ``absent``: nobody listened.
    """

    def __init__(self, words: str, body: bytes = b"", status: int = 0, absent: bool = False) -> None:
        super().__init__(words)
        self.body = body
        self.status = status
        self.absent = absent

    @property
    def telling(self) -> bool:
        return self.status != 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How a container is asked. ``payload``: bytes, 0 for any number."""

    concurrent: int
    payload: int
    single: bool

    @property
    def payload_mib(self) -> int:
        return self.payload // MIB


def limits_of(order: Order, wanted: dict[str, Any]) -> Limits:
    """What the job says goes before what the container wants, and that before the defaults. Pure.

    Source: Developer Guide, "Use Your Own Inference Code with Batch Transform".
    """
    concurrent = order.concurrent or _number(wanted.get("MaxConcurrentTransforms"), 1) or DEFAULT_CONCURRENT
    payload = order.payload_mib
    if payload is None:
        payload = _number(wanted.get("MaxPayloadInMB"), 0)
    if payload is None:
        payload = max(min(DEFAULT_PAYLOAD_MIB, MOST_MIB // concurrent), 1)
    strategy = order.strategy or _STRATEGIES.get(str(wanted.get("BatchStrategy")), MULTI)
    return Limits(concurrent, payload * MIB, strategy == SINGLE)


def _number(value: object, least: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST_MIB else None


class Containers:
    """Those of one instance, in the order they are asked: each gets what the one before it answered."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._client = Client()

    def close(self) -> None:
        self._client.close()

    async def ready(self) -> None:
        """Returns once all of them answer /ping; control gives up sooner, if it must."""
        for _, address in self._order.containers:
            while True:
                if await self._pings(address):
                    break
                await asyncio.sleep(_PING_WAIT)

    async def _pings(self, address: str) -> bool:
        request = Request("GET", "/ping", [("host", "localhost")], BytesBody())
        try:
            return (await self._client.whole(address, request, _PING_SECONDS)).status == 200
        except (Unreachable, AnswerLost, OSError, TimeoutError):
            return False

    async def limits(self) -> Limits:
        """Asks the first for its execution parameters, which it need not have."""
        wanted: dict[str, Any] = {}
        try:
            request = Request("GET", "/execution-parameters", [("host", "localhost")], BytesBody())
            answer = await self._client.whole(self._order.containers[0][1], request, _ASK_SECONDS)
            if answer.status == 200:
                found = json.loads(answer.body)
                wanted = found if isinstance(found, dict) else {}
        except (Unreachable, AnswerLost, OSError, TimeoutError, ValueError, RecursionError) as error:
            log.info("no execution parameters: %s", error)
        return limits_of(self._order, wanted)

    async def invoke(self, body: bytes, *, retries: int | None = None) -> bytes:
        """The answer to one request, after as many retries as the job allows. Raises Failed."""
        left = self._order.retries if retries is None else retries
        wait, heard = _FIRST_WAIT, time.monotonic()
        while True:
            try:
                return await self._chain(body)
            except Failed as error:
                if error.absent and time.monotonic() - heard < _ABSENT_SECONDS:
                    await asyncio.sleep(_FIRST_WAIT)
                    continue
                if not left or 400 <= error.status < 500:
                    raise
            left, heard = left - 1, time.monotonic()
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def stream(self, body: Body) -> AsyncIterator[bytes]:
        """The answer to a request of any length, as it comes; nothing is tried twice. Raises Failed."""
        *before, (name, address) = self._order.containers
        if before:
            raise Failed("MaxPayloadInMB 0 is not possible for a model of several containers")
        headers = [*self._headers(self._order.content_type, self._order.accept), ("transfer-encoding", "chunked")]
        try:
            response = await self._client.send(
                address, Request("POST", "/invocations", headers, body), self._order.timeout
            )
            if response.status != 200:
                raise _bad(name, response.status, await gathered(response, _MOST_ANSWER))
            async for chunk in pieces(response):
                yield chunk
        except TimeoutError as error:
            raise self._late(name) from error
        except (Unreachable, AnswerLost, OSError) as error:
            raise Failed(f"{_called(name)} gave no answer: {error}") from error

    async def _chain(self, body: bytes) -> bytes:
        content_type = self._order.content_type
        for number, (name, address) in enumerate(self._order.containers, 1):
            # The others answer in what they take for their default, as in real-time pipelines (dataplane/series).
            accept = self._order.accept if number == len(self._order.containers) else ""
            try:
                request = Request("POST", "/invocations", self._headers(content_type, accept), BytesBody(body))
                answer = await self._client.whole(address, request, self._order.timeout, most=_MOST_ANSWER)
            except TimeoutError as error:
                raise self._late(name) from error
            except Unreachable as error:
                raise Failed(f"{_called(name)} cannot be reached: {error}", absent=True) from error
            except TooLong as error:
                raise Failed(f"{_called(name)} gave no answer: {_TOO_LONG}") from error
            except (AnswerLost, OSError) as error:
                raise Failed(f"{_called(name)} gave no answer: {error}") from error
            if answer.status != 200:
                raise _bad(name, answer.status, answer.body)
            body, content_type = answer.body, answer.header("content-type") or content_type
        return body

    def _headers(self, content_type: str, accept: str) -> Headers:
        headers = [("host", "localhost")]
        if content_type:
            headers.append(("content-type", content_type))
        if accept:
            headers.append(("accept", accept))
        return headers

    def _late(self, name: str) -> Failed:
        return Failed(
            f"{_called(name)} gave no answer within {self._order.timeout} seconds "
            "(ModelClientConfig.InvocationsTimeoutInSeconds)"
        )


def _bad(name: str, status: int, body: bytes) -> Failed:
    return Failed(f"{_called(name)} answered {status}", body, status)


def _called(name: str) -> str:
    return f"container {name}" if name else "the container"
