"""Ten thousand requests that nobody would send: each is answered with an AWS error, and the server stays alive.

The seed is fixed, so a failure can be repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from tests.conftest import Server
from wildsage.wire import sigv4
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import BytesBody, Request, Response
from wildsage.wire.model import Operation, Shape, load
from wildsage.wire.protocols import protocol_named
from wildsage.wire.protocols.base import read_body

REQUESTS = 10_000
SEED = 20_261_121
SERVICES = ("sagemaker", "sagemaker-runtime", "s3", "iam", "sts", "logs")
AT_ONCE = 16
# What would empty the server, make work, or wait for long is not asked of it.
SPARED = ("StopTrainingJob", "StartLiveTail")

SCRAPS: tuple[object, ...] = (
    None, True, -1, 0, 2**63, 1e308, "", "x", "a" * 5000, "\u0000", "🙂", "../..", "%00", "arn:aws:iam::1:role/x",
    [], {}, [[]], {"a": {"a": {}}}, ["x"] * 300, "s3://", "2026-01-01", "' OR 1=1 --", "<!DOCTYPE x>", b"\xff\xfe",
)  # fmt: skip


def valid(dice: random.Random, shape: Shape, depth: int = 0) -> object:
    """Something of the right type, mostly within the constraints."""
    kind = shape.kind
    if kind == "structure":
        names = [n for n in shape.members if n in shape.required or (depth < 3 and dice.random() < 0.15)]
        return {name: valid(dice, shape.members[name], depth + 1) for name in names}
    if kind == "list":
        return [valid(dice, shape.member, depth + 1) for _ in range(dice.randrange(3))] if depth < 5 else []
    if kind == "map":
        return {f"k{dice.randrange(9)}": valid(dice, shape.value, depth + 1)} if depth < 5 else {}
    if kind in ("integer", "long", "timestamp"):
        return dice.choice((0, 1, 7, 3600, 1_700_000_000))
    if kind in ("float", "double"):
        return dice.random()
    if kind == "boolean":
        return dice.random() < 0.5
    if kind == "blob":
        return bytes(dice.randrange(256) for _ in range(dice.randrange(40)))
    return dice.choice(shape.traits.get("enum") or ("name", "a-b-1", "arn:aws:sagemaker:us-east-1:000000000000:x/y"))


def spoil(dice: random.Random, value: object) -> object:
    """The value with one thing in it replaced by a scrap."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(list(value))
        return {**value, key: spoil(dice, value[key])}
    if isinstance(value, list) and value and dice.random() < 0.85:
        at = dice.randrange(len(value))
        return [*value[:at], spoil(dice, value[at]), *value[at + 1 :]]
    return dice.choice(SCRAPS)


def mutate(dice: random.Random, request: Request) -> None:
    """Changes bytes of the request as it goes over the wire."""
    choice = dice.randrange(6)
    data = request.body.data if isinstance(request.body, BytesBody) else b""
    if choice == 0 and data:
        at = dice.randrange(len(data))
        request.body = BytesBody(data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :])
    elif choice == 1:
        request.body = BytesBody(bytes(dice.randrange(256) for _ in range(dice.randrange(200))))
    elif choice == 2:
        request.body = BytesBody(data[: len(data) // 2])
    elif choice == 3:
        request.target += dice.choice(("?x", "/%ff", "//", "?uploads&uploadId", "/..", "?list-type=9", "%"))
    elif choice == 4 and request.headers:
        at = dice.randrange(len(request.headers))
        name = request.headers[at][0]
        request.headers[at] = (name, dice.choice(("", "x", "0", "-1", "a;b=c", "\u00ff")))
    else:
        request.method = dice.choice(("GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"))


def operations() -> list[Operation]:
    return [
        operation
        for service in SERVICES
        for name, operation in load(service).operations.items()
        if name not in SPARED and not operation.event_stream
    ]


def requests(server: Server, dice: random.Random) -> Iterator[Request]:
    """Signed requests (nine of ten), spoilt in their members, in their bytes, or after they were signed."""
    known = operations()
    host = server.url.removeprefix("http://")
    credentials = sigv4.Credentials(
        server.environment["AWS_ACCESS_KEY_ID"],
        server.environment["AWS_SECRET_ACCESS_KEY"],
        server.environment["AWS_SESSION_TOKEN"],
    )
    while True:
        operation = dice.choice(known)
        params = valid(dice, operation.input) if operation.input is not None else {}
        if dice.random() < 0.6:
            params = spoil(dice, params)
        try:
            request = protocol_named(operation.service.protocol).serialize_request(
                operation, params if isinstance(params, dict) else {}
            )
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError, LookupError):
            continue  # what cannot be written down cannot be sent
        if not isinstance(request.body, BytesBody):
            continue
        if dice.random() < 0.5:
            mutate(dice, request)
        data = request.body.data if isinstance(request.body, BytesBody) else b""
        request.headers = [(n, v) for n, v in request.headers if n not in ("host", "content-length")]
        request.headers += [("host", host), ("content-length", str(len(data)))]
        if dice.random() < 0.9:
            hashed = hashlib.sha256(data).hexdigest()
            name = operation.service.signing_name
            sigv4.sign(request, credentials, "us-east-1", name, time.time(), hashed)
        if dice.random() < 0.1:
            mutate(dice, request)
            data = request.body.data if isinstance(request.body, BytesBody) else b""
            request.headers = [(n, v) for n, v in request.headers if n != "content-length"]
            request.headers.append(("content-length", str(len(data))))
        if request.target.isprintable() and " " not in request.target and request.target.startswith("/"):
            yield request


def check(request: Request, response: Response, body: bytes) -> None:
    """An error must say its code in the form of one of AWS's protocols; a success may be anything."""
    described = f"{request.method} {request.target[:300]} {dict(request.headers)} -> {response.status} {body[:500]!r}"
    assert response.status < 500 or response.status == 501, described  # 501: S3's NotImplemented
    if response.status < 400 or request.method == "HEAD":
        return
    if response.status == 400 and not body:
        return  # the request was no HTTP at all
    content_type = response.header("content-type") or ""
    if "json" in content_type:
        document = json.loads(body)
        assert document.get("__type") or response.header("x-amzn-errortype"), described
    elif "xml" in content_type:
        assert ElementTree.fromstring(body).iter("Code") is not None, described
        assert any(node.tag.endswith("Code") and node.text for node in ElementTree.fromstring(body).iter()), described
    elif "cbor" in content_type:
        assert body, described
    else:
        pytest.fail(f"no AWS error: {described}")


async def test_ten_thousand_odd_requests_are_answered_properly(server: Server) -> None:
    dice = random.Random(SEED)
    source = requests(server, dice)
    address = f"tcp:{server.url.removeprefix('http://')}"
    client = Client()
    left = REQUESTS

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            request = next(source)
            response = await client.send(address, request, 30)
            check(request, response, await read_body(response))

    before = server.status["processes"]
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    client.close()
    assert server.status["processes"] == before, "a process of the server died"
    assert server.client("sts").get_caller_identity()["Account"] == "000000000000"
    log = (server.data / "logs" / "control.log").read_text()
    assert "Traceback" not in log, log[-3000:]
