"""The few netlink messages that make a network: links, addresses, routes, and one rule of nftables.

Written out because the process that needs them imports next to nothing and no machine need have iproute2 or nft.
Numbers: linux/rtnetlink.h, linux/if_link.h, linux/netfilter/nf_tables.h. Every function acts on the network namespace
that its socket was made in, and raises OSError in the kernel's words.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable

_ROUTE, _NETFILTER = 0, 12  # families of netlink
_REQUEST, _ACKNOWLEDGE, _NEW_ONLY, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
_NEW_LINK, _NEW_ADDRESS, _NEW_ROUTE, _NEW_RULE = 16, 20, 24, 32
_LINK_NAME, _LINK_MTU, _LINK_MASTER, _LINK_INFO, _LINK_NAMESPACE = 3, 4, 10, 18, 28
_RULE_TO, _RULE_PRIORITY, _RULE_PORTS = 1, 6, 24
_BY_TABLE, _UNREACHABLE = 1, 7  # what a rule of routing does
_MAIN_TABLE = 254
_UP = 0x1
_NESTED = 0x8000
_BEGIN, _END = 0x10, 0x11
_TABLE, _CHAIN, _RULE = 0xA00, 0xA03, 0xA06
_OUTPUT_HOOK, _NAT_PRIORITY = 3, -100


def attribute(kind: int, value: bytes | str | int) -> bytes:
    """One attribute; a number has 32 bits in the machine's order, a text ends with a zero."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    padding = -len(value) % 4
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(padding)


def _nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def _big(value: int) -> bytes:
    return struct.pack(">i", value)


class Netlink:
    """A socket to the kernel; of the network namespace that the caller is in now."""

    def __init__(self, family: int = _ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)

    def close(self) -> None:
        self._socket.close()

    def ask(self, messages: Iterable[tuple[int, int, bytes]], subject: str) -> None:
        """Sends (type, flags, body) in one go; returns when each that asked for it was acknowledged."""
        raw, waiting = b"", 0
        for number, (kind, flags, body) in enumerate(messages):
            raw += struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST, number, 0) + body
            waiting += bool(flags & _ACKNOWLEDGE)
        self._socket.send(raw)
        while waiting:
            answer = self._socket.recv(1 << 16)
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind == _ERROR:
                    (error,) = struct.unpack_from("=i", answer, 16)
                    if error:
                        raise OSError(-error, os.strerror(-error), subject)
                    waiting -= 1
                answer = answer[(length + 3) & ~3 :]

    def _link(self, index: int, flags: int, parts: bytes, subject: str, create: bool = False) -> None:
        body = struct.pack("=BxHiII", 0, 0, index, flags, flags) + parts
        self.ask([(_NEW_LINK, _ACKNOWLEDGE | (_CREATE if create else 0), body)], subject)

    def add_bridge(self, name: str, mtu: int) -> int:
        """A bridge that is up; its index."""
        kind = _nested(_LINK_INFO, attribute(1, "bridge"))
        self._link(0, _UP, attribute(_LINK_NAME, name) + attribute(_LINK_MTU, mtu) + kind, name, create=True)
        return socket.if_nametoindex(name)

    def add_pair(self, name: str, peer: str, peer_namespace: int, mtu: int) -> int:
        """A cable: one end here and up, the other in the namespace of that descriptor; the index of this end."""
        size = attribute(_LINK_MTU, mtu)
        other = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(_LINK_NAME, peer) + size
        data = _nested(2, _nested(1, other + attribute(_LINK_NAMESPACE, peer_namespace)))
        kind = _nested(_LINK_INFO, attribute(1, "veth") + data)
        self._link(0, _UP, attribute(_LINK_NAME, name) + size + kind, name, create=True)
        return socket.if_nametoindex(name)

    def plug(self, name: str, bridge: int) -> None:
        """Puts a cable's end into the bridge, and brings it up."""
        self._link(socket.if_nametoindex(name), _UP, attribute(_LINK_MASTER, bridge), name)

    def bring_up(self, index: int, mtu: int = 0) -> None:
        self._link(index, _UP, attribute(_LINK_MTU, mtu) if mtu else b"", f"link {index}")

    def add_address(self, index: int, address: str, prefix: int) -> None:
        raw = socket.inet_aton(address)
        body = struct.pack("=BBBBi", socket.AF_INET, prefix, 0, 0, index) + attribute(1, raw) + attribute(2, raw)
        self.ask([(_NEW_ADDRESS, _ACKNOWLEDGE | _CREATE, body)], address)

    def add_default_route(self, index: int) -> None:
        """Whatever is nowhere else is on that link."""
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, _MAIN_TABLE, 3, 253, 1, 0) + attribute(4, index)
        self.ask([(_NEW_ROUTE, _ACKNOWLEDGE | _CREATE, body)], "default route")

    def shut(self, address: str, but_for: int) -> None:
        """Nothing of this namespace reaches that address from here on, save at the port ``but_for``."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        ports = attribute(_RULE_PORTS, struct.pack("=HH", but_for, but_for))
        for priority, table, action, further in ((10, _MAIN_TABLE, _BY_TABLE, ports), (11, 0, _UNREACHABLE, b"")):
            body = struct.pack("=BBBBBBBBI", family, 8 * len(raw), 0, 0, table, 0, 0, action, 0)
            body += attribute(_RULE_TO, raw) + attribute(_RULE_PRIORITY, priority) + further
            try:
                self.ask([(_NEW_RULE, _ACKNOWLEDGE | _CREATE | _NEW_ONLY, body)], address)
            except FileExistsError:
                continue  # of somebody who shut it before


def _expression(name: str, *parts: bytes) -> bytes:
    return _nested(1, attribute(1, name), _nested(2, *parts))


def _compare(different: bool, value: bytes) -> bytes:
    return _expression("cmp", attribute(1, _big(1)), attribute(2, _big(different)), _nested(3, attribute(1, value)))


def redirect_to(port: int, network: str, mask: str) -> None:
    """From here on, TCP that this namespace sends elsewhere than to itself and to ``network`` arrives at ``port``."""
    one = _big(1)  # the first register
    rule = (
        _expression("meta", attribute(1, one), attribute(2, _big(16))),  # the protocol
        _compare(False, bytes([socket.IPPROTO_TCP])),
        _expression("meta", attribute(1, one), attribute(2, _big(5))),  # the link it leaves by: 1 is loopback
        _compare(True, struct.pack("=I", 1)),
        _expression(
            "payload", attribute(1, one), attribute(2, one), attribute(3, _big(16)), attribute(4, _big(4))
        ),  # the destination's address
        _expression(
            "bitwise",
            attribute(1, one),
            attribute(2, one),
            attribute(3, _big(4)),
            _nested(4, attribute(1, socket.inet_aton(mask))),
            _nested(5, attribute(1, bytes(4))),
        ),
        _compare(True, socket.inet_aton(network)),
        _expression("immediate", attribute(1, one), _nested(2, attribute(1, struct.pack(">H", port)))),
        _expression("redir", attribute(1, one)),
    )
    head = struct.pack(">BBH", socket.AF_INET, 0, 0)
    batch = struct.pack(">BBH", 0, 0, 10)  # the subsystem of nftables
    table, chain = "wildsage", "out"
    hook = _nested(4, attribute(1, _big(_OUTPUT_HOOK)), attribute(2, _big(_NAT_PRIORITY)))
    wanted = _ACKNOWLEDGE | _CREATE
    messages = (
        (_BEGIN, 0, batch),
        (_TABLE, wanted, head + attribute(1, table)),
        (_CHAIN, wanted, head + attribute(1, table) + attribute(3, chain) + hook + attribute(7, "nat")),
        (_RULE, wanted | 0x800, head + attribute(1, table) + attribute(2, chain) + _nested(4, *rule)),
        (_END, 0, batch),
    )
    link = Netlink(_NETFILTER)
    try:
        link.ask(messages, "nftables")
    finally:
        link.close()
