"""The exact form of messages, where a parser would be too forgiving to notice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import BytesBody, Request, Response
from wildsage.wire.model import load
from wildsage.wire.protocols import protocol_named, protocol_of
from wildsage.wire.routing import match

SAGEMAKER = load("sagemaker")
JSON = protocol_named("json")


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def test_json_answers() -> None:
    result = {"TrainingJobName": "é", "CreationTime": 1_700_000_000.1234, "Tags": None, "NotInTheModel": 1}
    response = JSON.serialize_response(SAGEMAKER.operations["DescribeTrainingJob"], result, "id-1")
    assert text(response) == '{"TrainingJobName":"\\u00e9","CreationTime":1700000000.123}'
    assert response.headers == [("x-amzn-requestid", "id-1"), ("content-type", "application/x-amz-json-1.1")]
    nothing = JSON.serialize_response(SAGEMAKER.operations["DeleteModel"], {}, "id-1")
    assert (nothing.status, nothing.body) == (200, b"")


def test_json_errors() -> None:
    error = ApiError("ResourceNotFound", "Could not find it.", 400)
    response = JSON.serialize_error(SAGEMAKER.operations["DescribeModel"], error, "id-1")
    assert json.loads(text(response)) == {"__type": "ResourceNotFound", "Message": "Could not find it."}
    unknown = JSON.serialize_error(SAGEMAKER, ApiError("ThrottlingException", "Rate exceeded"), "id-1")
    assert json.loads(text(unknown)) == {"__type": "ThrottlingException", "message": "Rate exceeded"}


def test_rest_json_errors_carry_their_members() -> None:
    error = ApiError("ModelError", "It failed.", 424, {"OriginalStatusCode": 500, "OriginalMessage": "x"})
    operation = load("sagemaker-runtime").operations["InvokeEndpoint"]
    response = protocol_named("rest-json").serialize_error(operation, error, "id-1")
    assert (response.status, response.header("x-amzn-errortype")) == (424, "ModelError")
    assert json.loads(text(response)) == {"Message": "It failed.", "OriginalStatusCode": 500, "OriginalMessage": "x"}
    throttled = ApiError("TooManyRequestsException", "Slow down.", 429, {"retryAfterSeconds": "3", "Reason": "R"})
    response = protocol_named("rest-json").serialize_error(load("lambda").operations["Invoke"], throttled, "id-1")
    assert response.header("retry-after") == "3"
    assert json.loads(text(response)) == {"message": "Slow down.", "Reason": "R"}


def test_query_answers_and_errors() -> None:
    sts = load("sts")
    query = protocol_named("query")
    result = {"UserId": "U", "Account": "000000000000", "Arn": "arn:aws:iam::000000000000:root"}
    response = query.serialize_response(sts.operations["GetCallerIdentity"], result, "id-1")
    assert text(response) == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<UserId>U</UserId><Account>000000000000</Account><Arn>arn:aws:iam::000000000000:root</Arn>"
        "</GetCallerIdentityResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    assert response.header("content-type") == "text/xml"
    error = ApiError("NoSuchEntityException", "No <role>", 404)  # the shape's name; clients know it as NoSuchEntity
    response = query.serialize_error(load("iam").operations["GetRole"], error, "id-1")
    assert response.status == 404
    assert "<Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>No &lt;role&gt;</Message></Error>" in text(
        response
    )


def test_times_in_query_answers_are_whole_seconds() -> None:
    role = {"Path": "/", "RoleName": "r", "RoleId": "i", "Arn": "a", "CreateDate": 1_700_000_000}
    response = protocol_named("query").serialize_response(load("iam").operations["GetRole"], {"Role": role}, "id-1")
    assert "<CreateDate>2023-11-14T22:13:20Z</CreateDate>" in text(response)


def test_services_that_left_the_query_protocol_name_the_old_code() -> None:
    sqs = load("sqs").operations["GetQueueUrl"]
    old = "AWS.SimpleQueueService.NonExistentQueue"
    for code in ("QueueDoesNotExist", old):
        response = JSON.serialize_error(sqs, ApiError(code, "No such queue."), "id-1")
        assert response.header("x-amzn-query-error") == f"{old};Sender"
        assert json.loads(text(response))["__type"] == "QueueDoesNotExist"


@pytest.mark.parametrize(
    ("service", "headers", "name"),
    [
        ("sqs", {"x-amz-target": "AmazonSQS.SendMessage"}, "json"),
        ("sqs", {"content-type": "application/x-www-form-urlencoded"}, "query"),
        ("cloudwatch", {"smithy-protocol": "rpc-v2-cbor"}, "smithy-rpc-v2-cbor"),
        ("cloudwatch", {"x-amz-target": "GraniteServiceVersion20100801.ListMetrics"}, "json"),
        ("cloudwatch", {}, "query"),
        ("s3", {}, "rest-xml"),
    ],
)
def test_the_protocol_is_chosen_by_the_request(service: str, headers: dict[str, str], name: str) -> None:
    assert protocol_of(Request("POST", "/", list(headers.items()), BytesBody()), load(service)).name == name


def test_ec2_is_refused_by_name() -> None:
    with pytest.raises(ApiError, match="'ec2'"):
        protocol_of(Request("POST", "/", [], BytesBody()), load("ec2"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "Expected structure or null"),
        (b'{"TrainingJobName": 1}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"TrainingJobName": ["a"]}', "Start of list found where not expected"),
        (b'{"TrainingJobName": {}}', "Start of structure or map found where not expected."),
        (b'{"TrainingJobName": "\\ud800"}', "not valid Unicode"),
        (b'{"Tags": {}}', "Expected list or null"),
        (b'{"HyperParameters": []}', "Expected map or null"),
        (b'{"ResourceConfig": {"InstanceCount": "1"}}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"ResourceConfig": {"InstanceCount": 1.5}}', "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"ResourceConfig": {"InstanceCount": 99999999999}}', "does not fit"),
        (b'{"EnableNetworkIsolation": "true"}', "STRING_VALUE can not be converted to a Boolean"),
    ],
)
async def test_wrong_types_are_serialization_errors(body: bytes, words: str) -> None:
    with pytest.raises(ApiError) as caught:
        await _parse(body)
    assert (caught.value.code, caught.value.status) == ("SerializationException", 400)
    assert words in caught.value.message


async def test_what_json_forgives() -> None:
    read = await _parse(
        b'{"TrainingJobName": "a", "Unknown": {"x": 1}, "Tags": null, "ResourceConfig": {"InstanceCount": 2.0}}'
    )
    assert read == {"TrainingJobName": "a", "ResourceConfig": {"InstanceCount": 2}}
    assert await _parse(b"") == {}


async def _parse(body: bytes) -> dict[str, Any]:
    request = Request("POST", "/", [("x-amz-target", "SageMaker.CreateTrainingJob")], BytesBody(body))
    operation, labels = await match(SAGEMAKER, JSON, request)
    return await JSON.parse_request(operation, request, labels)


@pytest.mark.parametrize(
    ("service", "request_", "code", "status"),
    [
        (
            "sagemaker",
            Request("POST", "/", [("x-amz-target", "SageMaker.No")], BytesBody()),
            "UnknownOperationException",
            400,
        ),
        ("sagemaker", Request("GET", "/", [], BytesBody()), "UnknownOperationException", 400),
        ("iam", Request("POST", "/", [], BytesBody(b"Action=No&Version=2010-05-08")), "InvalidAction", 400),
        ("iam", Request("POST", "/", [], BytesBody()), "MissingAction", 400),
        ("lambda", Request("GET", "/nowhere", [], BytesBody()), "UnknownOperationException", 404),
        (
            "cloudwatch",
            Request("POST", "/x", [("smithy-protocol", "rpc-v2-cbor")], BytesBody()),
            "UnknownOperationException",
            404,
        ),
    ],
)
async def test_unknown_operations(service: str, request_: Request, code: str, status: int) -> None:
    model = load(service)
    with pytest.raises(ApiError) as caught:
        await match(model, protocol_of(request_, model), request_)
    assert (caught.value.code, caught.value.status) == (code, status)
