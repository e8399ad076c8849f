"""Tag keys that begin with ``aws:`` are AWS's own, in every service and in any case of letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server

KEY = "AwS:owner"
PAIRS = [{"Key": "team", "Value": "a"}, {"Key": KEY, "Value": "b"}]
MAP = {"team": "a", KEY: "b"}
COMMON = "aws: prefixed tag key names are not allowed for external use."
SAGEMAKER = f"System prefix 'aws:' reserved for AWS usage in tag key: {KEY}"
EXECUTION = "arn:aws:iam::000000000000:role/WildsageExecutionRole"
ENDPOINT = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f"
REPOSITORY = "arn:aws:ecr:us-east-1:000000000000:repository/r"
ALARM = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a"
TARGET = "arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/0a"
TRUST = '{"Version": "2012-10-17", "Statement": []}'
CODE = {"ZipFile": b"no archive"}

CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("sagemaker", "AddTags", {"ResourceArn": ENDPOINT, "Tags": PAIRS}, "ValidationException", SAGEMAKER),
    ("sagemaker", "DeleteTags", {"ResourceArn": ENDPOINT, "TagKeys": [KEY]}, "ValidationException", SAGEMAKER),
    ("sagemaker", "CreateModel", {"ModelName": "m", "Tags": PAIRS}, "ValidationException", SAGEMAKER),
    (
        "sagemaker",
        "CreateEndpoint",
        {"EndpointName": "e", "EndpointConfigName": "c", "Tags": PAIRS},
        "ValidationException",
        SAGEMAKER,
    ),
    ("ecr", "CreateRepository", {"repositoryName": "rr", "tags": PAIRS}, "InvalidTagParameterException", COMMON),
    ("ecr", "TagResource", {"resourceArn": REPOSITORY, "tags": PAIRS}, "InvalidTagParameterException", COMMON),
    (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Role": EXECUTION, "Code": CODE, "Tags": MAP},
        "InvalidParameterValueException",
        COMMON,
    ),
    ("lambda", "TagResource", {"Resource": FUNCTION, "Tags": MAP}, "InvalidParameterValueException", COMMON),
    ("lambda", "UntagResource", {"Resource": FUNCTION, "TagKeys": [KEY]}, "InvalidParameterValueException", COMMON),
    ("sqs", "CreateQueue", {"QueueName": "q", "tags": MAP}, "InvalidParameterValue", COMMON),
    ("sqs", "TagQueue", {"QueueUrl": "http://q", "Tags": MAP}, "InvalidParameterValue", COMMON),
    ("sns", "CreateTopic", {"Name": "t", "Tags": PAIRS}, "InvalidParameter", f"Invalid parameter: {COMMON}"),
    (
        "iam",
        "CreateRole",
        {"RoleName": "tagged", "AssumeRolePolicyDocument": TRUST, "Tags": PAIRS},
        "InvalidInput",
        COMMON,
    ),
    ("iam", "TagUser", {"UserName": "u", "Tags": PAIRS}, "InvalidInput", COMMON),
    (
        "sts",
        "AssumeRole",
        {"RoleArn": EXECUTION, "RoleSessionName": "session", "Tags": PAIRS},
        "ValidationError",
        COMMON,
    ),
    ("logs", "CreateLogGroup", {"logGroupName": "g", "tags": MAP}, "InvalidParameterException", COMMON),
    ("cloudwatch", "TagResource", {"ResourceARN": ALARM, "Tags": PAIRS}, "InvalidParameterValue", COMMON),
    ("application-autoscaling", "TagResource", {"ResourceARN": TARGET, "Tags": MAP}, "ValidationException", COMMON),
]


def refused(server: Server, service: str, operation: str, parameters: dict[str, Any]) -> tuple[str, str]:
    method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
    with pytest.raises(ClientError) as caught:
        getattr(server.client(service), method)(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "message"), CASES, ids=[f"{each[0]}-{each[1]}" for each in CASES]
)
def test_services_refuse_them(
    server: Server, service: str, operation: str, parameters: dict[str, Any], code: str, message: str
) -> None:
    assert refused(server, service, operation, parameters) == (code, message)


@pytest.fixture
def bucket(server: Server) -> Iterator[str]:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="reserved-tags")
    s3.put_object(Bucket="reserved-tags", Key="o", Body=b"")
    yield "reserved-tags"
    s3.delete_object(Bucket="reserved-tags", Key="o")
    s3.delete_bucket(Bucket="reserved-tags")


def test_buckets_and_objects_have_none(server: Server, bucket: str) -> None:
    tags = {"TagSet": PAIRS}
    system = ("InvalidTag", "System tags cannot be added/updated by requester")
    prefixed = ("InvalidTag", "Your TagKey cannot be prefixed with aws:")
    assert refused(server, "s3", "PutBucketTagging", {"Bucket": bucket, "Tagging": tags}) == system
    new = {"Bucket": "reserved-tags-too", "CreateBucketConfiguration": {"Tags": PAIRS}}
    assert refused(server, "s3", "CreateBucket", new) == system
    assert refused(server, "s3", "PutObjectTagging", {"Bucket": bucket, "Key": "o", "Tagging": tags}) == prefixed
    assert refused(server, "s3", "PutObject", {"Bucket": bucket, "Key": "o", "Tagging": f"{KEY}=b"}) == prefixed


def test_keys_that_have_it_elsewhere(server: Server) -> None:
    queue = server.client("sqs").create_queue(QueueName="own-tags", tags={"aws-owner": "a", "an:aws:owner": "b"})
    assert server.client("sqs").list_queue_tags(QueueUrl=queue["QueueUrl"])["Tags"]["an:aws:owner"] == "b"
    server.client("sqs").delete_queue(QueueUrl=queue["QueueUrl"])
