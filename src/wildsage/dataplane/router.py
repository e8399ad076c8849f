"""The router: one port, and behind it InvokeEndpoint, tunnels and the way to control."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import time
from dataclasses import fields
from typing import Any

from wildsage.core.addresses import reached_at
from wildsage.core.clock import Clock, SystemClock
from wildsage.core.instances import DOUBT, LEFT
from wildsage.core.invocations import InvocationLimits
from wildsage.core.multimodel import RELEASE, USED
from wildsage.core.settings import DataDir
from wildsage.dataplane.capture.taking import Captures
from wildsage.dataplane.door import Door
from wildsage.dataplane.forwarding import Forwarding
from wildsage.dataplane.handover import Sender
from wildsage.dataplane.invocations import Invocations, endpoint_of
from wildsage.dataplane.pushes import Pushes
from wildsage.dataplane.table import Table
from wildsage.dataplane.tunnels import Tunnels
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import Pool
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.limits import Limits
from wildsage.wire.http.server import Handling, Server

_TOLD_AT_A_TIME = 32  # endpoints: less than 1 ms


class Router:
    """One router process. ``await start``, then ``await close``. ``number``: which of those that share the port."""

    def __init__(
        self,
        data: DataDir,
        listener: socket.socket,
        number: int = 0,
        limits: InvocationLimits = InvocationLimits(),  # noqa: B008 - frozen
        patience: float = 5.0,
        metadata: bool = False,
    ) -> None:
        self.table = Table()
        self._data = data
        self._number = number
        self._listener = listener
        self._began = time.time()
        clock: Clock = SystemClock()
        pool = Pool()
        client = Client(pool)
        control, objects = f"unix:{data.control_socket}", f"unix:{data.objects_socket}"
        self._forward = Handling(Forwarding(client, control, clock, patience), cancel_when_gone=True)
        self._forward_bulk = Handling(Forwarding(client, control, clock, patience, objects), cancel_when_gone=True)
        self._hand_over = Sender(data.objects_door)
        self._captures = Captures(data.captured)
        models_socket = f"unix:{data.models_socket}"
        self._invocations = Invocations(self.table, clock, pool, limits, self._captures, models_socket)
        self._tunnels = Tunnels(self.home, metadata)
        self._client = client
        self._server = Server(self._on_request, Limits())
        self._door: Door | None = None
        self._context: ssl.SSLContext | None = None
        models = self._invocations.models
        asked = {USED: models.used, RELEASE: models.release, DOUBT: self.table.doubt, LEFT: self.table.left}
        self._pushes = Pushes(self.table, data.routes, self._count, asked=asked)

    def home(self) -> tuple[str, int]:
        """Where this router can be reached from this machine."""
        host, port = self._listener.getsockname()[:2]
        return reached_at(host), port

    async def start(self) -> None:
        """Takes the stored snapshot, then opens the port."""
        await self._pushes.start(self._data.router_socket(self._number))
        self._listener.listen(4096)
        self._door = Door(self._listener, self._server, self._tls, self._hand_over)

    async def close(self, grace: float = 5.0) -> None:
        if self._door is not None:
            self._door.close()
        breaking = asyncio.get_running_loop().call_later(grace * 0.8, self._invocations.break_off)
        await self._server.close(grace)
        breaking.cancel()
        await self._forward.close()
        await self._forward_bulk.close()
        await self._pushes.close()
        self._hand_over.close()
        self._invocations.close()
        await self._captures.close()
        self._tunnels.close()
        self._client.close()
        await self._leave_counters()

    async def _leave_counters(self) -> None:
        """For control, which may not have asked for a while."""
        if self.table.counters():
            half = self._data.run / f"counters-{os.getpid()}.new"
            half.write_bytes(await self._count())
            half.rename(half.with_suffix(".json"))

    def _on_request(self, exchange: Exchange) -> None:
        invoked = endpoint_of(exchange)
        if invoked is not None:
            self._invocations.answer(exchange, *invoked)
        elif exchange.request.method == "CONNECT":
            self._tunnels.answer(exchange)
        elif _is_bulk(exchange) and self._hand_over.answers():
            self._forward_bulk(exchange)
        else:
            self._forward(exchange)

    async def _count(self) -> bytes:
        """The answer to ``GET /counters``; requests are answered meanwhile, for there may be thousands of variants.

        ``underway``: by address of instance, where there are any.
        """
        endpoints = []
        for key, variants in self.table.counters().items():
            endpoints.append(f"{json.dumps(key)}:{json.dumps(variants, default=_members)}")
            if len(endpoints) % _TOLD_AT_A_TIME == 0:
                await asyncio.sleep(0)
        about = {"pid": os.getpid(), "since": self._began, "underway": self.table.underway()}
        return f'{json.dumps(about)[:-1]},"endpoints":{{{",".join(endpoints)}}}}}'.encode()

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


def _members(record: Any) -> dict[str, Any]:
    """Of a dataclass, without the copies that ``asdict`` makes."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _is_bulk(exchange: Exchange) -> bool:
    """For S3 or the registry, on a connection that stays here (TLS, or one that began with something else)."""
    if exchange.request.target.startswith("/v2/"):
        return True
    signed = exchange.request.header("authorization")
    return "/s3/aws4_request" in signed if signed is not None else "%2Fs3%2Faws4_request" in exchange.request.target
