"""Stages 3 and 4: the request's members, and whether they keep to the model."""

from __future__ import annotations

from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts
from wildsage.wire.aside import aside
from wildsage.wire.http.messages import BytesBody
from wildsage.wire.protocols import protocol_of
from wildsage.wire.validate import validate as check


async def parse(_parts: Parts, exchange: Exchange) -> None:
    """Fills params; raises SerializationException and its like."""
    request = exchange.http
    protocol = exchange.protocol or protocol_of(request, exchange.op.service)
    exchange.params = await protocol.parse_request(exchange.op, request, exchange.labels)


async def validate(_parts: Parts, exchange: Exchange) -> None:
    """Raises ValidationException in AWS's words."""
    body = exchange.request.body if exchange.request is not None else None
    size = len(body.data) if isinstance(body, BytesBody) else 0
    await aside(size, check, exchange.op, exchange.params)
