"""The control plane's door: every request passes the same stages, in the order of one list."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError, InternalFailure
from wildsage.core.ids import request_id
from wildsage.gateway.audit import Audit
from wildsage.gateway.authenticate import authenticate
from wildsage.gateway.authorize import authorize
from wildsage.gateway.dispatch import dispatch
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.form_upload import is_form_upload, receive_form
from wildsage.gateway.identify import identify
from wildsage.gateway.loaded import loaded
from wildsage.gateway.local import PREFIX, Reset, answer_local
from wildsage.gateway.parse import parse, validate
from wildsage.gateway.parts import CrossOrigin, Parts
from wildsage.gateway.registry import answer_registry, is_registry
from wildsage.gateway.write import write
from wildsage.store.codec import Document
from wildsage.wire.http.messages import ClientGone, Request, Response
from wildsage.wire.model import load

log = logging.getLogger(__name__)

Stage = Callable[[Parts, Exchange], Awaitable[None]]

STAGES: tuple[Stage, ...] = (
    identify,
    authenticate,
    parse,
    validate,
    loaded,
    authorize,
    dispatch,
)
FORM_STAGES: tuple[Stage, ...] = (receive_form, parse, validate, loaded, authorize, dispatch)
# A call of one service by another comes with its caller and its parameters.
INNER_STAGES: tuple[Stage, ...] = (validate, loaded, authorize, dispatch)


def _stages_for(request: Request) -> Sequence[Stage]:
    return FORM_STAGES if is_form_upload(request) else STAGES


class Door:
    """Answers HTTP requests (``handle``) and calls of services by one another (``call``)."""

    def __init__(self, parts: Parts, audit: Audit, reset: Reset | None = None) -> None:
        self._parts = parts
        self._audit = audit
        self._reset = reset

    async def handle(self, request: Request) -> Response:
        """One request; never raises but ClientGone."""
        if request.target.startswith(PREFIX):
            return await answer_local(self._parts, request, self._reset)
        if is_registry(request):
            return await answer_registry(self._parts, self._audit, request)
        exchange = Exchange(request_id(), self._parts.platform.clock.now(), request=request)
        if request.method != "OPTIONS" and request.header("origin") is None:
            await self._pass(_stages_for(request), exchange)
            return self._write(exchange)
        cross_origin = await self._parts.cross_origin()
        if request.method == "OPTIONS":
            return await self._preflight(cross_origin, exchange)
        await self._pass(_stages_for(request), exchange)
        response = self._write(exchange)
        if exchange.service == "s3":
            response.headers += await cross_origin.headers(request)
        return response

    async def _preflight(self, cross_origin: CrossOrigin, exchange: Exchange) -> Response:
        """A browser's question, which nobody signs."""
        try:
            return Response(200, await cross_origin.preflight(exchange.http))
        except ApiError as error:
            exchange.error = error
        return self._write(exchange)

    async def call(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> Document:
        """``kit.context.Calls``: raises ApiError as a client would see it."""
        exchange = await self._inner(caller, region, service, operation, params)
        if exchange.identity is None:
            raise ApiError("InvalidClientTokenId", f"{caller.principal} is no longer there.", 403)
        await self._pass(INNER_STAGES, exchange)
        if exchange.error is not None:
            raise exchange.error
        return exchange.answer or {}

    async def allowed(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> bool:
        """``kit.context.Calls``: what the stage of authorization says."""
        exchange = await self._inner(caller, region, service, operation, params)
        if exchange.identity is None:
            return False
        try:
            await authorize(self._parts, exchange)
        except ApiError:
            return False
        return True

    async def _inner(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> Exchange:
        """A call of one service by another; without identity if the caller is gone."""
        model = load(service)
        return Exchange(
            request_id(),
            self._parts.platform.clock.now(),
            service=service,
            region=region,
            model=model,
            operation=model.operations[operation],
            caller=caller,
            identity=await self._parts.principals.identity(caller),
            params=dict(params),
        )

    async def _pass(self, stages: Sequence[Stage], exchange: Exchange) -> None:
        try:
            for stage in stages:
                await stage(self._parts, exchange)
        except ApiError as error:
            exchange.error = error
        except ClientGone:
            raise
        except Exception:
            self._bug(exchange)
        self._audit.note(exchange)

    def _write(self, exchange: Exchange) -> Response:
        try:
            return write(exchange)
        except Exception:
            self._bug(exchange)
            return write(exchange)

    def _bug(self, exchange: Exchange) -> None:
        name = exchange.operation.name if exchange.operation else "a request"
        log.exception("%s of %s failed (request %s)", name, exchange.service or "no service", exchange.request_id)
        exchange.error = InternalFailure()
