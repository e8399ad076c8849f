"""The container registry's large bodies: layers on their way in and out. What may be done, control says.

See ``wire/http/lanes`` for how the two share a request.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Final

from wildsage.core.background import Background
from wildsage.dataplane.forwarding import Forwarding
from wildsage.objects.base import NoSpace
from wildsage.objects.handing import text_of
from wildsage.objects.local import LocalObjects
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.lanes import FILE_HEADER, LANE_HEADER, WANTED, WITHHELD, file_of
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response
from wildsage.wire.http.server import guarded, send_response

log = logging.getLogger(__name__)

_PREFIX: Final = "/v2/"
_FOLDER: Final = "ECR"
_OF_BODY: Final = frozenset({"content-length", "transfer-encoding", "expect"})


class RegistryLane:
    """``answer`` returns False for what is control's alone. ``background``: where its work is done."""

    def __init__(self, forward: Forwarding, objects: LocalObjects, background: Background) -> None:
        self._forward = forward
        self._objects = objects
        self._background = background

    def answer(self, exchange: Exchange) -> bool:
        """Takes on what moves a layer."""
        request = exchange.request
        if not request.target.startswith(_PREFIX) or (request.header("authorization") or "").startswith("AWS"):
            return False
        if request.method == "GET" and "/blobs/sha256" in request.target:
            self._background.begin(guarded(exchange, self._send(exchange)))
            return True
        if request.method in ("PATCH", "PUT") and "/blobs/uploads/" in request.target and _has_body(request):
            self._background.begin(guarded(exchange, self._receive(exchange)))
            return True
        return False

    async def _send(self, exchange: Exchange) -> None:
        response = await self._ask(exchange, WITHHELD)
        text = response.header(FILE_HEADER)
        if text is not None:
            file = file_of(text)
            kept = [header for header in response.headers if header[0] not in (FILE_HEADER, "content-length")]
            response = Response(response.status, [*kept, ("content-length", str(file.length))], file)
        await send_response(exchange, response)

    async def _receive(self, exchange: Exchange) -> None:
        response = await self._ask(exchange, WITHHELD)
        if response.header(LANE_HEADER) != WANTED:
            await send_response(exchange, response)
            return
        body = exchange.request.body if exchange.stream is None else exchange.flow()
        try:
            blob = await self._objects.write(_FOLDER, "layer", body, ("SHA256",), md5=False)
        except NoSpace as error:
            await send_response(exchange, _full(error))
            return
        try:
            response = await self._ask(exchange, text_of(blob))
        finally:
            # Control has a name of its own for the bytes, or does not want them.
            await asyncio.shield(self._objects.discard([blob.name]))
        await send_response(exchange, response)

    async def _ask(self, exchange: Exchange, lane: str) -> Response:
        """Control's answer to the head of the request."""
        request = exchange.request
        headers: Headers = [header for header in request.headers if header[0] not in _OF_BODY]
        head = Request(request.method, request.target, headers, BytesBody(), request.peer, request.scheme)
        return await self._forward(head, lane)


def _has_body(request: Request) -> bool:
    return request.header("content-length") != "0" and not (
        isinstance(request.body, BytesBody) and not request.body.data
    )


def _full(error: NoSpace) -> Response:
    words = {"errors": [{"code": "UNKNOWN", "message": f"{error} Free some space and try again."}]}
    return Response(507, [("content-type", "application/json")], json.dumps(words).encode())
