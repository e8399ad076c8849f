"""Carries connections from inside a network to the outside: bytes go from socket to socket within the kernel.

Sockets belong to the network namespace that they were made in, whoever holds them: those that listen came from inside,
those that connect are made here, in the machine's own.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable, Iterator

from wildsage.core.metadata import is_metadata

Address = tuple[str, int]
Target = Callable[[socket.socket], Address]
"""Where a connection that came in at a listener is to go."""

LOOPBACKS: tuple[tuple[int, str], ...] = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_ORIGINAL_DESTINATION = 80  # linux/netfilter_ipv4.h
_AT_ONCE = 1 << 20
_CONNECT_SECONDS, _NAME_SECONDS = 60.0, 3.0
_LARGEST_DATAGRAM = 65_535
_RESOLVER = "/etc/resolv.conf"


def same(connection: socket.socket) -> Address:
    """The address that it came in at, which outside is somebody else's: a port of the machine's loopback."""
    address, port = connection.getsockname()[:2]
    return address, port


def original(connection: socket.socket) -> Address:
    """Where a redirected connection wanted to go."""
    raw = connection.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16)
    port, address = struct.unpack_from(">2xH4s", raw)
    return socket.inet_ntoa(address), port


def outside(connection: socket.socket) -> Address:
    """The same, unless it is what a cloud tells its machines alone: that is refused."""
    address, port = original(connection)
    if is_metadata(address, port):
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), address)
    return address, port


def open_listener(port: int, loopback: tuple[int, str] = LOOPBACKS[0]) -> int:
    """A listener in the network namespace of this thread; 0 is a port that is free. Raises OSError."""
    family, address = loopback
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # One that was killed leaves connections behind, which the kernel would keep the port for.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener.detach()


def listen(descriptor: int, target: Target) -> None:
    """Never returns: what comes in is connected to where ``target`` says."""
    listener = socket.socket(fileno=descriptor)
    while True:
        inner, _ = listener.accept()
        start_new_thread(_carry, (inner, target))


def _carry(inner: socket.socket, target: Target) -> None:
    try:
        outer = socket.create_connection(target(inner), _CONNECT_SECONDS)
    except OSError:
        _reset(inner)
        return
    outer.settimeout(None)
    for each in (inner, outer):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    last = allocate_lock()
    start_new_thread(_pump, (outer, inner, last))
    _pump(inner, outer, last)


def _pump(source: socket.socket, sink: socket.socket, last: LockType) -> None:
    """One direction, to its end; whichever direction ends last closes both sockets."""
    reader, writer = os.pipe()
    try:
        while waiting := os.splice(source.fileno(), writer, _AT_ONCE):
            while waiting:
                waiting -= os.splice(reader, sink.fileno(), waiting)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, sink):
            _give_up(each)
    os.close(reader)
    os.close(writer)
    if not last.acquire(False):
        source.close()
        sink.close()


def _give_up(connection: socket.socket) -> None:
    """Wakes whoever waits on it; closing it then tells the peer that something broke."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is broken itself


def _reset(connection: socket.socket) -> None:
    _give_up(connection)
    connection.close()


def nameservers() -> Iterator[str]:
    """Those of the machine, as they are now."""
    try:
        with open(_RESOLVER) as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver":
                    yield words[1]
    except FileNotFoundError:
        pass
    yield "127.0.0.1"  # resolv.conf(5): where none is named


def nameserver(_: socket.socket) -> Address:
    """The first of them, for a connection."""
    return next(nameservers()), 53


def answer_names(descriptor: int) -> None:
    """Never returns: questions to the name server inside are put to the machine's."""
    inner = socket.socket(fileno=descriptor)
    while True:
        question, sender = inner.recvfrom(_LARGEST_DATAGRAM)
        start_new_thread(_answer, (inner, question, sender))


def _answer(inner: socket.socket, question: bytes, sender: Address) -> None:
    for server in nameservers():
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as outer:
            outer.settimeout(_NAME_SECONDS)
            try:
                outer.connect((server, 53))
                outer.send(question)
                inner.sendto(outer.recv(_LARGEST_DATAGRAM), sender)
                return
            except OSError:
                continue  # the next one may know; who asks gives up by himself
