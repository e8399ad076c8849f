"""What one request may hold: the largest that is right passes, what only costs time is refused before it does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from wildsage.core.errors import ApiError
from wildsage.wire import cbor
from wildsage.wire.aside import aside
from wildsage.wire.bounds import MOST_DEPTH, MOST_GROUPS, bound_of, check_json
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.model import load
from wildsage.wire.protocols import protocol_named
from wildsage.wire.protocols.values import decode_blob
from wildsage.wire.timestamps import Malformed
from wildsage.wire.validate import validate

PROTOCOLS = {"sagemaker": "json", "logs": "json", "iam": "query", "s3": "rest-xml", "lambda": "rest-json"}


async def parsed(service: str, name: str, body: bytes, protocol: str = "") -> dict[str, Any]:
    """What the door makes of it: parsed and valid."""
    operation = load(service).operations[name]
    spoken = protocol_named(protocol or PROTOCOLS[service])
    params = await spoken.parse_request(operation, Request("POST", "/", [], BytesBody(body)), {})
    validate(operation, params)
    return params


def listed(item: bytes, number: int, before: bytes, after: bytes) -> bytes:
    return before + b",".join([item] * number) + after


TOO_MANY = [
    ("sagemaker", "CreateTrainingJob", listed(b"{}", MOST_GROUPS + 1, b'{"InputDataConfig":[', b"]}"), ""),
    ("sagemaker", "CreateTrainingJob", listed(b"[]", MOST_GROUPS + 1, b'{"Unknown":[', b"]}"), ""),
    ("sagemaker", "CreateTrainingJob", listed(b'"}{"', 100_001, b'{"Unknown":[', b"]}"), ""),
    ("sagemaker", "CreateTrainingJob", b'"' * 500_000 + b"{" * 200, ""),
    ("lambda", "CreateFunction", listed(b"{}", MOST_GROUPS + 1, b'{"Layers":[', b"]}"), ""),
    ("iam", "CreateRole", b"Action=CreateRole&" + b"a&" * MOST_GROUPS, ""),
    ("iam", "CreateRole", b"Tags." + b"a." * 400_000 + b"=1", ""),
    ("s3", "DeleteObjects", b"<Delete>" + b"<Object/>" * 200_000 + b"</Delete>", ""),
    ("cloudwatch", "PutMetricData", b"\xa1\x61x\x9f" + b"\x80" * MOST_GROUPS + b"\xff", "smithy-rpc-v2-cbor"),
    ("cloudwatch", "PutMetricData", b"\xa1\x61x\x9f" + b"\x01" * 400_000 + b"\xff", "smithy-rpc-v2-cbor"),
]


@pytest.mark.parametrize(("service", "name", "body", "protocol"), TOO_MANY)
async def test_too_many_values(service: str, name: str, body: bytes, protocol: str) -> None:
    assert len(body) <= bound_of(service, name).most, "its size alone would not refuse it"
    with pytest.raises(ApiError) as caught:
        await parsed(service, name, body, protocol)
    assert caught.value.code in ("SerializationException", "MalformedInput", "MalformedXML")
    assert caught.value.status == 400


async def test_the_largest_batch_of_log_events_passes() -> None:
    text = '{"a": [1, 2], "b": "}\\'
    events = [{"timestamp": 1_700_000_000_000, "message": text}] * 10_000
    body = json.dumps({"logGroupName": "g", "logStreamName": "s", "logEvents": events}).encode()
    assert (await parsed("logs", "PutLogEvents", body))["logEvents"] == events


@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor"])
async def test_the_most_metrics_pass(protocol: str) -> None:
    metric = {"MetricName": "m", "Values": [1] * 150, "Counts": [2.5] * 150}
    given = {"Namespace": "n", "MetricData": [metric] * 300}
    body = json.dumps(given).encode() if protocol == "json" else cbor.dumps(given)
    assert await parsed("cloudwatch", "PutMetricData", body, protocol) == given


async def test_signs_within_strings_count_for_nothing() -> None:
    definition = '{"Steps":[{"a":"\\\\"},' * 40_000
    body = json.dumps({"PipelineName": "p", "PipelineDefinition": definition, "RoleArn": "r" * 20}).encode()
    check_json(body, bound_of("sagemaker"))


async def test_nesting_is_bounded() -> None:
    """The validation goes deeper than the parser: it ran out of stack where the parser had not."""
    for depth, too_deep in ((20, False), (MOST_DEPTH, True), (300, True)):
        body = b'{"SearchExpression":' + b'{"SubExpressions":[' * depth + b"]}" * depth + b"}"
        with pytest.raises(ApiError) as caught:
            await parsed("sagemaker", "Search", body)
        assert caught.value.code == ("SerializationException" if too_deep else "ValidationException")


async def test_a_refusal_is_short_however_much_is_wrong() -> None:
    body = listed(b'{"ChannelName":"' + b" " * 80 + b'"}', 20_000, b'{"InputDataConfig":[', b"]}")
    with pytest.raises(ApiError) as caught:
        await parsed("sagemaker", "CreateTrainingJob", body)
    assert len(caught.value.message) < 8192
    variables = {f"k{number}": "{}" * 50 for number in range(9_000)}
    with pytest.raises(ApiError) as caught:
        await parsed("sagemaker", "CreateTrainingJob", json.dumps({"Environment": variables}).encode())
    assert len(caught.value.message) < 8192
    tags = [{"Key": "/" * 129, "Value": "v"}] * 50
    with pytest.raises(ApiError) as caught:
        await parsed("sagemaker", "CreateTrainingJob", json.dumps({"Tags": tags}).encode())
    assert caught.value.message.startswith("50 validation errors detected: ")


def test_long_blobs_are_decoded_in_pieces() -> None:
    content = bytes(range(256)) * 40_000
    assert decode_blob(base64.b64encode(content).decode()) == content
    padded = base64.b64encode(bytes(3 * 1024 * 1024 - 1)).decode()
    assert len(padded) == 4 * 1024 * 1024
    for text in (padded + "AAAA", "A" * (4 * 1024 * 1024) + "A", "A" * (5 * 1024 * 1024) + "\n"):
        with pytest.raises(Malformed):
            decode_blob(text)


async def test_what_goes_wrong_aside_goes_wrong_here() -> None:
    def fail() -> None:
        raise Malformed("it is")

    for size in (0, 1 << 30):
        with pytest.raises(Malformed):
            await aside(size, fail)
