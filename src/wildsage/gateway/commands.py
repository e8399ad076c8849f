"""``/_wildsage/commands/NAME``: what an operator may ask that AWS has no operation for; ``compose`` lists them."""

from __future__ import annotations

import json

from wildsage.core.errors import AccessDenied, ApiError
from wildsage.core.ids import request_id
from wildsage.gateway.authenticate import authenticate
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts
from wildsage.store.codec import Document
from wildsage.wire.http.messages import BodyTooLarge, BytesBody, Request
from wildsage.wire.sigv4 import parse_authorization

PREFIX = "/_wildsage/commands/"
_MOST_BYTES = 1 << 20


async def run(parts: Parts, request: Request) -> tuple[int, Document]:
    """HTTP status and answer. The request is signed as one to SageMaker, by the account's root user."""
    try:
        return 200, await _run(parts, request)
    except ApiError as error:
        return error.status, {"code": error.code, "message": error.message}


async def _run(parts: Parts, request: Request) -> Document:
    name = request.path.removeprefix(PREFIX)
    command = parts.commands.get(name)
    if command is None or request.method != "POST":
        raise ApiError(
            "NotFound", f"There is no command {name[:60]!r}; POST to one of: {', '.join(parts.commands)}.", 404
        )
    authorization = parse_authorization(request)
    if authorization is None:
        raise AccessDenied("Commands must be signed (Signature Version 4, service sagemaker) with the root user's key.")
    try:
        body = await request.body.read(_MOST_BYTES)
    except BodyTooLarge as error:
        raise ApiError("RequestEntityTooLargeException", f"The command has {error}.", 413) from error
    request.body = BytesBody(body)
    exchange = Exchange(request_id(), parts.platform.clock.now(), request=request, service="sagemaker")
    exchange.authorization = authorization
    await authenticate(parts, exchange)
    caller = exchange.by
    if not caller.is_root:
        raise AccessDenied(f"{caller.arn} is not the root user of the account, who alone may run commands.")
    try:
        params = json.loads(body)
    except (ValueError, RecursionError):
        params = None
    if not isinstance(params, dict):
        raise ApiError("SerializationException", "The body of a command is a JSON object.")
    return await command(parts.platform, caller.account, authorization.region, params)
