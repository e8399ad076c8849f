"""The objects process: S3's plain reads and writes, and layers of the registry; everything else goes to control.

It serves the connections that the router hands over (``handover``) and, on ``run/objects.sock``, such requests of those
that the router keeps.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket

from wildsage.core.background import Background
from wildsage.core.clock import Clock, SystemClock
from wildsage.core.settings import DataDir
from wildsage.core.upstream import S3Upstream
from wildsage.dataplane.callers import Callers
from wildsage.dataplane.forwarding import Forwarding
from wildsage.dataplane.handover import Receiver
from wildsage.dataplane.invocations import endpoint_of
from wildsage.dataplane.objects.commits import Commits
from wildsage.dataplane.objects.known import Known
from wildsage.dataplane.objects.lane import Lane
from wildsage.dataplane.objects.recovery import INCOMING, recover
from wildsage.dataplane.objects.registry import RegistryLane
from wildsage.dataplane.objects.writing import Writing
from wildsage.dataplane.pushes import Pushes
from wildsage.dataplane.table import Table
from wildsage.objects.local import LocalObjects
from wildsage.store.directindex import DirectIndex
from wildsage.store.directwrites import DirectWrites
from wildsage.wire.http.client import Client
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.limits import Limits
from wildsage.wire.http.server import Handling, Server, believe_router, unix_listener

log = logging.getLogger(__name__)


class ObjectsProcess:
    """``await start``, then ``await close``. ``router``: the address of the port, for what is the router's."""

    def __init__(self, data: DataDir, router: str, patience: float = 5.0, upstream: S3Upstream | None = None) -> None:
        self.table = Table()
        self._data = data
        clock: Clock = SystemClock()
        self._client = Client()
        control = f"unix:{data.control_socket}"
        forward = Forwarding(self._client, control, clock, patience)
        self._to_control = Handling(forward, cancel_when_gone=True)
        self._to_router = Handling(Forwarding(self._client, router, clock, patience), cancel_when_gone=True)
        self._clock = clock
        self._upstream = upstream
        self._index = DirectIndex(data.database)
        self._writes = DirectWrites(data.database)
        self._objects = LocalObjects(data.objects, INCOMING)
        self._commits = Commits(self._writes, self._index, data.objects, data.objects / INCOMING)
        self._pushes = Pushes(self.table, data.routes, self._count, self._refresh)
        self._background = Background()
        self._lane = self._make_lane()
        self._registry = RegistryLane(forward, self._objects, self._background)
        self._server = Server(self._on_request, Limits())
        self._neighbours = Server(self._on_forwarded, Limits())
        self._door: Receiver | None = None
        self._answered = self._forwarded = 0

    async def start(self) -> None:
        """Settles what a crash left, takes the stored snapshot, then opens the sockets."""
        self._commits.forget_older(await recover(self._writes, self._objects))
        await self._pushes.start(self._data.objects_routes)
        await self._neighbours.listen(unix_listener(self._data.objects_socket))
        self._door = Receiver(self._data.objects_door, self._take)

    async def close(self, grace: float = 5.0) -> None:
        if self._door is not None:
            self._door.close()
        await asyncio.gather(self._server.close(grace), self._neighbours.close(grace))
        await self._to_control.close()
        await self._to_router.close()
        await self._pushes.close()
        await self._commits.close()
        self._objects.close()
        self._index.close()
        self._client.close()

    def _make_lane(self) -> Lane:
        known = Known(self.table, Callers(self.table, self._clock), self._index, self._clock, self._upstream)
        writing = Writing(known, self._commits, self._objects, self._to_control, self._background)
        return Lane(known, writing, self._data.objects, self._background)

    def _refresh(self) -> None:
        """A snapshot came: also after a reset, which makes a new database and empties the folder of objects."""
        self._index.refresh()
        self._objects.prepare()

    def _take(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._background.begin(self._serve(sock))

    async def _serve(self, sock: socket.socket) -> None:
        try:
            await self._server.serve_socket(sock)
        except OSError as error:
            log.debug("a connection that came to nothing: %s", error)
            sock.close()

    def _on_forwarded(self, exchange: Exchange) -> None:
        believe_router(exchange.request)
        self._on_request(exchange)

    def _on_request(self, exchange: Exchange) -> None:
        if endpoint_of(exchange) is not None:
            self._to_router(exchange)
        elif exchange.request.method == "CONNECT":
            exchange.respond(400, [], b"CONNECT takes a connection of its own\n")
        elif self._registry.answer(exchange) or self._lane.answer(exchange):
            self._answered += 1
        else:
            self._forwarded += 1
            self._to_control(exchange)

    async def _count(self) -> bytes:
        """The answer to ``GET /counters``: requests answered here and handed on since the start."""
        told = {"pid": os.getpid(), "answered": self._answered, "forwarded": self._forwarded}
        return json.dumps(told).encode()
