"""The constraints of the models in AWS's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.examples import Maker, operations
from wildsage.core.errors import ApiError, ValidationError
from wildsage.wire.model import load
from wildsage.wire.validate import validate

TRAINING = load("sagemaker").operations["CreateTrainingJob"]
GOOD: dict[str, Any] = {
    "TrainingJobName": "job-1",
    "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image:1"},
    "RoleArn": "arn:aws:iam::000000000000:role/service-role/R",
    "OutputDataConfig": {"S3OutputPath": "s3://b/p"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
NAME_PATTERN = TRAINING.input.members["TrainingJobName"].traits["pattern"] if TRAINING.input else ""


def message(changes: dict[str, Any]) -> str:
    params = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    with pytest.raises(ValidationError) as caught:
        validate(TRAINING, params)
    assert (caught.value.code, caught.value.status) == ("ValidationException", 400)
    return caught.value.message


def test_what_is_right_passes() -> None:
    validate(TRAINING, GOOD)
    validate(load("sts").operations["GetCallerIdentity"], {})


def test_a_pattern() -> None:
    assert message({"TrainingJobName": "a_b"}) == (
        "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {NAME_PATTERN}"
    )


def test_several_are_joined() -> None:
    text = message({"TrainingJobName": "a" * 64, "RoleArn": ...})
    assert text.startswith("3 validation errors detected: ")
    assert "Value null at 'roleArn' failed to satisfy constraint: Member must not be null; " in text
    assert "Member must have length less than or equal to 63; " in text


def test_an_enum_and_a_range_deep_inside() -> None:
    config = {**GOOD["ResourceConfig"], "InstanceType": "ml.x", "InstanceCount": -1}
    text = message({"ResourceConfig": config})
    assert text.startswith("2 validation errors detected: Value 'ml.x' at 'resourceConfig.instanceType' failed to")
    assert "Member must satisfy enum value set: [ml.m4.xlarge, " in text
    assert (
        "Value '-1' at 'resourceConfig.instanceCount' failed to satisfy constraint: Member must have value gre" in text
    )


def test_elements_are_numbered_from_one() -> None:
    channel = {"ChannelName": "ok", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/x"}}}
    text = message({"InputDataConfig": [channel, {**channel, "ChannelName": "not ok"}]})
    assert "Value 'not ok' at 'inputDataConfig.2.member.channelName' failed to satisfy constraint" in text
    text = message({"InputDataConfig": [{"ChannelName": "ok"}]})
    assert "Value null at 'inputDataConfig.1.member.dataSource' failed" in text


def test_lists_and_maps_of_scalars_are_reported_whole() -> None:
    text = message({"HyperParameters": {"a": "x" * 3000}})
    assert "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: [Member must" in text
    text = message({"HyperParameters": {"k" * 300: "1"}})
    assert "Map keys must satisfy constraint: [Member must have length less than or equal to 256" in text
    text = message({"VpcConfig": {"SecurityGroupIds": ["sg 1"], "Subnets": ["subnet-1"]}})
    assert text.startswith("1 validation error detected: Value '[sg 1]' at 'vpcConfig.securityGroupIds' failed to ")
    assert "Member must satisfy constraint: [Member must have length less than or equal to 32" in text


def test_sizes_of_collections() -> None:
    text = message({"Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]})
    assert "at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50" in text
    assert "{Key=k0, Value=}, " in text


def test_secrets_are_not_repeated() -> None:
    secret = load("iam").operations["CreateLoginProfile"]
    with pytest.raises(ValidationError) as caught:
        validate(secret, {"UserName": "u", "Password": "\x00geheim"})
    assert "geheim" not in caught.value.message
    assert "Value at 'password' failed to satisfy constraint" in caught.value.message


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("iam", "CreateRole", "ValidationError"),
        ("logs", "CreateLogGroup", "InvalidParameterException"),
        ("ecr", "CreateRepository", "InvalidParameterException"),
        ("kms", "DescribeKey", "ValidationException"),
        ("sagemaker-runtime", "InvokeEndpoint", "ValidationError"),
    ],
)
def test_services_have_their_own_code(service: str, operation: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validate(load(service).operations[operation], {})
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("PutBucketTagging", {}, "MissingRequestBodyError"),
        ("PutBucketTagging", {"Tagging": {}}, "MalformedXML"),
        ("PutBucketVersioning", {"VersioningConfiguration": {"Status": "On"}}, "MalformedXML"),
        ("PutObject", {"Key": "k", "ACL": "everybody"}, "InvalidArgument"),
        ("PutObject", {"Key": "k", "StorageClass": "CHEAP"}, "InvalidStorageClass"),
        ("CopyObject", {"Key": "k"}, "InvalidRequest"),
    ],
)
def test_s3_has_other_codes(operation: str, params: dict[str, Any], code: str) -> None:
    with pytest.raises(ApiError) as caught:
        validate(load("s3").operations[operation], {"Bucket": "b", **params})
    assert (caught.value.code, caught.value.status) == (code, 400)


def test_any_params_of_any_operation_get_a_verdict() -> None:
    for operation in operations():
        params = Maker(f"{operation.name}validate").members(operation.input)
        try:
            validate(operation, params)
        except ApiError as error:
            assert error.status == 400
            assert error.message


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "MissingParameter"),
        ({"QueueName": "q", "Attributes": {"Nonsense": "1"}}, "InvalidAttributeName"),
    ],
)
def test_sqs_has_other_codes(params: dict[str, Any], code: str) -> None:
    with pytest.raises(ApiError) as caught:
        validate(load("sqs").operations["CreateQueue"], params)
    assert caught.value.code == code


def test_a_map_has_no_null_structures() -> None:
    operation = load("sqs").operations["SendMessage"]
    with pytest.raises(ApiError) as caught:
        validate(operation, {"QueueUrl": "u", "MessageBody": "b", "MessageAttributes": {"a": None}})
    assert caught.value.status == 400
