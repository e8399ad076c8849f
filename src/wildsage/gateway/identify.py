"""Stage 1: which service, region and operation."""

from __future__ import annotations

import re

from wildsage.core.errors import ApiError
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts
from wildsage.wire.http.messages import BodyTooLarge, BytesBody, Request
from wildsage.wire.model import load
from wildsage.wire.names import identify_service
from wildsage.wire.protocols import protocol_of
from wildsage.wire.protocols.base import MAX_BODY
from wildsage.wire.routing import match
from wildsage.wire.sigv4 import parse_authorization

_REGION_IN_HOST = re.compile(r"\b([a-z]{2}(?:-[a-z]+)+-\d)\b")


def _region_of_host(request: Request) -> str | None:
    found = _REGION_IN_HOST.search(request.header("host") or "")
    return found[1] if found else None


async def _hold_body(request: Request) -> None:
    """Keeps the body in memory: operation, signature and parameters are all read from it."""
    if isinstance(request.body, BytesBody):
        return
    try:
        request.body = BytesBody(await request.body.read(MAX_BODY))
    except BodyTooLarge as error:
        raise ApiError("RequestEntityTooLargeException", f"The request body has {error}.", 413) from error


async def identify(parts: Parts, exchange: Exchange) -> None:
    """Finds service, region and operation; raises ApiError for what is not known."""
    request = exchange.http
    exchange.authorization = authorization = parse_authorization(request)
    streams = (authorization.service if authorization else "s3") == "s3" and not _is_form(request)
    if not streams:
        await _hold_body(request)
    service = identify_service(request, authorization.service if authorization else None)
    if service is None:
        name = authorization.service[:60] if authorization else ""
        raise ApiError("UnknownOperationException", f"Wildsage knows no service that signs as {name!r}.")
    exchange.service = service
    region = authorization.region if authorization else _region_of_host(request)
    exchange.region = region or parts.platform.settings.region
    exchange.model = model = load(service)
    exchange.protocol = protocol = protocol_of(request, model)
    exchange.operation, exchange.labels = await match(model, protocol, request)


def _is_form(request: Request) -> bool:
    return (request.header("content-type") or "").startswith("application/x-www-form-urlencoded")
