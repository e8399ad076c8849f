"""Every operation of every service, there and back, against botocore and against ourselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire import botocore_side
from tests.wire.examples import SERVICES, Maker, as_botocore, from_botocore
from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import BytesBody
from wildsage.wire.model import Operation, Shape, load
from wildsage.wire.protocols import protocol_named, protocol_of
from wildsage.wire.routing import match

CASES = [(service, protocol) for service in SERVICES for protocol in load(service).protocols]
EXAMPLES = 2  # of each: one sparse, the others full
# The old notification calls write two members with the same element; GetBucketLocation is read by a hook of the S3
# client, not by the parser (see test_s3_oddities).
# Asked for in the same way; only the endpoint differs.
TWINS = {"ListDirectoryBuckets": "ListBuckets"}
NOT_PARSED = ("GetBucketNotification", "PutBucketNotification", "GetBucketLocation")


def _inputs(operation: Operation) -> list[dict[str, Any]]:
    return [Maker(f"{operation.name}{n}in", sparse=n == 0).members(operation.input) for n in range(EXAMPLES)]


def _outputs(operation: Operation) -> list[dict[str, Any]]:
    return [Maker(f"{operation.name}{n}out", sparse=n == 0).members(operation.output) for n in range(EXAMPLES)]


async def _whole(params: dict[str, Any]) -> dict[str, Any]:
    """Streaming payloads read."""
    return {k: await v.read(1 << 20) if isinstance(v, BytesBody) else v for k, v in params.items()}


@pytest.mark.parametrize(("service", "protocol"), CASES)
async def test_requests_of_botocore_are_read(service: str, protocol: str) -> None:
    model = load(service)
    for operation in model.operations.values():
        for params in [] if operation.name in NOT_PARSED else _inputs(operation):
            sent = as_botocore(operation.input, params)
            request = botocore_side.request_of(service, operation.name, sent, protocol)
            spoken = protocol_of(request, model)
            assert spoken.name == protocol, operation
            found, labels = await match(model, spoken, request)
            assert _is_meant(found, operation), (found, operation)
            read = await _whole(await spoken.parse_request(operation, request, labels))
            assert _comparable(operation.input, read) == _comparable(operation.input, params), operation


@pytest.mark.parametrize(("service", "protocol"), CASES)
async def test_responses_are_read_by_botocore(service: str, protocol: str) -> None:
    for operation in load(service).operations.values():
        if operation.event_stream or operation.name in NOT_PARSED:
            continue
        for result in _outputs(operation):
            response = protocol_named(protocol).serialize_response(operation, result, "id-1")
            parsed = botocore_side.parse(service, operation.name, response, protocol)
            metadata = parsed.pop("ResponseMetadata", {})
            assert metadata.get("RequestId", "id-1") == "id-1"
            assert metadata["HTTPStatusCode"] == response.status
            seen = {key: botocore_side.opened(value) for key, value in from_botocore(parsed).items()}
            assert _comparable(operation.output, seen) == _comparable(operation.output, result), operation


@pytest.mark.parametrize(("service", "protocol"), CASES)
async def test_our_own_two_directions_agree(service: str, protocol: str) -> None:
    spoken = protocol_named(protocol)
    for operation in load(service).operations.values():
        if operation.name in NOT_PARSED:
            continue
        for params in _inputs(operation):
            request = spoken.serialize_request(operation, params)
            found, labels = await match(load(service), spoken, request)
            assert _is_meant(found, operation), (found, operation)
            read = await _whole(await spoken.parse_request(operation, request, labels))
            assert _comparable(operation.input, read) == _comparable(operation.input, params), operation
        if operation.event_stream:
            continue
        for result in _outputs(operation):
            parsed = await spoken.parse_response(operation, spoken.serialize_response(operation, result, "id-1"))
            seen = _comparable(operation.output, parsed)
            assert seen == _comparable(operation.output, result), operation


@pytest.mark.parametrize(("service", "protocol"), CASES)
async def test_errors_are_read_by_botocore_and_by_us(service: str, protocol: str) -> None:
    spoken = protocol_named(protocol)
    for operation in load(service).operations.values():
        if operation.http_method == "HEAD":
            continue
        codes = [(shape.error_code, shape.error_status or 400) for shape in operation.errors]
        for code, status in [*codes, ("ThrottlingException", 400), ("InternalFailure", 500)]:
            error = ApiError(code, 'Could not <find> "it" & more', status)
            response = spoken.serialize_error(operation, error, "id-1")
            parsed = botocore_side.parse(service, operation.name, response, protocol)
            assert parsed["ResponseMetadata"]["HTTPStatusCode"] == status
            assert parsed["ResponseMetadata"]["RequestId"] == "id-1"
            assert parsed["Error"]["Message"] == error.message, (operation, code)
            assert parsed["Error"]["Code"] == code, (operation, code)
            with pytest.raises(ApiError) as caught:
                await spoken.parse_response(operation, response)
            assert (caught.value.code, caught.value.message, caught.value.status) == (code, error.message, status)


def _is_meant(found: Operation, operation: Operation) -> bool:
    return found is operation or operation.deprecated or TWINS.get(operation.name) == found.name


def _comparable(shape: Shape | None, values: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what the wire cannot tell apart: absent and empty header maps and payloads, and the status code."""
    if shape is None:
        return {}
    kept: dict[str, Any] = {}
    for name, value in values.items():
        member = shape.members[name]
        empty = not value and (member.location == "headers" or name == shape.payload)
        if member.location != "statusCode" and not empty:
            kept[name] = value
    return kept
