"""A small AWS client on the wire layer, for the commands that speak to a running server as any client would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from wildsage.core.clock import Clock, SystemClock
from wildsage.core.errors import ApiError
from wildsage.wire import model, sigv4
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.protocols import protocol_named
from wildsage.wire.protocols.base import MAX_BODY

Document = dict[str, Any]


class AwsClient:
    """Signed calls to one server. Bodies are bytes in both directions: this client moves small things."""

    def __init__(
        self, host: str, port: int, region: str, credentials: sigv4.Credentials, clock: Clock | None = None
    ) -> None:
        self._host = f"{host}:{port}"
        self._address = f"tcp:{host}:{port}"
        self._region = region
        self._credentials = credentials
        self._clock = clock or SystemClock()
        self._http = Client()

    @property
    def place(self) -> str:
        """The server's host and port."""
        return self._host

    async def call(self, service: str, operation: str, params: Mapping[str, Any]) -> Document:
        """The output document; raises ApiError as the server answered it."""
        described = model.load(service)
        wanted = described.operations[operation]
        protocol = protocol_named(described.protocol)
        request = protocol.serialize_request(wanted, params)
        await self._sign(request, described.signing_name)
        answer = await protocol.parse_response(wanted, await self._http.send(self._address, request))
        return {name: await _gathered(value) for name, value in answer.items()}

    async def command(self, name: str, params: Mapping[str, Any]) -> Document:
        """A command of ``gateway.commands``; raises ApiError as the server answered it."""
        body = json.dumps(params).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        request = Request("POST", f"/_wildsage/commands/{name}", headers, BytesBody(body))
        await self._sign(request, "sagemaker")
        response = await self._http.send(self._address, request)
        answer: Document = json.loads(await _gathered(response.body))
        if response.status != 200:
            raise ApiError(answer.get("code", "Error"), answer["message"], response.status)
        return answer

    async def _sign(self, request: Request, signing_name: str) -> None:
        request.headers.append(("host", self._host))
        body = await request.body.read(MAX_BODY)
        hashed = hashlib.sha256(body).hexdigest()
        sigv4.sign(request, self._credentials, self._region, signing_name, self._clock.now(), hashed)

    def close(self) -> None:
        self._http.close()


async def _gathered(value: Any) -> Any:
    """A streamed member as bytes."""
    if hasattr(value, "__aiter__"):
        return b"".join([chunk async for chunk in value])
    return value
