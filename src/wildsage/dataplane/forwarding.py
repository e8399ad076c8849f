"""Everything that is not answered here: streamed to another process and back, bytes and signatures untouched."""

from __future__ import annotations

import json
import logging

from wildsage.core.clock import Clock
from wildsage.dataplane import answers
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.heads import HOP_BY_HOP
from wildsage.wire.http.lanes import LANE_HEADER
from wildsage.wire.http.messages import Headers, Request, Response
from wildsage.wire.http.server import PEER_HEADER, SCHEME_HEADER

log = logging.getLogger(__name__)

HEALTH = "/_wildsage/health"
_RETRY_SECONDS = 0.05
_OURS = (PEER_HEADER, SCHEME_HEADER, LANE_HEADER)


class Forwarding:
    """A handler. ``patience``: seconds to wait for control's socket while control starts again.

    ``first``: an address to try before ``control``, without waiting for it.
    """

    def __init__(
        self, client: Client, control: str, clock: Clock, patience: float = 5.0, first: str | None = None
    ) -> None:
        self._client = client
        self._control = control
        self._clock = clock
        self._patience = patience
        self._first = first

    async def __call__(self, request: Request, lane: str | None = None) -> Response:
        """``lane``: what control is told of the body, where that stays here (``wire.http.lanes``)."""
        request.headers = _onward(request)
        if lane is not None:
            request.headers.append((LANE_HEADER, lane))
        deadline = self._clock.monotonic() + (0.0 if request.path == HEALTH else self._patience)
        address = self._first or self._control
        while True:
            try:
                response = await self._client.send(address, request)
            except Unreachable:
                if address == self._control:
                    if self._clock.monotonic() >= deadline:
                        return _away(request)
                    await self._clock.sleep(_RETRY_SECONDS)
                address = self._control
            except AnswerLost as error:
                log.warning("%s %s: %s", request.method, request.path, error)
                return _away(request)
            else:
                response.headers = [header for header in response.headers if header[0] not in HOP_BY_HOP]
                return response


def _onward(request: Request) -> Headers:
    """The headers as they came, less those of this connection and what a client may not claim."""
    own = {name.strip().lower() for name in (request.header("connection") or "").split(",")}
    chunked = request.header("transfer-encoding") is not None
    headers = [
        (name, value)
        for name, value in request.headers
        if name not in HOP_BY_HOP and name not in own and name not in _OURS
    ]
    if chunked:
        headers.append(("transfer-encoding", "chunked"))
    headers.append((PEER_HEADER, request.peer))
    headers.append((SCHEME_HEADER, request.scheme))
    return headers


def _away(request: Request) -> Response:
    words = "The control plane is not running or is starting again; endpoints that are in service still answer."
    if request.path == HEALTH:
        body = json.dumps({"status": "unavailable", "router": "ok", "control": "down", "message": words}).encode()
        return Response(503, [("content-type", "application/json")], body)
    return Response(*answers.error_answer(answers.unavailable(words)))
