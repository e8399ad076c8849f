"""Stage 1: which service, region and operation."""

from __future__ import annotations

import re
import zlib

from wildsage.core.errors import ApiError
from wildsage.gateway.authenticate import signer
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts
from wildsage.wire.aside import aside
from wildsage.wire.bounds import MOST_UNPACKED, bound_of, read_bounded
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.model import load
from wildsage.wire.names import identify_service
from wildsage.wire.protocols import protocol_of
from wildsage.wire.routing import match
from wildsage.wire.sigv4 import parse_authorization

_FOR_ANYBODY = 4 * 1024 * 1024  # bytes that are held of a request before its key is known to be one
_GZIP = 31  # zlib: a gzip header, and the largest window
_REGION_IN_HOST = re.compile(r"\b([a-z]{2}(?:-[a-z]+)+-\d)\b")
_LONGEST_HOST = 255  # RFC 1035; a search takes the square of the length


def _region_of_host(request: Request) -> str | None:
    found = _REGION_IN_HOST.search((request.header("host") or "")[:_LONGEST_HOST])
    return found[1] if found else None


async def _hold_body(request: Request, service: str, operation: str = "") -> None:
    """Keeps the body in memory: signature and parameters, and of a form the operation, are all read from it."""
    data = await read_bounded(request, service, operation)
    if (request.header("content-encoding") or "").lower() == "gzip":
        request.body = BytesBody(await aside(len(data), _unpacked, data), sent=data)
    elif not isinstance(request.body, BytesBody):
        request.body = BytesBody(data)


def _unpacked(data: bytes) -> bytes:
    """Clients compress what some operations send (Smithy, ``requestCompression``: PutMetricData over 10 KiB)."""
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        found = unpacker.decompress(data, MOST_UNPACKED + 1)
    except zlib.error as error:
        raise ApiError("SerializationException", f"The body is not gzip: {error}") from error
    if len(found) > MOST_UNPACKED:
        words = f"The request body unpacks to over {MOST_UNPACKED} bytes."
        raise ApiError("RequestEntityTooLargeException", words, 413)
    if not unpacker.eof:
        raise ApiError("SerializationException", "The compressed body is not whole.")
    return found


async def identify(parts: Parts, exchange: Exchange) -> None:
    """Finds service, region and operation; raises ApiError for what is not known."""
    request = exchange.http
    exchange.authorization = authorization = parse_authorization(request)
    streams = (authorization.service if authorization else "s3") == "s3" and not _is_form(request)
    signed = None if streams else authorization  # of a body that is held, once it is known how much it may be
    if not streams and signed is None:
        await _hold_body(request, "")  # its form may say whose it is
    service = identify_service(request, authorization.service if authorization else None)
    if service is None:
        name = authorization.service[:60] if authorization else ""
        raise ApiError("UnknownOperationException", f"Wildsage knows no service that signs as {name!r}.")
    exchange.service = service
    region = authorization.region if authorization else _region_of_host(request)
    exchange.region = region or parts.platform.settings.region
    exchange.model = model = load(service)
    exchange.protocol = protocol = protocol_of(request, model)
    if signed is not None and protocol.name == "query":
        await _hold_body(request, service)
    exchange.operation, exchange.labels = await match(model, protocol, request)
    if signed is not None and protocol.name != "query":
        if bound_of(service, exchange.operation.name).most > _FOR_ANYBODY:
            await signer(parts, signed)
        await _hold_body(request, service, exchange.operation.name)


def _is_form(request: Request) -> bool:
    return (request.header("content-type") or "").startswith("application/x-www-form-urlencoded")
