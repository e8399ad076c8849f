"""Passes requests on to a tritonserver on this machine, and SageMaker's in the form that the V2 protocol has."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import urllib.parse
from collections.abc import Callable

from .. import children
from ..http import Answer, Connection, Request
from ..loops import Loop
from ..passage import Passage

_LOOK_SECONDS = 1.0
_MIME = "application/vnd.sagemaker-triton.binary+json;json-header-size="
_LENGTH = "inference-header-content-length"
_GIVEN = ("content-type", "content-encoding", "accept-encoding", _LENGTH)
_SHOWN = (_LENGTH, "content-encoding")


class ProxyLoop(Loop):
    """``port``: tritonserver's on loopback. ``model``: what /invocations asks. ``ended``: not None once it is gone."""

    def __init__(
        self, listener: socket.socket, parent: int, port: int, model: str, ended: Callable[[], int | None]
    ) -> None:
        super().__init__(listener, parent)
        self._port = port
        self._infer = f"/v2/models/{urllib.parse.quote(model, safe='')}/infer"
        self._ended = ended
        self._idle: list[socket.socket] = []
        self._busy: dict[Connection, _Passing] = {}
        signal.signal(signal.SIGCHLD, children.noticed)

    def run(self) -> None:
        """Requests under way are answered before it returns."""
        super().run()
        with contextlib.suppress(KeyError, FileNotFoundError):  # it is not watched while a connection is new
            self._poll.unregister(self._listener)
        while self._busy and self._ended() is None:
            for descriptor, _ in self._poll.poll(_LOOK_SECONDS):
                if descriptor in self._watched:
                    self._watched[descriptor]()
        for sock in self._idle:  # tritonserver waits for these before it ends
            sock.close()

    def _signalled(self, numbers: bytes) -> None:
        if self._ended() is not None:
            self._stopping = True

    def _answered(self, connection: Connection, request: Request) -> Answer | None:
        path = request.target.partition("?")[0]
        headers = {name: request.headers[name] for name in _GIVEN if name in request.headers}
        target = request.target
        if path == "/ping":
            target = "/v2/health/ready"
        elif path == "/invocations":
            if request.method != "POST":
                return Answer(405, "", b"")
            target = self._infer
            headers.pop("accept-encoding", None)
            kind = headers.pop("content-type", "")
            if kind.startswith(_MIME):
                if not kind[len(_MIME) :].isdigit():
                    return _error(400, f"Unable to parse inference header size, got: {kind[:200]}")
                headers[_LENGTH] = kind[len(_MIME) :]
        elif not path.startswith("/v2"):
            return Answer(404, "", b"")
        try:
            sock = self._idle.pop() if self._idle else socket.create_connection(("127.0.0.1", self._port), 5)
        except OSError:  # it is loading its models still, or has just ended
            return _error(503, "tritonserver does not answer yet")
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{request.method} {target} HTTP/1.1", "host: localhost", f"content-length: {len(request.body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self._busy[connection] = _Passing(self, connection, sock, head + request.body, path == "/invocations")
        return None

    def passed(self, connection: Connection, sock: socket.socket | None, answer: Answer) -> None:
        """``sock``: tritonserver's, if it can be used again."""
        del self._busy[connection]
        if sock is not None:
            self._idle.append(sock)
        self.answer_later(connection, answer)


class _Passing(Passage):
    """One request on its way to tritonserver and back."""

    def __init__(self, proxy: ProxyLoop, client: Connection, sock: socket.socket, data: bytes, sagemaker: bool) -> None:
        self._proxy = proxy
        self._client = client
        self._sagemaker = sagemaker
        super().__init__(proxy, sock, data)

    def _came(self) -> None:
        end = self._found.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self._found[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if "content-length" not in headers:
            self._ended()
            return
        if len(self._found) < end + 4 + int(headers["content-length"]):
            return
        self._loop.unwatch(self._sock.fileno())
        status, body = int(lines[0].split(" ")[1]), bytes(self._found[end + 4 :])
        self._proxy.passed(self._client, self._sock, self._shown(status, headers, body))

    def _shown(self, status: int, headers: dict[str, str], body: bytes) -> Answer:
        kind = headers.get("content-type", "")
        if self._sagemaker:
            if _LENGTH in headers:
                kind = f"{_MIME}{headers[_LENGTH]}"
            return Answer(status if status < 400 else 400, kind, body)
        extra = "".join(f"{name}: {headers[name]}\r\n" for name in _SHOWN if name in headers)
        return Answer(status, kind, body, extra)

    def _ended(self) -> None:
        self._close()
        self._proxy.passed(self._client, None, _error(502, "tritonserver ended before its answer was whole"))


def _error(status: int, words: str) -> Answer:
    return Answer(status, "application/json", json.dumps({"error": words}).encode())
