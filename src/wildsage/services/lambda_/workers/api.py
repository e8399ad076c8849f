"""Lambda's Runtime API: how a function's own process gets its events and says what came of them.

One server on loopback serves all workers. The clients (``awslambdaric``, and every other runtime of AWS's) know a host
and a port of it and nothing else, so the host is the secret: each worker has a name of its own for 127.0.0.1, 128
random bits that only its container is told (its ``/etc/hosts``), and which comes with every request in the Host header.
Whoever does not know a worker's name can neither take an event of its nor answer for it, however the port was found.

Source: Developer Guide, "Using the Lambda runtime API for custom runtimes", version 2018-06-01.
"""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass
from typing import Protocol

from wildsage.services.lambda_ import payloads
from wildsage.services.lambda_.rules import RESULT_BYTES
from wildsage.services.lambda_.workers import events
from wildsage.services.lambda_.workers.events import Outcome
from wildsage.wire.http.limits import Limits
from wildsage.wire.http.messages import BodyTooLarge, Headers, Request, Response
from wildsage.wire.http.server import Server, start_server

_VERSION = "/2018-06-01/runtime/"
_TYPE = "lambda-runtime-function-error-type"
_LIMITS = Limits(head_bytes=2 << 20)
"""The client tells the trace of an error, up to 1 MiB, in a header (Lambda-Runtime-Function-XRay-Error-Cause)."""
_LONGEST_TYPE = 200


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event as the runtime gets it: its headers and its bytes."""

    headers: Headers
    payload: bytes


class Client(Protocol):
    """One worker, as the API sees it."""

    async def next_event(self) -> Delivery:
        """Waits for one."""
        ...

    def settle(self, request_id: str, outcome: Outcome) -> bool:
        """Whether it is the event that the worker has."""
        ...

    def cannot_start(self, outcome: Outcome) -> None:
        """Its initialization failed."""
        ...


class RuntimeApi:
    """The server, and who is known to it."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}
        self._server: Server | None = None

    async def open(self) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        self._server = await start_server(self._answer, sock=sock, limits=_LIMITS, cancel_when_gone=True)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close(0.0)

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the Runtime API is not open yet")
        return self._server.port

    def admit(self, client: Client) -> str:
        """The host name by which it is known from now on."""
        host = f"fn-{secrets.token_hex(16)}"
        self._clients[host] = client
        return host

    def forget(self, host: str) -> None:
        self._clients.pop(host, None)

    async def _answer(self, request: Request) -> Response:
        host = (request.header("host") or "").rpartition(":")[0]
        client = self._clients.get(host)
        if client is None:
            return _refusal(403, "Forbidden", "this address belongs to no function")
        verb, path = request.method, request.path
        if not path.startswith(_VERSION):
            return _refusal(404, "NotFound", f"there is nothing at {path[:200]}")
        words = path.removeprefix(_VERSION).split("/")
        if (verb, words) == ("GET", ["invocation", "next"]):
            given = await client.next_event()
            return Response(200, [("content-type", "application/json"), *given.headers], given.payload)
        if (verb, words) == ("POST", ["init", "error"]):
            client.cannot_start(await _failure(request))
            return _accepted()
        if verb == "POST" and len(words) == 3 and words[0] == "invocation" and words[2] in ("response", "error"):
            return await _settled(client, words[1], words[2] == "error", request)
        return _refusal(404, "NotFound", f"there is nothing at {path[:200]}")


async def _settled(client: Client, request_id: str, failed: bool, request: Request) -> Response:
    status = 202
    if failed:
        outcome = await _failure(request)
    else:
        try:
            outcome = events.answered(await request.body.read(RESULT_BYTES))
        except BodyTooLarge:
            outcome, status = events.too_large(), 413
    if not client.settle(request_id, outcome):
        return _refusal(400, "InvalidRequestID", f"{request_id[:100]} is not the request that is being worked on")
    return _accepted() if status == 202 else _refusal(413, outcome.error, "the answer is too large")


async def _failure(request: Request) -> Outcome:
    """What a runtime says of a failure; a runtime may say anything, and callers read JSON."""
    kind = (request.header(_TYPE) or "Runtime.UnknownReason")[:_LONGEST_TYPE]
    try:
        said = await request.body.read(RESULT_BYTES)
        await payloads.check(said)
    except (BodyTooLarge, ValueError):
        return events.fault(kind, "The function failed, and what it said of that is no JSON of at most 6 MB.")
    return Outcome(said, kind)


def _accepted() -> Response:
    return Response(202, [("content-type", "application/json")], b'{"status":"OK"}\n')


def _refusal(status: int, kind: str, words: str) -> Response:
    document = {"errorType": kind, "errorMessage": words}
    return Response(status, [("content-type", "application/json")], json.dumps(document).encode())
