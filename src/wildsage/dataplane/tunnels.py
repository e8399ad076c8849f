"""``CONNECT host:port``: what clients send to an HTTPS_PROXY.

The stock SDKs call ``sts.<region>.amazonaws.com`` whatever endpoint they were given.  With this port as their proxy,
names of AWS lead back here, to TLS under our own certificate; every other name is tunnelled to where it belongs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from typing import cast

from wildsage.core.background import Background
from wildsage.core.metadata import is_metadata
from wildsage.wire.http import heads
from wildsage.wire.http.exchange import Exchange

log = logging.getLogger(__name__)

_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_CONNECT_SECONDS = 15.0
_UNSENT_MOST = 256 * 1024


def is_aws(host: str) -> bool:
    """Whether a host name is one of AWS's, to be answered here."""
    return host.lower().rstrip(".").endswith(_AWS)


def refused(peer: str, far: tuple[str, int] | None, metadata: bool = False) -> bool:
    """Whether ``peer`` (IP and port) is elsewhere, but what it wants can only be reached from this machine.

    CONNECT needs no key, so it must not open to others what listens on loopback, or what a cloud tells its machines.
    The latter is not for containers either, which are on this machine, unless ``metadata``.
    """
    if far is None:
        return True  # it has closed already
    client, target = _ip(peer.rpartition(":")[0]), _ip(far[0])
    if not metadata and is_metadata(str(target), far[1]):
        return True
    return not client.is_loopback and (target.is_loopback or target.is_link_local or target.is_unspecified)


def _port(text: str) -> int | None:
    """None where it is none: uvloop would take 65536 more for the same port."""
    return int(text) if len(text) < 6 and text.isdecimal() and int(text) < 65536 else None


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    return (found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found


class Tunnels:
    """Answers CONNECT.

    ``home``: host and port of this router, asked anew for each tunnel. ``metadata``: as ``refused`` has it.
    """

    def __init__(self, home: Callable[[], tuple[str, int]], metadata: bool = False) -> None:
        self._home = home
        self._metadata = metadata
        self._loop = asyncio.get_running_loop()
        self._opening = Background()
        self._sides: set[_Side] = set()

    def close(self) -> None:
        """Cuts every tunnel."""
        self._opening.cancel()
        for side in list(self._sides):
            side.transport.abort()

    def answer(self, exchange: Exchange) -> None:
        self._opening.begin(self._open(exchange))

    async def _open(self, exchange: Exchange) -> None:
        host, _, text = exchange.request.target.rpartition(":")
        host, port = host.strip("[]"), _port(text)
        if not host or port is None:
            exchange.respond(400, [], b"CONNECT takes host:port\n")
            return
        place = self._home() if is_aws(host) else (host, port)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                far, side = await self._loop.create_connection(lambda: _Side(self._sides), *place)
        except (OSError, TimeoutError, UnicodeError) as error:  # the last: what cannot be a name, as "a..b"
            log.info("no tunnel to %s: %s", exchange.request.target, error)
            exchange.respond(502, [], f"cannot reach {exchange.request.target}: {error}\n".encode())
            return
        if exchange.gone:
            far.abort()
            return
        if place != self._home() and refused(exchange.request.peer, far.get_extra_info("peername"), self._metadata):
            far.abort()
            exchange.respond(403, [], f"{exchange.request.target} is this machine's own\n".encode())
            return
        exchange.transport.write(heads.response_head(200, [], ""))
        sent = exchange.detach()
        near = _Side(self._sides)
        near.connection_made(exchange.transport)
        near.join(side)
        side.join(near)
        if sent:
            far.write(sent)
        exchange.transport.set_protocol(near)
        exchange.transport.resume_reading()


class _Side(asyncio.Protocol):
    """One end of a tunnel: what arrives here leaves at the other."""

    def __init__(self, sides: set[_Side]) -> None:
        self._sides = sides
        self._ended = False
        self._early: list[bytes] = []
        self.other: _Side | None = None
        self.transport: asyncio.Transport

    def join(self, other: _Side) -> None:
        """From now on what arrives leaves at ``other``; what has arrived already does so now."""
        self.other = other
        other.transport.writelines(self._early)
        self._early.clear()
        if self.transport.is_closing():
            other.transport.close()
        elif self._ended and not other.transport.is_closing():
            other.transport.write_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._sides.add(self)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)  # who was called speaks first, and nobody is told yet that there is a tunnel
        else:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        if self.other is None:
            return True
        if self.other._ended:
            return False
        if not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._sides.discard(self)
        if self.other is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()
