"""A request passed on to another process of this machine, and its answer back, while the loop goes on."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod

from .loops import Loop

_CHUNK = 256 * 1024


class Passage(ABC):
    """Sends ``data`` to ``sock``, which is connected and does not block, and gathers in ``_found`` what comes back."""

    def __init__(self, loop: Loop, sock: socket.socket, data: bytes) -> None:
        self._loop = loop
        self._sock = sock
        self._unsent = memoryview(data)
        self._found = bytearray()
        with contextlib.suppress(OSError):  # it is known for sure when it is written or read again
            self._unsent = self._unsent[sock.send(self._unsent) :]
        if self._unsent:
            loop.watch(sock.fileno(), self._send, write=True)
        else:
            loop.watch(sock.fileno(), self._receive)

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._sock.send(self._unsent[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            self._ended()
            return
        if not self._unsent:
            self._loop.unwatch(self._sock.fileno())
            self._loop.watch(self._sock.fileno(), self._receive)

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._found += data
        if data:
            self._came()
        else:
            self._ended()

    def _close(self) -> None:
        self._loop.unwatch(self._sock.fileno())
        self._sock.close()

    def _came(self) -> None:  # noqa: B027 - some wait for the end
        """There is more in ``_found``."""

    @abstractmethod
    def _ended(self) -> None:
        """Nothing more will come."""
