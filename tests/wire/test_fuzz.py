"""Whatever arrives, the answer is a result or an ApiError that can be written down."""

from __future__ import annotations

import random

import pytest

from tests.damage import damaged
from tests.wire import botocore_side
from tests.wire.examples import Maker, as_botocore
from wildsage.core.errors import ApiError
from wildsage.wire import sigv4
from wildsage.wire.http.messages import BytesBody, Headers, Request
from wildsage.wire.model import Operation, load
from wildsage.wire.names import identify_service
from wildsage.wire.protocols import protocol_named, protocol_of
from wildsage.wire.routing import match
from wildsage.wire.sigv4_streaming import open_body
from wildsage.wire.validate import validate

CASES = [
    ("sagemaker", "json", "CreateTrainingJob"),
    ("sagemaker", "json", "Search"),
    ("s3", "rest-xml", "PutBucketLifecycleConfiguration"),
    ("s3", "rest-xml", "ListObjectsV2"),
    ("s3", "rest-xml", "CompleteMultipartUpload"),
    ("lambda", "rest-json", "CreateFunction"),
    ("iam", "query", "CreateRole"),
    ("sts", "query", "AssumeRole"),
    ("cloudwatch", "smithy-rpc-v2-cbor", "PutMetricData"),
    ("cloudwatch", "query", "PutMetricData"),
    ("sqs", "json", "SendMessage"),
]
ROUNDS = 400
WORDS = (b'"', b"null", b"1e999", b"-1", b"\\ud800", b"<", b"&#0;", b"{}", b"[]", b"\xff", b"%", b"NaN")
DEEP = [b"[" * 100_000, b'{"a":' * 50_000, b"<a>" * 50_000, b"\x81" * 100_000, b"a.member.1" * 20_000 + b"=1"]


def _mutated(chance: random.Random, data: bytes) -> bytes:
    return damaged(chance, data or b"x", WORDS) or b"x"


async def _survives(service: str, protocol: str, request: Request) -> None:
    model = load(service)
    spoken = protocol_named(protocol)
    operation: Operation | None = None
    try:
        operation, labels = await match(model, protocol_of(request, model), request)
        params = await spoken.parse_request(operation, request, labels)
        validate(operation, params)
    except ApiError as error:
        assert 400 <= error.status < 500, error
        response = spoken.serialize_error(operation or model, error, "id")
        assert response.status == error.status
        assert all(value.isascii() and "\n" not in value for _, value in response.headers)


@pytest.mark.parametrize(("service", "protocol", "name"), CASES)
async def test_damaged_requests(service: str, protocol: str, name: str) -> None:
    chance = random.Random(f"{service}{name}")
    operation = load(service).operations[name]
    for number in range(ROUNDS):
        params = Maker(f"{name}{number % 10}").members(operation.input)
        sent = as_botocore(operation.input, params)
        request = botocore_side.request_of(service, name, sent, protocol)
        assert isinstance(request.body, BytesBody)
        if chance.random() < 0.8:
            request.body = BytesBody(_mutated(chance, request.body.data))
        if chance.random() < 0.4:
            request.target = "/" + _mutated(chance, request.target.encode()).decode("latin-1")
        if chance.random() < 0.3:
            request.headers = [(k, _mutated(chance, v.encode()).decode("latin-1")) for k, v in request.headers]
        await _survives(service, protocol, request)


@pytest.mark.parametrize(("service", "protocol", "name"), CASES)
async def test_noise_and_depth(service: str, protocol: str, name: str) -> None:
    chance = random.Random(name)
    operation = load(service).operations[name]
    sent = as_botocore(operation.input, Maker(name).members(operation.input))
    for body in [*DEEP, *(chance.randbytes(chance.randint(0, 300)) for _ in range(100))]:
        request = botocore_side.request_of(service, name, sent, protocol)
        request.body = BytesBody(body)
        await _survives(service, protocol, request)


async def test_recursive_shapes_end() -> None:
    """SearchExpression holds SubExpressions, which are SearchExpressions."""
    nested = b'{"SubExpressions":[' * 400 + b"]}" * 400
    request = Request(
        "POST", "/", [("x-amz-target", "SageMaker.Search")], BytesBody(b'{"SearchExpression":' + nested + b"}")
    )
    await _survives("sagemaker", "json", request)


async def test_damaged_authorizations() -> None:
    chance = random.Random("authorization")
    for number in range(3000):
        request = Request("GET", "/b/k?a=b", [("host", "h"), ("x-amz-meta-a", "b")], BytesBody())
        credentials = sigv4.Credentials("AKIAIOSFODNN7EXAMPLE", "secret", "token")
        service = chance.choice(["s3", "sagemaker", "sts"])
        if number % 3 == 0:
            request.target = "/b/k?acl&AWSAccessKeyId=A&Signature=c%2BA%3D&Expires=1800000000&x-amz-meta-a=%C3%A4"
        elif number % 3 == 1:
            sigv4.sign(request, credentials, "us-east-1", service, 1_700_000_000)
        else:
            request.target = sigv4.presign(request, credentials, "us-east-1", service, 1_700_000_000)
        where = chance.random()
        if where < 0.7:
            headers: Headers = request.headers
            request.headers = [(k, _noisy(chance, v) if chance.random() < 0.4 else v) for k, v in headers]
        if where > 0.5:
            request.target = "/" + _noisy(chance, request.target)
        try:
            authorization = sigv4.parse_authorization(request)
            identify_service(request, authorization.service if authorization else None)
            if authorization is not None:
                hashed = sigv4.declared_hash(authorization, request) or sigv4.EMPTY_SHA256
                sigv4.verify(authorization, request, "secret", hashed, 1_700_000_000)
            open_body(authorization, request, "secret")
        except ApiError as error:
            assert error.status in (400, 403, 411, 501)


def _noisy(chance: random.Random, text: str) -> str:
    return _mutated(chance, text.encode("latin-1")).decode("latin-1")
