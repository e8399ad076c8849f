"""POST /models/NAME/invoke for whoever does not ask the model itself: its request and its answer, passed on."""

from __future__ import annotations

import socket

from ..http import Answer, Chunks, Connection, Request
from ..loops import Loop
from ..passage import Passage

_PASSED_ON = ("content-type", "accept")
_OWN = "x-amzn-sagemaker-"


class Relay(Passage):
    """One request on its way to a model, to which ``sock`` is connected, and back; only its client waits for it."""

    def __init__(self, loop: Loop, client: Connection, sock: socket.socket, request: Request) -> None:
        self._client = client
        super().__init__(loop, sock, _head(request) + request.body)

    def _ended(self) -> None:
        self._close()
        self._loop.answer_later(self._client, _answer(bytes(self._found)))


def connected(address: str) -> socket.socket | None:
    """To the model there; None: its process has just died, or has more to do than it can queue."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        return None
    return sock


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
