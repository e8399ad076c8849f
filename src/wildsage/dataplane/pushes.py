"""The snapshot's way into a process: read from its file at the start, then pushed by control."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from wildsage.core.addresses import ALIVE
from wildsage.core.routes import Reader
from wildsage.dataplane.table import Table
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import Server, start_server

log = logging.getLogger(__name__)

_MOST_BYTES = 256 * 1024 * 1024


class Pushes:
    """Answers ``PUT /routes`` and, with ``count``, ``GET /counters``; ``GET`` of ``ALIVE`` with nothing but that.

    ``changed`` is called after each new version.

    ``asked``: what else is answered, POST with JSON, by path.
    """

    def __init__(
        self,
        table: Table,
        stored: Path,
        count: Callable[[], Awaitable[bytes]] | None = None,
        changed: Callable[[], None] = lambda: None,
        asked: Mapping[str, Callable[[Mapping[str, Any]], object]] | None = None,
    ) -> None:
        self._table = table
        self._stored = stored
        self._count = count
        self._changed = changed
        self._asked = asked or {}
        self._reader = Reader()
        self._server: Server | None = None

    async def start(self, path: Path) -> None:
        """Listens at ``path`` and takes the stored snapshot."""
        # Before the file is read: control writes the file and then looks for this socket, so one of the two is seen.
        self._server = await start_server(self._on_request, path=path)
        if self._stored.exists():
            try:
                self._table.put(self._reader.read(self._stored.read_bytes()))
            except ValueError:
                log.exception("%s cannot be used; waiting for control to push another", self._stored)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close(0.5)

    async def _on_request(self, request: Request) -> Response:
        if (request.method, request.path) == ("PUT", "/routes"):
            try:
                self._table.put(self._reader.read(await request.body.read(_MOST_BYTES)))
            except ValueError as error:
                log.warning("a snapshot was refused: %s", error)
                return _json(409, {"version": self._table.version, "message": str(error)})
            self._changed()
            return _json(200, {"version": self._table.version})
        if self._count is not None and (request.method, request.path) == ("GET", "/counters"):
            return Response(200, [("content-type", "application/json")], await self._count())
        if (request.method, request.path) == ("GET", ALIVE):
            return _json(200, {})
        if request.method == "POST" and (answer := self._asked.get(request.path)) is not None:
            return _json(200, answer(json.loads(await request.body.read(_MOST_BYTES))))
        return _json(404, {"message": "PUT /routes or GET /counters"})


def _json(status: int, body: object) -> Response:
    return Response(status, [("content-type", "application/json")], json.dumps(body).encode())
