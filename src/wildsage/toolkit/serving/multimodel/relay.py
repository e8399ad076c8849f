"""POST /models/NAME/invoke for whoever does not ask the model itself: its request and its answer, passed on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from ..http import Answer, Chunks, Connection, Request

_CHUNK = 256 * 1024
_PASSED_ON = ("content-type", "accept")
_OWN = "x-amzn-sagemaker-"


class Hub(Protocol):
    """The front, as a relay needs it."""

    def watch(self, descriptor: int, attend: Callable[[], None], write: bool = False) -> None: ...

    def unwatch(self, descriptor: int) -> None: ...

    def answer_later(self, connection: Connection, answer: Answer) -> None: ...


class Relay:
    """One request on its way to the model at ``address`` and back; nobody waits for it but its client."""

    def __init__(self, hub: Hub, client: Connection, address: str, request: Request) -> None:
        self._hub = hub
        self._client = client
        self._unsent = memoryview(_head(request) + request.body)
        self._answer = bytearray()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.setblocking(False)
        self._connected = False
        try:
            self._sock.connect(address)
            self._connected = True
        except OSError:  # its process has just died, or has more to do than it can queue
            self._sock.close()
        if self._connected:
            hub.watch(self._sock.fileno(), self._send, write=True)

    @property
    def begun(self) -> bool:
        """Whether the model could be reached; if not, nothing more will happen."""
        return self._connected

    def _send(self) -> None:
        try:
            sent = self._sock.send(self._unsent[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._hub.unwatch(self._sock.fileno())
            self._hub.watch(self._sock.fileno(), self._receive)

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._answer += data
        if not data:
            self._end()

    def _end(self) -> None:
        self._hub.unwatch(self._sock.fileno())
        self._sock.close()
        self._hub.answer_later(self._client, _answer(bytes(self._answer)))


def _head(request: Request) -> bytes:
    lines = ["POST /invocations HTTP/1.1", "connection: close", f"content-length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name in _PASSED_ON or _OWN in name]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _answer(data: bytes) -> Answer:
    """What a model's process sent until it closed; pieces are put together."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    whole: bytes | None = body if len(body) == int(headers.get("content-length", "0")) else None
    if headers.get("transfer-encoding") == "chunked":
        whole = Chunks().take(bytearray(body))
    if not end or whole is None:
        return Answer(502, "text/plain", b"The process of the model ended before its answer was whole.")
    return Answer(int(lines[0].split(" ")[1]), headers.get("content-type", ""), whole)
