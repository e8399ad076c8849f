"""How large a request may be, in each service's words."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.conftest import Server

MIB = 1024 * 1024
UNKNOWN = (
    "AWS4-HMAC-SHA256 Credential=AKIAUNKNOWN/20260101/us-east-1/SERVICE/aws4_request, SignedHeaders=host, "
    f"Signature={'0' * 64}"
)
AS_IT_IS = Config(parameter_validation=False, disable_request_compression=True, retries={"max_attempts": 1})
TOO_LARGE: list[tuple[str, str, dict[str, Any], str, int, str]] = [
    (
        "sagemaker",
        "create_training_job",
        {"TrainingJobName": "a" * (4 * MIB)},
        "RequestEntityTooLargeException",
        413,
        "Request must be smaller than 4194304 bytes for the CreateTrainingJob operation",
    ),
    (
        "cloudwatch",
        "put_metric_data",
        {"Namespace": "n" * MIB, "MetricData": []},
        "RequestEntityTooLarge",
        413,
        r"Request size \d+ exceeded 1048576 bytes",
    ),
    (
        "logs",
        "put_log_events",
        {"logGroupName": "g" * (8 * MIB)},
        "InvalidParameterException",
        400,
        r"Upload too large: \d+ bytes exceeds limit of 1048576",
    ),
    (
        "lambda",
        "update_function_configuration",
        {"FunctionName": "f", "Description": "d" * 5 * 1024},
        "RequestEntityTooLargeException",
        413,
        "Request must be smaller than 5120 bytes for the UpdateFunctionConfiguration operation",
    ),
    (
        "iam",
        "create_policy",
        {"PolicyName": "p", "PolicyDocument": "x" * MIB},
        "RequestEntityTooLarge",
        413,
        "Request must be smaller than 1048576 bytes",
    ),
]


@pytest.mark.parametrize(("service", "method", "params", "code", "status", "words"), TOO_LARGE)
def test_what_is_too_large(
    server: Server, service: str, method: str, params: dict[str, Any], code: str, status: int, words: str
) -> None:
    client = server.client(service, config=AS_IT_IS)
    with pytest.raises(ClientError, match=words) as caught:
        getattr(client, method)(**params)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_the_largest_zip_is_taken(server: Server) -> None:
    """50 MiB are 67 MiB in base64."""
    client = server.client("lambda", config=AS_IT_IS)
    with pytest.raises(ClientError) as caught:
        client.update_function_code(FunctionName="nowhere", ZipFile=bytes(50 * MIB))
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_large_body_is_not_waited_for_without_a_key(server: Server) -> None:
    """Whoever has no key does not fill the memory: nothing of the 67 MB is sent, and the answer is there."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.putrequest("PUT", "/2015-03-31/functions/f/code")
    connection.putheader("Content-Length", "70000000")
    connection.putheader("X-Amz-Date", "20260101T000000Z")
    connection.putheader("Authorization", UNKNOWN.replace("SERVICE", "lambda"))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("x-amzn-errortype")) == (403, "UnrecognizedClientException")
    connection.close()


def test_a_body_without_length_ends_at_the_bound(server: Server) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request(
        "POST",
        "/",
        body=(b"x" * 65536 for _ in range(65)),
        headers={
            "X-Amz-Target": "SageMaker.CreateTrainingJob",
            "Authorization": UNKNOWN.replace("SERVICE", "sagemaker"),
            "X-Amz-Date": "20260101T000000Z",
        },
        encode_chunked=True,
    )
    answer = connection.getresponse()
    assert (answer.status, b"RequestEntityTooLargeException" in answer.read()) == (413, True)
    connection.close()
