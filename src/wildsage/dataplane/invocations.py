"""InvokeEndpoint and InvokeEndpointWithResponseStream, answered by the router itself: the hot path.

Everything happens in callbacks of two connections, the client's and the container's; a task exists only for a body that
did not arrive at once and for a container without a spare connection.
"""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter

from wildsage.core.arn import build
from wildsage.core.background import Background
from wildsage.core.clock import Clock
from wildsage.core.errors import ApiError
from wildsage.core.invocations import InvocationLimits
from wildsage.core.routes import INVOKING, MULTI_MODEL, SERIAL
from wildsage.dataplane import answers, members, serverless
from wildsage.dataplane.callers import Callers, Identity
from wildsage.dataplane.capture.taking import Captures
from wildsage.dataplane.gathering import Gathering
from wildsage.dataplane.invocation import Asked, Invocation
from wildsage.dataplane.multimodel.invoking import ModelInvocation, Models
from wildsage.dataplane.multimodel.places import Place
from wildsage.dataplane.series.chain import Chain
from wildsage.dataplane.series.onward import KeptConnections
from wildsage.dataplane.series.targets import target
from wildsage.dataplane.shadows import Shadows
from wildsage.dataplane.stateful import Sessions, Visit
from wildsage.dataplane.table import LiveEndpoint, LiveVariant, Table
from wildsage.dataplane.verdicts import asking
from wildsage.wire.http.bulk import Intake, Pieces
from wildsage.wire.http.client_connection import Pool, Unreachable
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import BytesBody, ClientGone, Request

log = logging.getLogger(__name__)

_PREFIX, _PLAIN, _STREAM = "/endpoints/", "/invocations", "/invocations-response-stream"


def endpoint_of(exchange: Exchange) -> tuple[str, bool] | None:
    """The endpoint's name and whether the answer shall be events, if the request is an invocation."""
    target = exchange.request.target.partition("?")[0]  # a presigned request's signature stands behind it
    if not target.startswith(_PREFIX) or exchange.request.method != "POST":
        return None
    if target.endswith(_PLAIN):
        name, streams = target[len(_PREFIX) : -len(_PLAIN)], False
    elif target.endswith(_STREAM):
        name, streams = target[len(_PREFIX) : -len(_STREAM)], True
    else:
        return None
    return None if "/" in name else (name, streams)


class Invocations:
    """Checks, routes and answers."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        pool: Pool,
        limits: InvocationLimits,
        captures: Captures,
        models: str,
    ) -> None:
        """``models``: the address where control is asked to load models."""
        self._table = table
        self._clock = clock
        self._callers = Callers(table, clock)
        self._sessions = Sessions(lambda: table.master, clock.now)
        self.models = Models(table, pool, models)
        self._pool = pool
        self._background = Background()
        self._handing = KeptConnections(pool, self._background, limits.payload, self._hold)
        self._shadows = Shadows(pool, limits.seconds)
        self._limits = limits
        self._captures = captures
        self._held = 0
        self._loop = asyncio.get_running_loop()
        self._running: set[Invocation] = set()
        self._pace = min(1.0, limits.seconds / 4)
        self._timer = self._loop.call_later(self._pace, self._watch)

    def answer(self, exchange: Exchange, name: str, streams: bool) -> None:
        """Answers ``exchange``, now or later."""
        began = perf_counter()
        body = exchange.request.body
        if not isinstance(body, BytesBody):
            self._gather(exchange, name, streams, began)
            return
        try:
            identity = self._callers.identify(exchange.request, body.data)
            self._invoke(exchange, name, streams, body.data, identity, began)
        except ApiError as error:
            exchange.respond(*answers.error_answer(error))

    def break_off(self) -> None:
        """The router stops: ends the streams that can be ended in words."""
        for invocation in list(self._running):
            invocation.break_off()

    def close(self) -> None:
        self._timer.cancel()
        self._shadows.close()
        self.models.close()
        self._background.cancel()

    def _gather(self, exchange: Exchange, name: str, streams: bool, began: float) -> None:
        """A body that did not arrive at once: read if the caller's key is known, and kept while there is room."""
        request = exchange.request
        gathering = Gathering(self._limits.payload, self._hold)
        try:
            self._callers.known(request)
            if int(request.header("content-length") or 0) > self._limits.payload:
                raise answers.oversize()
            coming = exchange.gather(gathering)
        except ApiError as error:
            self._held -= gathering.held
            exchange.respond(*answers.error_answer(error))
        else:
            self._background.begin(self._gathered(exchange, name, streams, began, gathering, coming))

    async def _gathered(
        self,
        exchange: Exchange,
        name: str,
        streams: bool,
        began: float,
        gathering: Gathering,
        coming: Intake | Pieces,
    ) -> None:
        try:
            data = await coming.whole()
            exchange.request.body = BytesBody(data)
            identity = self._callers.identify(exchange.request, data, gathering.digest())
            self._invoke(exchange, name, streams, data, identity, began, gathering.held)
            gathering.held = 0  # the invocation, now that there is one, lets go of them
        except ApiError as error:
            exchange.respond(*answers.error_answer(error))
        except ClientGone:
            exchange.keep_alive = False
            exchange.respond(400, [], b"")
        finally:
            self._held -= gathering.held

    def _hold(self, size: int) -> None:
        self._held += size
        if size > 0 and self._held > self._limits.together:
            raise answers.unavailable("Too many bytes are under way at the same time. Try your call again.")

    def _invoke(
        self,
        exchange: Exchange,
        name: str,
        streams: bool,
        body: bytes,
        identity: Identity,
        began: float,
        held: int = 0,
    ) -> None:
        """Begins the invocation. Raises ApiError."""
        if len(body) > self._limits.payload:
            raise answers.oversize()
        headers = exchange.request.headers
        live = self._permitted(identity, name, exchange.request, streams)
        options = {header: value for header, value in headers if header.startswith("x-amzn-sagemaker-")}
        visit, variant, model, place = self._choose(live, options, streams)
        if variant.variant.concurrency:
            serverless.admit(variant, len(body))
        taken = None
        if variant.capture is not None:
            taken = self._captures.sample(variant.capture, variant.counters, exchange.request, body)
        head = answers.container_head(headers, options, len(body), streams, None if visit is None else visit.inward)
        seconds = self._limits.stream_seconds if streams else self._limits.seconds
        asked = Asked(live.endpoint, self._table.account, head, body, streams, seconds, began, visit, held, taken)
        if model:
            invocation = ModelInvocation(exchange, asked, variant, self._sessions, self._done, model, self.models)
            self._running.add(invocation)
            self.models.start(invocation, place)
            return
        self._begin(exchange, asked, variant)
        if live.shadows and visit is None:
            self._shadows.copy(live, head, body, taken)

    def _permitted(self, identity: Identity, name: str, request: Request, streams: bool) -> LiveEndpoint:
        """The endpoint, if the caller may invoke it and the request is one for it. Raises ApiError."""
        live = self._table.endpoint(identity.region, name)
        arn = live.endpoint.arn if live is not None else self._arn(identity.region, name)
        refusal = self._refusal(identity, arn, live, request, streams)
        if refusal:
            raise answers.denied(identity.arn, INVOKING[streams], arn, refusal)
        if live is None:
            members.check_all(name, request.headers, streams)
            raise answers.not_found(name, self._table.account)
        members.check(name, request.headers, streams)
        if live.endpoint.asynchronous:
            raise answers.asynchronous(name)
        return live

    def _refusal(self, identity: Identity, arn: str, live: LiveEndpoint | None, request: Request, streams: bool) -> str:
        """Why the caller may not invoke it; empty where it may."""
        own, within = self._table.verdicts(identity.principal, identity.user_id), identity.within
        if own.steady and (within is None or within.steady):
            decision = own.steadily(streams, arn)
            if within is not None and decision.allowed:
                decision = within.steadily(streams, arn)
            return decision.reason
        tags = {} if live is None else live.endpoint.tags
        asked = asking(request, identity.region, self._clock.now(), tags, own.context, identity.context)
        decision = own.of(streams, arn, asked)
        if within is not None and decision.allowed:
            decision = within.of(streams, arn, asked)
        return decision.reason

    def _choose(
        self, live: LiveEndpoint, options: dict[str, str], streams: bool
    ) -> tuple[Visit | None, LiveVariant, str, Place | None]:
        """The session and the variant, then the model and where that is loaded, of a multi-model endpoint.

        Raises ApiError for what cannot be had.
        """
        chooses = bool(options) and not options.keys() <= answers.CHOOSING_NOTHING
        visit, variant = self._session(live, options, streams) if chooses else (None, _by_weight(live))
        if not (chooses or variant.variant.mode or answers.TARGET_MODEL in options):
            return visit, variant, "", None
        place = None if chooses else self.models.loaded(variant, options)
        if place is not None:
            return visit, variant, place.target, place
        variant, model = _target(live.endpoint.name, variant, options)
        return visit, variant, model, None

    def _begin(self, exchange: Exchange, asked: Asked, variant: LiveVariant) -> None:
        if variant.variant.mode == SERIAL:
            invocation: Invocation = Chain(exchange, asked, variant, self._sessions, self._done, self._handing)
        else:
            invocation = Invocation(exchange, asked, variant, self._sessions, self._done)
        self._running.add(invocation)
        self._start(invocation)

    def _session(self, live: LiveEndpoint, options: dict[str, str], streams: bool) -> tuple[Visit | None, LiveVariant]:
        """The session and the variant that are asked for. Raises ValidationError."""
        name = live.endpoint.name
        answers.refuse_options(name, options, streams)
        wanted = options.get("x-amzn-sagemaker-target-variant")
        session = options.get("x-amzn-sagemaker-session-id")
        visit = None
        if session is not None:
            visit = self._sessions.open(session, live)
            if visit is None or (visit.variant and wanted not in (None, visit.variant.variant.name)):
                raise answers.session_not_found(session, name)
            if visit.variant is not None:
                return visit, visit.variant
        return visit, _by_weight(live) if wanted is None else _named(live, wanted)

    def _arn(self, region: str, name: str) -> str:
        return build("sagemaker", region, self._table.account, f"endpoint/{name.lower()}")

    def _start(self, invocation: Invocation) -> None:
        """Sends it over a kept connection, if there is one that is still open; else over a new one."""
        slot = invocation.next_slot()
        if slot is not None:
            while (connection := self._pool.take(slot.instance.address)) is not None:
                if invocation.send(connection):
                    return
        self._background.begin(self._connect(invocation))

    async def _connect(self, invocation: Invocation) -> None:
        """Tries the variant's instances in turn until one can be reached."""
        while (slot := invocation.slot) is not None and not invocation.over:
            try:
                connection = await self._pool.connect(slot.instance.address)
            except Unreachable as error:
                if not slot.failures:
                    log.warning("instance %s: %s", slot.instance.id, error)
                slot.refused(perf_counter())
                invocation.next_slot()
                continue
            slot.reached()
            if invocation.send(connection):
                return
            if not connection.transport.is_closing():
                self._pool.give(connection)  # the client has gone in the meantime
                return
            invocation.next_slot()
        if not invocation.over:
            invocation.fail(_none_ready())

    def _done(self, invocation: Invocation) -> None:
        """The invocation is over; its connection, if the answer was whole, serves the next."""
        self._running.discard(invocation)
        self._held -= invocation.asked.held
        if invocation.connection is not None:
            self._pool.give(invocation.connection)

    def _watch(self) -> None:
        """Ends what has taken too long."""
        now = perf_counter()
        for invocation in list(self._running):
            if invocation.deadline < now:
                invocation.time_out()
        self._timer = self._loop.call_later(self._pace, self._watch)


def _by_weight(live: LiveEndpoint) -> LiveVariant:
    found = live.pick()
    if found is None:
        if live.variants and all(variant.weight <= 0 for variant in live.endpoint.variants):
            raise answers.unavailable(
                f"All variants of endpoint {live.endpoint.name} have weight 0. Give one a weight with "
                "UpdateEndpointWeightsAndCapacities, or name one as TargetVariant."
            )
        raise _none_ready()
    return found


def _named(live: LiveEndpoint, wanted: str) -> LiveVariant:
    if all(variant.name != wanted for variant in live.endpoint.variants):
        raise answers.variant_not_found(wanted, live.endpoint.name)
    found = live.named(wanted)
    if found is None:
        raise _none_ready()
    return found


def _target(endpoint: str, variant: LiveVariant, options: dict[str, str]) -> tuple[LiveVariant, str]:
    """The container and the model that are asked for. Raises ValidationError."""
    found = target(endpoint, variant, options)
    return found, answers.target_model(endpoint, options, found.variant.mode == MULTI_MODEL)


def _none_ready() -> ApiError:
    """Instances come and go while an endpoint is in service; a client that tries again will find one."""
    return answers.unavailable("No instance of the endpoint can be reached. Try your call again.")
