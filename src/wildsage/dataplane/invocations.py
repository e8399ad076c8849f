"""InvokeEndpoint, answered by the router itself: the hot path.

Everything happens in callbacks of two connections, the client's and the container's; a task exists only for a body that
did not arrive at once and for a container without a spare connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import perf_counter

from wildsage.core.arn import build
from wildsage.core.errors import ApiError
from wildsage.dataplane import answers
from wildsage.dataplane.callers import Callers, Identity
from wildsage.dataplane.invocation import Invocation
from wildsage.dataplane.table import LiveEndpoint, LiveVariant, Table
from wildsage.wire.http.client_connection import Pool, Unreachable
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import Body, BodyTooLarge, BytesBody, ClientGone

log = logging.getLogger(__name__)

_PREFIX, _SUFFIX = "/endpoints/", "/invocations"
_ACTION = "sagemaker:InvokeEndpoint"
_HASHED_IN_PLACE = 512 * 1024  # hashing more than this would keep other requests waiting


def endpoint_of(exchange: Exchange) -> str | None:
    """The endpoint's name if the request is an InvokeEndpoint."""
    target = exchange.request.target
    if not target.startswith(_PREFIX) or not target.endswith(_SUFFIX) or exchange.request.method != "POST":
        return None
    name = target[len(_PREFIX) : -len(_SUFFIX)]
    return None if "/" in name or "?" in name else name


class Invocations:
    """Checks, routes and answers.

    ``elsewhere``: answers what only control can judge (sessions with policies of their own).
    ``model_seconds``: how long a container may take ("60 seconds", API reference, InvokeEndpoint).
    """

    def __init__(
        self,
        table: Table,
        callers: Callers,
        pool: Pool,
        elsewhere: Callable[[Exchange], None],
        model_seconds: float = 60.0,
    ) -> None:
        self._table = table
        self._callers = callers
        self._pool = pool
        self._elsewhere = elsewhere
        self._model_seconds = model_seconds
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[Invocation] = set()
        self._timer = self._loop.call_later(min(1.0, model_seconds / 4), self._watch)

    def answer(self, exchange: Exchange, name: str) -> None:
        """Answers ``exchange``, now or later."""
        began = perf_counter()
        body = exchange.request.body
        if not isinstance(body, BytesBody):
            self._spawn(self._gather(exchange, name, body, began))
            return
        try:
            self._invoke(exchange, name, body.data, self._callers.identify(exchange.request, body.data), began)
        except ApiError as error:
            exchange.respond(*answers.error_answer(error))

    def close(self) -> None:
        self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def _gather(self, exchange: Exchange, name: str, body: Body, began: float) -> None:
        request = exchange.request
        try:
            if int(request.header("content-length") or 0) > answers.MOST_BYTES:
                raise answers.oversize()
            data = await body.read(answers.MOST_BYTES)
            request.body = BytesBody(data)
            if len(data) > _HASHED_IN_PLACE:
                identity = await asyncio.to_thread(self._callers.identify, request, data)
            else:
                identity = self._callers.identify(request, data)
            self._invoke(exchange, name, data, identity, began)
        except BodyTooLarge:
            exchange.respond(*answers.error_answer(answers.oversize()))
        except ApiError as error:
            exchange.respond(*answers.error_answer(error))
        except ClientGone:
            exchange.keep_alive = False
            exchange.respond(400, [], b"")

    def _invoke(self, exchange: Exchange, name: str, body: bytes, identity: Identity, began: float) -> None:
        if identity.restricted:
            self._elsewhere(exchange)
            return
        if len(body) > answers.MOST_BYTES:
            raise answers.oversize()
        live = self._table.endpoint(identity.region, name)
        arn = live.endpoint.arn if live is not None else self._arn(identity.region, name)
        if not self._table.allows(identity.principal, arn):
            raise answers.denied(identity.arn, _ACTION, arn)
        if live is None:
            raise answers.not_found(name, self._table.account)
        variant = _variant(live, exchange.request.header("x-amzn-sagemaker-target-variant"))
        invocation = Invocation(exchange, live.endpoint, self._table.account, variant, body, began, self._done)
        self._running.add(invocation)
        slot = invocation.next_slot()
        assert slot is not None  # a live variant has an instance
        connection = self._pool.take(slot.instance.address)
        if connection is not None:
            invocation.send(connection)
        else:
            self._spawn(self._connect(invocation))

    def _arn(self, region: str, name: str) -> str:
        return build("sagemaker", region, self._table.account, f"endpoint/{name.lower()}")

    async def _connect(self, invocation: Invocation) -> None:
        """Tries the variant's instances in turn until one can be reached."""
        while (slot := invocation.slot) is not None and not invocation.over:
            try:
                connection = await self._pool.connect(slot.instance.address)
            except Unreachable as error:
                if not slot.away:
                    log.warning("instance %s: %s", slot.instance.id, error)
                slot.away = True
                invocation.next_slot()
                continue
            slot.away = False
            if not invocation.send(connection):
                self._pool.give(connection)
            return
        if not invocation.over:
            invocation.fail(_none_ready())

    def _done(self, invocation: Invocation) -> None:
        """The invocation is over; its connection, if the answer was whole, serves the next."""
        self._running.discard(invocation)
        if invocation.connection is not None:
            self._pool.give(invocation.connection)

    def _watch(self) -> None:
        """Ends what has taken too long."""
        limit = perf_counter() - self._model_seconds
        for invocation in list(self._running):
            if invocation.sent_at < limit:
                invocation.time_out()
        self._timer = self._loop.call_later(min(1.0, self._model_seconds / 4), self._watch)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _variant(live: LiveEndpoint, wanted: str | None) -> LiveVariant:
    """The variant that answers: the one that is ``wanted``, or else one by weight."""
    if wanted is None:
        found = live.pick()
    elif any(variant.name == wanted for variant in live.endpoint.variants):
        found = live.named(wanted)
    else:
        raise answers.variant_not_found(wanted, live.endpoint.name)
    if found is None:
        raise _none_ready()
    return found


def _none_ready() -> ApiError:
    """Instances come and go while an endpoint is in service; a client that tries again will find one."""
    return answers.unavailable("No instance of the endpoint can be reached. Try your call again.")
