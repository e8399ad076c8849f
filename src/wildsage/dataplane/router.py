"""The router: one port, and behind it InvokeEndpoint, tunnels and the way to control."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import time
from dataclasses import asdict

from wildsage.core.clock import Clock, SystemClock
from wildsage.core.routes import from_json
from wildsage.core.settings import DataDir
from wildsage.dataplane.callers import Callers
from wildsage.dataplane.door import Door
from wildsage.dataplane.forwarding import Forwarding
from wildsage.dataplane.invocations import Invocations, endpoint_of
from wildsage.dataplane.table import Table
from wildsage.dataplane.tunnels import Tunnels
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import Pool
from wildsage.wire.http.connection import Limits
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import Handling, Server, start_server

log = logging.getLogger(__name__)

_MOST_SNAPSHOT_BYTES = 256 * 1024 * 1024


class Router:
    """One router process. ``await start``, then ``await close``."""

    def __init__(
        self, data: DataDir, listener: socket.socket, model_seconds: float = 60.0, patience: float = 5.0
    ) -> None:
        self.table = Table()
        self._data = data
        self._listener = listener
        self._began = time.time()
        clock: Clock = SystemClock()
        pool = Pool()
        client = Client(pool)
        forwarding = Forwarding(client, f"unix:{data.control_socket}", clock, patience)
        self._forward = Handling(forwarding, cancel_when_gone=True)
        self._invocations = Invocations(self.table, Callers(self.table, clock), pool, self._forward, model_seconds)
        self._tunnels = Tunnels(self.home)
        self._client = client
        self._server = Server(self._on_request, Limits())
        self._door: Door | None = None
        self._context: ssl.SSLContext | None = None
        self._pushes: Server | None = None

    def home(self) -> tuple[str, int]:
        """Where this router can be reached from this machine."""
        host, port = self._listener.getsockname()[:2]
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port

    async def start(self) -> None:
        """Takes the stored snapshot, then opens the port."""
        # Before the file is read: control writes the file and then looks for this socket, so one of the two is seen.
        self._pushes = await start_server(self._on_push, path=self._data.router_socket)
        if self._data.routes.exists():
            try:
                self.table.put(from_json(self._data.routes.read_bytes()))
            except ValueError:
                log.exception("%s cannot be used; waiting for control to push another", self._data.routes)
        self._listener.listen(4096)
        self._door = Door(self._listener, self._server, self._tls)

    async def close(self, grace: float = 5.0) -> None:
        if self._door is not None:
            self._door.close()
        await self._server.close(grace)
        await self._forward.close()
        if self._pushes is not None:
            await self._pushes.close(0.5)
        self._invocations.close()
        self._tunnels.close()
        self._client.close()

    def _on_request(self, exchange: Exchange) -> None:
        name = endpoint_of(exchange)
        if name is not None:
            self._invocations.answer(exchange, name)
        elif exchange.request.method == "CONNECT":
            self._tunnels.answer(exchange)
        else:
            self._forward(exchange)

    async def _on_push(self, request: Request) -> Response:
        """What control asks of a router on its socket: ``PUT /routes``, ``GET /counters``."""
        if (request.method, request.path) == ("PUT", "/routes"):
            try:
                self.table.put(from_json(await request.body.read(_MOST_SNAPSHOT_BYTES)))
            except ValueError as error:
                log.warning("a snapshot was refused: %s", error)
                return _json(409, {"version": self.table.version, "message": str(error)})
            return _json(200, {"version": self.table.version})
        if (request.method, request.path) == ("GET", "/counters"):
            endpoints = {
                key: {variant: asdict(counters) for variant, counters in variants.items()}
                for key, variants in self.table.counters().items()
            }
            return _json(200, {"pid": os.getpid(), "since": self._began, "endpoints": endpoints})
        return _json(404, {"message": "PUT /routes or GET /counters"})

    def _tls(self) -> ssl.SSLContext | None:
        """The certificate's context, once its files are there: on a first start they are made beside the router."""
        if self._context is not None:
            return self._context
        certificate, key = self._data.tls / "server.pem", self._data.tls / "server.key"
        if not certificate.exists():
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["http/1.1"])
        self._context = context
        return context


def _json(status: int, body: object) -> Response:
    return Response(status, [("content-type", "application/json")], json.dumps(body).encode())
