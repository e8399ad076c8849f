"""Which IAM actions and resources the calls need (Service Authorization Reference)."""

from __future__ import annotations

from typing import Any

import pytest

from wildsage.gateway.asked import Asked
from wildsage.gateway.needs import needs, passed_roles

SAGEMAKER = "arn:aws:sagemaker:eu-west-1:1"
CASES: list[tuple[str, str, dict[str, Any], list[tuple[str, str]]]] = [
    (
        "sagemaker",
        "CreateTrainingJob",
        {"TrainingJobName": "Job"},
        [("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/job")],
    ),
    (
        "sagemaker",
        "UpdateEndpointWeightsAndCapacities",
        {"EndpointName": "e"},
        [("sagemaker:UpdateEndpointWeightsAndCapacities", f"{SAGEMAKER}:endpoint/e")],
    ),
    ("sagemaker", "AddTags", {"ResourceArn": "arn:x"}, [("sagemaker:AddTags", "arn:x")]),
    ("sagemaker", "ListModels", {}, [("sagemaker:ListModels", "*")]),
    (
        "sagemaker-runtime",
        "InvokeEndpoint",
        {"EndpointName": "e"},
        [("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/e")],
    ),
    ("sqs", "SendMessage", {"QueueUrl": "http://h/2/q"}, [("sqs:SendMessage", "arn:aws:sqs:eu-west-1:2:q")]),
    ("sqs", "SendMessage", {"QueueUrl": "http://["}, [("sqs:SendMessage", "*")]),
    ("s3", "ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
    ("s3", "ListObjectsV2", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ("s3", "HeadObject", {"Bucket": "b", "Key": "k/l"}, [("s3:GetObject", "arn:aws:s3:::b/k/l")]),
    (
        "s3",
        "GetObject",
        {"Bucket": "b", "Key": "k", "VersionId": "v"},
        [("s3:GetObjectVersion", "arn:aws:s3:::b/k")],
    ),
    (
        "s3",
        "CopyObject",
        {"Bucket": "b", "Key": "k", "CopySource": "c/d%20e?versionId=1"},
        [("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObjectVersion", "arn:aws:s3:::c/d e")],
    ),
    (
        "s3",
        "DeleteObjects",
        {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y"}]}},
        [("s3:DeleteObject", "arn:aws:s3:::b/x"), ("s3:DeleteObject", "arn:aws:s3:::b/y")],
    ),
    (
        "logs",
        "PutLogEvents",
        {"logGroupName": "g", "logStreamName": "s"},
        [("logs:PutLogEvents", "arn:aws:logs:eu-west-1:1:log-group:g:log-stream:s")],
    ),
    ("iam", "GetRole", {"RoleName": "r"}, [("iam:GetRole", "arn:aws:iam::1:role/r")]),
    ("sts", "GetCallerIdentity", {}, []),
    ("sts", "AssumeRole", {"RoleArn": "arn:r"}, [("sts:AssumeRole", "arn:r")]),
]


@pytest.mark.parametrize(("service", "operation", "params", "expected"), CASES)
def test_needs(service: str, operation: str, params: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = needs(Asked(service, operation, "eu-west-1", "1", params))
    assert [(need.action, need.resource) for need in found] == expected


def test_list_conditions_are_told() -> None:
    (need,) = needs(Asked("s3", "ListObjectsV2", "r", "1", {"Bucket": "b", "Prefix": "p/", "MaxKeys": 5}))
    assert need.context == {"s3:prefix": ("p/",), "s3:max-keys": ("5",)}


def test_roles_handed_to_sagemaker() -> None:
    asked = Asked("sagemaker", "CreateModel", "r", "1", {"ModelName": "m", "ExecutionRoleArn": "arn:r"})
    assert passed_roles(asked) == ["arn:r"]
    assert passed_roles(Asked("sts", "AssumeRole", "r", "1", {"RoleArn": "arn:r"})) == []
