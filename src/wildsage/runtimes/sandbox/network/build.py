"""Makes the namespaces, the bridge and the cables of a network, in a process of its own that ends with it.

That process may need a user namespace to be allowed to, and then cannot come back to the machine's own network; so it
hands everything to its parent, which never left it, as descriptors: the namespaces, and the sockets made inside.

    encrypted no     lo, eth0 (cable) ── bridge
    encrypted yes    lo, eth0 (tun) ┄ sealer ┄ UDP socket in a namespace beside it, link (cable) ── bridge

What runs in a container on an encrypted network can see no link that leads to the bridge.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from dataclasses import dataclass

from wildsage.runtimes.sandbox.keeper import kernel
from wildsage.runtimes.sandbox.network.forward import LOOPBACKS, open_listener
from wildsage.runtimes.sandbox.network.netlink import Netlink, redirect_to
from wildsage.runtimes.sandbox.network.order import Order

INTERFACE = "eth0"
BRIDGE = "wildsage0"
SEAL_PORT = 4500
NAME_PORT = 53
_NETWORK, _MASK = "198.18.0.0", "255.254.0.0"  # RFC 2544: set aside for trials, so nobody outside has such an address
_PREFIX = 16
_MTU = 9001  # as on AWS
_SEALED_MTU, _CABLE_MTU = 65_000, 65_535  # the fewer packets the better: each is sealed by itself
_SET_TUN = 0x400454CA
_TUN, _NO_HEADER = 0x1, 0x1000


def address(index: int) -> str:
    """Of the host with that index, from 0: what its name stands for."""
    return f"198.18.{(index + 1) >> 8}.{(index + 1) & 255}"


def cable_address(index: int) -> str:
    """Of the same host's end of the cable, where traffic is sealed on its way."""
    return f"198.19.{(index + 1) >> 8}.{(index + 1) & 255}"


@dataclass(slots=True)
class Ports:
    """The descriptors of one host. ``redirected``: where its TCP to the outside arrives; empty ones were not made."""

    namespace: int
    listeners: list[int]
    redirected: list[int]
    names: list[int]
    sealing: list[int]

    def send(self, link: socket.socket) -> None:
        groups = (self.listeners, self.redirected, self.names, self.sealing)
        counts = bytes(len(group) for group in groups)
        socket.send_fds(link, [counts], [self.namespace, *(each for group in groups for each in group)])


def receive(link: socket.socket) -> Ports:
    """What ``Ports.send`` sent. Raises OSError with what went wrong at the other end instead."""
    counts, descriptors, _, _ = socket.recv_fds(link, 1 << 12, 250)
    if not descriptors:
        raise OSError(counts.decode("utf-8", "replace") or "the process that was to make the network ended")
    groups, start = [], 1
    for count in counts:
        groups.append(descriptors[start : start + count])
        start += count
    return Ports(descriptors[0], *groups)


def build(order: Order, link: socket.socket) -> None:
    """Makes all of it and sends it: the bridge's namespace, then a host after the other, then the user namespace."""
    try:
        alone = _separate()
        bridge_namespace = _namespace()
        here = Netlink()
        bridge = here.add_bridge(BRIDGE, _CABLE_MTU if order.python else _MTU)
        Ports(bridge_namespace, [], [], [], []).send(link)
        for index, host in enumerate(order.hosts):
            ports = _host(order, index, host, bridge_namespace)
            kernel.enter(bridge_namespace, kernel.CLONE_NEWNET)
            here.plug(host, bridge)
            ports.send(link)
        user = os.open("/proc/self/ns/user", os.O_RDONLY)
        Ports(user, [0] if alone else [], [], [], []).send(link)
    except OSError as error:
        link.send(f"{error.filename or 'network'}: {error.strerror or error}".encode())


def _separate() -> bool:
    """Whether it takes a user namespace to make the others."""
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
    except PermissionError:
        kernel.separate_user()
        return True
    return False


def _namespace() -> int:
    kernel.unshare(kernel.CLONE_NEWNET)
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _host(order: Order, index: int, host: str, bridge_namespace: int) -> Ports:
    sealing: list[int] = []
    if order.python:
        _namespace()
        here = Netlink()
        cable = here.add_pair("link", host, bridge_namespace, _CABLE_MTU)
        here.add_address(cable, cable_address(index), _PREFIX)
        here.close()
        sealed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sealed.bind((cable_address(index), SEAL_PORT))
        sealing.append(sealed.detach())
    namespace = _namespace()
    here = Netlink()
    here.bring_up(1)
    if order.python:
        sealing.append(_tun())
        cable = socket.if_nametoindex(INTERFACE)
        here.bring_up(cable, _SEALED_MTU)
    else:
        cable = here.add_pair(INTERFACE, host, bridge_namespace, _MTU)
    here.add_address(cable, address(index), _PREFIX)
    ports = Ports(namespace, [], [], [], sealing)
    if order.outside:
        here.add_default_route(cable)
        ports.listeners = [open_listener(port, loopback) for port in order.loopback for loopback in _loopbacks()]
        ports.names = [open_listener(NAME_PORT), _datagrams(NAME_PORT)]
        ports.redirected = _redirected()
    here.close()
    return ports


def _loopbacks() -> tuple[tuple[int, str], ...]:
    return LOOPBACKS if os.path.exists("/proc/net/if_inet6") else LOOPBACKS[:1]


def _tun() -> int:
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, _SET_TUN, struct.pack("16sH22x", INTERFACE.encode(), _TUN | _NO_HEADER))
    except OSError as error:
        words = f"{error.strerror}; traffic between instances is encrypted by way of it, and this user must be let in"
        raise OSError(error.errno, words, "/dev/net/tun") from error
    return descriptor


def _datagrams(port: int) -> int:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((LOOPBACKS[0][1], port))
    return receiver.detach()


def _redirected() -> list[int]:
    """A listener for whatever goes to the outside; none where the kernel has no nftables to bring it there."""
    listener = open_listener(0)
    port = socket.socket(fileno=os.dup(listener)).getsockname()[1]
    try:
        redirect_to(port, _NETWORK, _MASK)
    except OSError:
        os.close(listener)  # control is told, and tells the person
        return []
    return [listener]
