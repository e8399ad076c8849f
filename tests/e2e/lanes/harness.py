"""The two ways to S3's objects, the objects process and control, answer alike: the same requests are sent to both."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import Server
from wildsage.wire import sigv4
from wildsage.wire.http.client import Client, gathered
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response
from wildsage.wire.sigv4 import Credentials

BUCKET = "two-lanes"
VERSIONED = "two-lanes-versioned"
DATA = b"plain bytes"
LONG = bytes(range(256)) * 1024
# What belongs to one answer only.
OWN = ("date", "x-amz-request-id", "x-amz-id-2", "connection")


@dataclass
class Lanes:
    """Sends signed requests to the port and to control itself."""

    server: Server
    root: Credentials
    client: Client = field(default_factory=Client)

    @property
    def host(self) -> str:
        return self.server.url.removeprefix("http://")

    async def send(
        self,
        direct: bool,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        **options: Any,
    ) -> Response:
        """``direct``: to control. ``credentials``, ``region``, ``presigned``, ``payload_hash``: of the signature."""
        listed = list((headers or {}).items())
        request = Request(method, target, [("host", self.host), *listed], BytesBody(body))
        if body or method == "PUT":
            request.headers.append(("content-length", str(len(body))))
        signer, region = options.get("credentials", self.root), options.get("region", "us-east-1")
        if options.get("presigned"):
            request.headers = [("host", self.host)]
            request.target = sigv4.presign(request, signer, region, "s3", time.time())
            request.headers += listed
        else:
            hashed = options.get("payload_hash") or hashlib.sha256(body).hexdigest()
            sigv4.sign(request, signer, region, "s3", time.time(), hashed)
        request.headers += options.get("unsigned", [])
        control = f"unix:{self.server.data / 'run' / 'control.sock'}"
        response = await self.client.send(control if direct else f"tcp:{self.host}", request)
        response.body = await gathered(response, 1 << 30)
        return response

    async def answered(self) -> int:
        """How many requests the objects process has answered itself."""
        address = f"unix:{self.server.data / 'run' / 'objects-routes.sock'}"
        response = await self.client.send(address, Request("GET", "/counters", [("host", "objects")], BytesBody()))
        assert isinstance(response.body, bytes)
        return int(json.loads(response.body)["answered"])

    async def same(self, *words: Any, fast: bool | None = None, **options: Any) -> Response:
        """The answer, which must be the same both ways. ``fast``: whether the objects process gave it itself."""
        before = await self.answered()
        quick = await self.send(False, *words, **options)
        if fast is not None:
            assert (await self.answered() - before == 1) is fast, words
        slow = await self.send(True, *words, **options)
        assert quick.status == slow.status, (words, quick.body, slow.body)
        assert comparable(quick) == comparable(slow)
        return quick


def comparable(response: Response) -> tuple[Headers, bytes]:
    """Headers in their order and the body, without what is of this one answer."""
    ids = [value for name, value in response.headers if name in OWN]
    body = response.body
    assert isinstance(body, bytes)
    for value in ids:
        body = body.replace(value.encode(), b"-")
    return [header for header in response.headers if header[0] not in OWN], body


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
