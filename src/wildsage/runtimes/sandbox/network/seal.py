"""Encrypts what one host of a network sends, and decrypts what it gets: AES-256-GCM, packet by packet.

    python -c … main KEY-FD TUN-FD SOCKET-FD LIFELINE-FD INDEX

A packet from the host's ``eth0`` (a tun device) goes to the peer whose address it has, sealed in one datagram: 12 bytes
of nonce (the sender's index and a counter that never comes twice), then the ciphertext with its tag. All hosts of a
network have one key, made for it and never written anywhere. What cannot be opened is dropped.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wildsage.runtimes.sandbox.network.build import SEAL_PORT

KEY_BYTES = 32
_NONCE = struct.Struct(">IQ")
_LARGEST = 65_535
_DESTINATION = slice(16, 20)  # in the header of an IPv4 packet
_IPV4 = 4
_NAMES, _CABLES = b"\xc6\x12", b"\xc6\x13"  # 198.18, 198.19


def main() -> None:
    """Until the process that holds the network is gone."""
    key, tun, outside, lifeline, index = map(int, sys.argv[2:7])
    sealer = Sealer(AESGCM(os.read(key, KEY_BYTES)), tun, socket.socket(fileno=outside), index)
    os.close(key)
    poll = select.poll()
    for descriptor in (tun, outside, lifeline):
        os.set_blocking(descriptor, False)
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if lifeline in ready:
            return
        if tun in ready:
            sealer.send()
        if outside in ready:
            sealer.receive()


class Sealer:
    """One host's two ways."""

    def __init__(self, cipher: AESGCM, tun: int, outside: socket.socket, index: int) -> None:
        self._cipher = cipher
        self._tun = tun
        self._outside = outside
        self._index = index
        self._count = 0

    def send(self) -> None:
        """What waits at the tun device."""
        while True:
            try:
                packet = os.read(self._tun, _LARGEST)
            except BlockingIOError:
                return
            to = packet[_DESTINATION]
            if packet[0] >> 4 != _IPV4 or to[:2] != _NAMES:
                continue  # to nobody here
            nonce = _NONCE.pack(self._index, self._count)
            self._count += 1
            try:
                self._outside.sendto(
                    nonce + self._cipher.encrypt(nonce, packet, None), (socket.inet_ntoa(_CABLES + to[2:]), SEAL_PORT)
                )
            except OSError:
                continue  # as on any network: who sent it sends it again

    def receive(self) -> None:
        """What waits at the cable."""
        while True:
            try:
                sealed = self._outside.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # a peer said that nobody listens there yet
            try:
                packet = self._cipher.decrypt(sealed[: _NONCE.size], sealed[_NONCE.size :], None)
                os.write(self._tun, packet)
            except (InvalidTag, ValueError, OSError):
                continue
