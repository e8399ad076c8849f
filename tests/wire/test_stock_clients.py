"""boto3 clients, untouched, against a server that is nothing but the wire.

Every request is verified, routed, parsed and validated, and answered with what the test put there.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from wildsage.core.errors import ApiError
from wildsage.wire import sigv4, sigv4_errors
from wildsage.wire.http.messages import Body, Request, Response
from wildsage.wire.http.server import start_server
from wildsage.wire.model import load
from wildsage.wire.names import identify_service
from wildsage.wire.protocols import protocol_of
from wildsage.wire.routing import match
from wildsage.wire.sigv4_streaming import ChunkedBody, open_body, verify_request
from wildsage.wire.validate import validate

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class Wire:
    """``calls``: service, operation and params of each request. ``answers``: by operation, a result or an error."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: dict[str, dict[str, Any] | ApiError] = {}
        self.trailers: dict[str, str] = {}
        self.port = 0

    async def handle(self, request: Request) -> Response:
        authorization = sigv4.parse_authorization(request)
        service = identify_service(request, authorization.service if authorization else None)
        assert service is not None
        model = load(service)
        protocol = protocol_of(request, model)
        try:
            if authorization is None:
                open_body(None, request, "")
            elif authorization.access_key != KEY:
                raise sigv4_errors.unknown_key(authorization)
            else:
                await verify_request(authorization, request, SECRET, time.time())
            operation, labels = await match(model, protocol, request)
            params = await protocol.parse_request(operation, request, labels)
            validate(operation, params)
            for name, value in params.items():
                if not isinstance(value, str | int | list | dict) and hasattr(value, "read"):
                    params[name] = await self._whole(value)
            self.calls.append((service, operation.name, params))
            answer = self.answers.get(operation.name, {})
            if isinstance(answer, ApiError):
                raise answer
            return protocol.serialize_response(operation, answer, "id-1")
        except ApiError as error:
            return protocol.serialize_error(model, error, "id-1")

    async def _whole(self, body: Body) -> bytes:
        data = await body.read(1 << 30)
        if isinstance(body, ChunkedBody):
            self.trailers = body.trailers
        return data

    def client(self, service: str, **options: Any) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=options.pop("key", KEY),
            aws_secret_access_key=options.pop("secret", SECRET),
            config=Config(retries={"total_max_attempts": 1}, **options),
        )


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    served = Wire()
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = await start_server(served.handle, sock=sock)
    served.port = server.port
    with contextlib.closing(sock):
        yield served
        await server.close(grace=1.0)


async def call(function: Callable[..., Any], **arguments: Any) -> Any:
    return await asyncio.to_thread(function, **arguments)


async def test_each_protocol(wire: Wire) -> None:
    wire.answers = {
        "DescribeModel": {"ModelName": "m", "CreationTime": 1_700_000_000.5},
        "GetCallerIdentity": {"Account": "000000000000"},
        "GetRole": {"Role": {"RoleName": "r", "CreateDate": 1_700_000_000}},
        "ListMetrics": {"Metrics": [{"Namespace": "n"}]},
        "InvokeEndpoint": {"Body": b"[1]", "ContentType": "application/json"},
        "Invoke": {"StatusCode": 200, "Payload": b"{}"},
    }
    model = await call(wire.client("sagemaker").describe_model, ModelName="m")
    assert model["CreationTime"].timestamp() == 1_700_000_000.5
    assert (await call(wire.client("sts").get_caller_identity))["Account"] == "000000000000"
    role = await call(wire.client("iam").get_role, RoleName="r")
    assert role["Role"]["CreateDate"].timestamp() == 1_700_000_000
    metrics = await call(wire.client("cloudwatch").list_metrics, Namespace="n")
    assert metrics["Metrics"] == [{"Namespace": "n"}]
    runtime = wire.client("sagemaker-runtime")
    invoked = await call(runtime.invoke_endpoint, EndpointName="e", Body=b"1,2", ContentType="text/csv")
    assert invoked["Body"].read() == b"[1]"
    assert invoked["ContentType"] == "application/json"
    assert (await call(wire.client("lambda").invoke, FunctionName="arn:aws:lambda:us-east-1:000000000000:function:f"))[
        "Payload"
    ].read() == b"{}"
    assert [(service, name) for service, name, _ in wire.calls] == [
        ("sagemaker", "DescribeModel"),
        ("sts", "GetCallerIdentity"),
        ("iam", "GetRole"),
        ("cloudwatch", "ListMetrics"),
        ("sagemaker-runtime", "InvokeEndpoint"),
        ("lambda", "Invoke"),
    ]
    assert wire.calls[4][2] == {"EndpointName": "e", "Body": b"1,2", "ContentType": "text/csv"}
    assert wire.calls[5][2]["FunctionName"] == "arn:aws:lambda:us-east-1:000000000000:function:f"


@pytest.mark.parametrize("key", ["plain", "a b/ü+c&d=e%25/../f~(x)", "/leading//double/"])
@pytest.mark.parametrize("checksum", ["when_supported", "when_required"])
async def test_s3_objects(wire: Wire, key: str, checksum: str) -> None:
    s3 = wire.client("s3", s3={"addressing_style": "path"}, request_checksum_calculation=checksum)
    wire.answers["GetObject"] = {"Body": b"content", "ContentLength": 7, "ETag": '"e"', "Metadata": {"a": "b"}}
    body = b"x" * 200_000
    await call(s3.put_object, Bucket="bucket", Key=key, Body=body, Metadata={"a": "b"}, ContentType="text/plain")
    _, name, params = wire.calls[-1]
    assert name == "PutObject"
    assert (params["Key"], params["Body"], params["Metadata"]) == (key, body, {"a": "b"})
    read = await call(s3.get_object, Bucket="bucket", Key=key)
    assert read["Body"].read() == b"content"
    assert read["Metadata"] == {"a": "b"}


@pytest.mark.parametrize("version", [None, "s3v4"])
async def test_presigned_urls(wire: Wire, version: str | None) -> None:
    """Without signature_version boto3 makes SigV2 URLs in us-east-1."""
    s3 = wire.client("s3", s3={"addressing_style": "path"}, signature_version=version)
    wire.answers["GetObject"] = {"Body": b"content"}
    named = {"Bucket": "bucket", "Key": "a b/ü+c"}
    read = s3.generate_presigned_url("get_object", Params={**named, "ResponseContentType": "text/x y"}, ExpiresIn=60)
    assert ("X-Amz-Signature" in read) == (version == "s3v4")
    write = s3.generate_presigned_url("put_object", Params={**named, "Metadata": {"m": "1"}}, ExpiresIn=60)
    late = s3.generate_presigned_url("get_object", Params=named, ExpiresIn=-1 if version is None else 0)
    headers = {"x-amz-meta-m": "1"} if version else {}
    with httpx.Client() as http:
        got = await call(http.get, url=read)
        assert (got.status_code, got.content) == (200, b"content")
        assert wire.calls[-1][2] == {**named, "ResponseContentType": "text/x y"}
        put = await call(http.put, url=write, content=b"new", headers=headers)
        assert put.status_code == 200, put.text
        assert (wire.calls[-1][2]["Body"], wire.calls[-1][2]["Metadata"]) == (b"new", {"m": "1"})
        assert (await call(http.get, url=read.replace("a%20b", "a%20c"))).status_code == 403
        assert (await call(http.put, url=read, content=b"x")).status_code == 403
        if version is None:
            refused = await call(http.get, url=late)
            assert "<Message>Request has expired</Message>" in refused.text


async def test_s3_streams_with_trailers(wire: Wire) -> None:
    """An upload whose checksum follows it, which botocore does for streams it cannot rewind (and always over TLS)."""
    s3 = wire.client("s3", s3={"addressing_style": "path"})
    await call(s3.put_object, Bucket="bucket", Key="k", Body=b"y" * 100_000, ChecksumAlgorithm="SHA256")
    assert wire.calls[-1][2]["Body"] == b"y" * 100_000
    assert "ChecksumSHA256" in wire.calls[-1][2] or "x-amz-checksum-sha256" in wire.trailers


async def test_s3_subresources_and_listings(wire: Wire) -> None:
    s3 = wire.client("s3", s3={"addressing_style": "path"})
    wire.answers["ListObjectsV2"] = {
        "Contents": [{"Key": "k", "Size": 1, "LastModified": 1_700_000_000}],
        "KeyCount": 1,
    }
    wire.answers["GetBucketLocation"] = {"LocationConstraint": "eu-west-1"}
    assert (await call(s3.list_objects_v2, Bucket="bucket"))["Contents"][0]["Key"] == "k"
    assert (await call(s3.get_bucket_location, Bucket="bucket"))["LocationConstraint"] == "eu-west-1"
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    await call(s3.put_bucket_tagging, Bucket="bucket", Tagging=tags)
    assert wire.calls[-1][2]["Tagging"] == tags
    await call(s3.delete_objects, Bucket="bucket", Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
    assert wire.calls[-1][2]["Delete"] == {"Objects": [{"Key": "a"}, {"Key": "b"}]}


async def test_modelled_exceptions_are_caught_by_their_class(wire: Wire) -> None:
    wire.answers = {
        "GetQueueUrl": ApiError("QueueDoesNotExist", "none"),
        "GetRole": ApiError("NoSuchEntity", "none", 404),
        "GetObject": ApiError("NoSuchKey", "none", 404),
        "DescribeAlarms": ApiError("InvalidNextToken", "bad"),
        "InvokeEndpoint": ApiError("ModelError", "broken", 424, {"OriginalStatusCode": 500}),
        "DescribeModel": ApiError("ResourceNotFound", "none"),
    }
    sqs, iam, s3 = wire.client("sqs"), wire.client("iam"), wire.client("s3", s3={"addressing_style": "path"})
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as queue:
        await call(sqs.get_queue_url, QueueName="q")
    assert queue.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        await call(iam.get_role, RoleName="r")
    with pytest.raises(s3.exceptions.NoSuchKey):
        await call(s3.get_object, Bucket="bucket", Key="k")
    cloudwatch = wire.client("cloudwatch")
    with pytest.raises(cloudwatch.exceptions.InvalidNextToken):
        await call(cloudwatch.describe_alarms, NextToken="x")
    runtime = wire.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as broken:
        await call(runtime.invoke_endpoint, EndpointName="e", Body=b"1")
    assert broken.value.response["OriginalStatusCode"] == 500
    sagemaker = wire.client("sagemaker")
    with pytest.raises(ClientError) as missing:
        await call(sagemaker.describe_model, ModelName="m")
    assert missing.value.response["Error"]["Code"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "unknown", "wrong"),
    [
        ("sagemaker", "list_models", {}, "UnrecognizedClientException", "InvalidSignatureException"),
        ("sts", "get_caller_identity", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("s3", "list_buckets", {}, "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ("cloudwatch", "list_metrics", {}, "UnrecognizedClientException", "InvalidSignatureException"),
        (
            "sagemaker-runtime",
            "invoke_endpoint",
            {"EndpointName": "e", "Body": b"1"},
            "UnrecognizedClientException",
            "InvalidSignatureException",
        ),
    ],
)
async def test_strangers_are_refused(
    wire: Wire, service: str, operation: str, arguments: dict[str, Any], unknown: str, wrong: str
) -> None:
    for options, code in (({"key": "AKIAUNKNOWN"}, unknown), ({"secret": "wrong"}, wrong)):
        with pytest.raises(ClientError) as refused:
            await call(getattr(wire.client(service, **options), operation), **arguments)
        assert refused.value.response["Error"]["Code"] == code
    assert wire.calls == []


async def test_the_server_checks_what_clients_do_not(wire: Wire) -> None:
    with pytest.raises(ClientError) as refused:
        await call(wire.client("sagemaker").describe_model, ModelName="not valid")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert "at 'modelName' failed to satisfy constraint" in refused.value.response["Error"]["Message"]


async def test_streams_of_events(wire: Wire) -> None:
    async def parts() -> AsyncIterator[dict[str, Any]]:
        yield {"PayloadPart": {"Bytes": b"a"}}
        yield {"PayloadPart": {"Bytes": b"b"}}

    wire.answers["InvokeEndpointWithResponseStream"] = {"Body": parts(), "ContentType": "text/plain"}
    runtime = wire.client("sagemaker-runtime")
    answer = await call(runtime.invoke_endpoint_with_response_stream, EndpointName="e", Body=b"1")
    events = await asyncio.to_thread(list, answer["Body"])
    assert b"".join(event["PayloadPart"]["Bytes"] for event in events) == b"ab"
