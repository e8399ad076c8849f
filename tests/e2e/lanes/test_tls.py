"""Reads and writes through TLS."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Mapping

import httpx
import pytest

from tests.e2e.lanes.harness import DATA, LONG, Lanes, comparable, crc32
from wildsage.wire import sigv4
from wildsage.wire.http.messages import BytesBody, Request, Response

TAGGED = {"x-amz-tagging": "a=b"}


@pytest.mark.parametrize(
    ("method", "target", "headers", "data", "fast"),
    [
        ("GET", "", {}, b"", True),
        ("HEAD", "", {}, b"", True),
        ("GET", "", {"range": "bytes=3-900"}, b"", True),
        ("GET", "", {"if-match": '"other"'}, b"", False),
        ("GET", "?tagging", {}, b"", False),
        ("GET", "-none", {}, b"", False),
        ("PUT", "-put", {"x-amz-meta-a": "b"}, DATA, True),
        ("PUT", "-put", {"x-amz-checksum-crc32": crc32(LONG)}, LONG, True),
        ("PUT", "-put", TAGGED, DATA, False),
        ("PUT", "-put", {"content-md5": "none"}, DATA, False),
    ],
)
async def test_the_same_through_tls(
    lanes: Lanes, stored: str, method: str, target: str, headers: Mapping[str, str], data: bytes, fast: bool
) -> None:
    context = ssl.create_default_context(cafile=lanes.server.environment["AWS_CA_BUNDLE"])
    request = Request(method, stored + target, [("host", lanes.host), *headers.items()], BytesBody(data))
    sigv4.sign(request, lanes.root, "us-east-1", "s3", time.time(), hashlib.sha256(data).hexdigest())
    before = await lanes.answered()
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=60) as client:
        url = f"https://{lanes.host}{stored}{target}"
        async with client.stream(method, url, headers=request.headers, content=data or None) as quick:
            body = b"".join([chunk async for chunk in quick.aiter_raw()])  # the object says that it is gzip, and lies
    assert (await lanes.answered() - before == 1) is fast
    slow = await lanes.send(True, method, stored + target, headers, data)
    told = [(name.decode().lower(), value.decode("latin-1")) for name, value in quick.headers.raw]
    assert quick.status_code == slow.status
    assert comparable(Response(quick.status_code, told, body)) == comparable(slow)
