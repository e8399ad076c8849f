"""Connections on their way from the router to the objects process: accepted by one, served by the other.

The router has only peeked at what the client sent, so the descriptor is all that must be passed on (SCM_RIGHTS).  One
message carries one descriptor.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

_BACKLOG = 16


class Sender:
    """The router's end. Connects when there is something to send, and again after the other side was restarted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line: socket.socket | None = None

    def __call__(self, sock: socket.socket) -> bool:
        """Passes ``sock`` on; False if nobody takes it, or not at once."""
        for _ in range(2):
            try:
                if self._line is None:
                    self._line = _connect(self._path)
                socket.send_fds(self._line, [b"s"], [sock.fileno()])
            except BlockingIOError:
                return False  # the other side is too slow
            except OSError:
                if self._line is None:
                    return False
                self.close()  # it was restarted: once more, with the new one
            else:
                return True
        return False

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _connect(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.setblocking(False)
    try:
        line.connect(str(path))
    except OSError:
        line.close()
        raise
    return line


class Receiver:
    """The objects process's end: listens on ``path`` (a stale socket is replaced) and calls ``take`` with each."""

    def __init__(self, path: Path, take: Callable[[socket.socket], None]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._lines: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fresh = path.with_name(f".{path.name}")
        fresh.unlink(missing_ok=True)
        self._listener.bind(str(fresh))
        fresh.chmod(0o600)
        self._listener.listen(_BACKLOG)
        fresh.rename(path)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        for sock in (self._listener, *self._lines):
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._lines.clear()

    def _accept(self) -> None:
        try:
            line, _ = self._listener.accept()
        except OSError as error:
            log.warning("the router cannot reach this process: %s", error)
            return
        line.setblocking(False)
        self._lines.add(line)
        self._loop.add_reader(line.fileno(), self._receive, line)

    def _receive(self, line: socket.socket) -> None:
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(line, 16, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                message, descriptors = b"", []
            for descriptor in descriptors:
                self._take(socket.socket(fileno=descriptor))
            if not message:
                self._loop.remove_reader(line.fileno())
                line.close()
                self._lines.discard(line)
                return
