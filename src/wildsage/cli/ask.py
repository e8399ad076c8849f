"""One small HTTP question to a server of this machine, without an HTTP library: ``up`` must stay small."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

_HEALTH = b"GET %s HTTP/1.1\r\nhost: wildsage\r\nconnection: close\r\n\r\n"


class NoAnswer(Exception):
    """Nobody answered in time, or not with 200."""


def connect(address: Path | tuple[str, int], seconds: float) -> socket.socket:
    """A connection to a unix socket or to a host and port; raises NoAnswer."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(seconds)
    try:
        sock.connect(str(address) if isinstance(address, Path) else address)
    except OSError as error:
        sock.close()
        raise NoAnswer(str(error)) from error
    return sock


def send(sock: socket.socket, path: str) -> None:
    """Asks for ``path``; the answer may take its time."""
    try:
        sock.sendall(_HEALTH % path.encode())
    except OSError as error:
        raise NoAnswer(str(error)) from error


def answer(sock: socket.socket) -> Any:
    """The JSON of a 200; raises NoAnswer."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except OSError as error:
        raise NoAnswer(str(error)) from error
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise NoAnswer(received[:200].decode("latin-1") or "the connection was closed")
    return json.loads(body)


def ask(address: Path | tuple[str, int], path: str, seconds: float = 5.0) -> Any:
    """GET ``path``; raises NoAnswer."""
    with connect(address, seconds) as sock:
        send(sock, path)
        return answer(sock)
