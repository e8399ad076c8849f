"""HTTP to a container engine at its Unix socket: blocking, and with next to no imports, for attendants use it too.

The API is Docker's (1.40 and later), which Podman speaks as well. Paths go without a version: engines drop old ones,
and what is used here is the same in all.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_CHUNK = 1 << 16
_FORBIDDEN = (
    "you may not use the one at {0}. Join the group that may (sudo usermod -aG docker $USER, then log in again), "
    "or have DOCKER_HOST name another"
)


class EngineGone(ConnectionError):
    """Nobody answers at the engine's socket, or it hung up amid an answer."""


class EngineError(Exception):
    """The engine said no: ``status`` of HTTP, and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class Answer:
    """The answer to one request, which the connection ends with."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")
        self._path = path
        words = self._file.readline().split(None, 2)
        if len(words) < 2:
            self.close()
            raise EngineGone(f"the container engine hung up ({path})")
        self.status = int(words[1])
        self._ahead = bytearray()
        self._stream = self.pieces()
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.strip().lower()] = value.strip()

    def fileno(self) -> int:
        """To wait for what comes."""
        return self._socket.fileno()

    def close(self) -> None:
        """Also ends a read of it in another thread."""
        with suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self._socket.close()

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes of the body, fewer where it ends or breaks off."""
        try:
            while len(self._ahead) < size and (piece := next(self._stream, b"")):
                self._ahead += piece
        except EngineGone:
            pass  # what came of it is all there is
        found = bytes(self._ahead[:size])
        del self._ahead[:size]
        return found

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises EngineGone if it breaks off."""
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                yield from self._chunks()
            elif "content-length" in self.headers:
                yield from self._counted(int(self.headers["content-length"]))
            elif self.status not in (204, 304):
                while piece := self._file.read1(_CHUNK):
                    yield piece
        except (OSError, ValueError) as error:
            raise EngineGone(f"the container engine hung up ({self._path}): {error}") from error

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._file.readline().split(b";")[0], 16):
            yield from self._counted(size)
            self._file.readline()

    def _counted(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._file.read1(min(left, _CHUNK))
            if not piece:
                raise OSError("it ended early")
            left -= len(piece)
            yield piece

    def body(self) -> bytes:
        return b"".join(self.pieces())


class Api:
    """``socket_path``: where the engine answers. Every request has a connection of its own."""

    def __init__(self, socket_path: str) -> None:
        self.socket_path = socket_path

    def open(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Sends a request, reads the answer's head. Raises EngineGone, EngineError."""
        if not self.socket_path:
            raise EngineGone("this machine has neither Docker's nor Podman's socket, and DOCKER_HOST names none on it")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self.socket_path)
            _send(connection, method, path, body, headers or {})
            answer = Answer(connection, path)
        except OSError as error:
            connection.close()
            if isinstance(error, EngineGone):
                raise
            if isinstance(error, PermissionError):
                raise EngineGone(_FORBIDDEN.format(self.socket_path)) from error
            raise EngineGone(
                f"no container engine answers at {self.socket_path} ({error.strerror}); please start it again"
            ) from error
        if answer.status >= 400:
            try:
                words = _words(answer.body())
            finally:
                answer.close()
            raise EngineError(answer.status, words)
        return answer

    def call(self, method: str, path: str, document: object = None) -> Any:
        """A request with JSON, and the answer's JSON (None without any). Raises EngineGone, EngineError."""
        if document is None:
            answer = self.open(method, path)
        else:
            answer = self.open(method, path, json.dumps(document).encode(), {"Content-Type": "application/json"})
        try:
            raw = answer.body()
        finally:
            answer.close()
        return json.loads(raw) if raw.strip() else None


def _send(connection: socket.socket, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
    lines = {"Host": "localhost", "Connection": "close", **headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)


def _words(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["message"])
    except (ValueError, KeyError, TypeError):
        return raw.decode("utf-8", "replace").strip() or "it gave no reason"
