"""JSON and patterns that come as text within a request: nested without end, or longer than AWS takes them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.conftest import Server
from tests.waiting import wait_until

DEEP = "[" * 2400


def policy(characters: int, **member: Any) -> str:
    """A policy of so many characters, not counting white space."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", **member}
    text = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Sid": ""}]})
    return text.replace('"Sid": ""', f'"Sid": "{"a" * (characters - len("".join(text.split())))}"')


def code_of(call: Callable[..., Any], **parameters: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def _ended(sagemaker: Any, job: str) -> dict[str, Any] | None:
    found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=job)
    return None if found["TrainingJobStatus"] == "InProgress" else found


@pytest.fixture
def role(server: Server) -> Iterator[str]:
    iam = server.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="quotas", AssumeRolePolicyDocument=document)
    yield "quotas"
    for name in iam.list_role_policies(RoleName="quotas")["PolicyNames"]:
        iam.delete_role_policy(RoleName="quotas", PolicyName=name)
    iam.delete_role(RoleName="quotas")


def test_policies_that_are_too_long(server: Server, role: str) -> None:
    """One of 120,000 characters, most of them stars, held control for three seconds."""
    iam, anything = server.client("iam"), {"Resource": "*"}
    stars = policy(200, **anything).replace("s3:GetObject", "s3:" + "*a" * 60_000)
    too_long = ("LimitExceeded", 409, "Cannot exceed quota for PolicySize: 6144")
    assert code_of(iam.create_policy, PolicyName="long", PolicyDocument=stars) == too_long
    assert code_of(iam.create_policy, PolicyName="long", PolicyDocument=policy(6145, **anything)) == too_long
    arn = iam.create_policy(PolicyName="long", PolicyDocument=policy(6144, **anything) + "\n" * 5000)["Policy"]["Arn"]
    assert code_of(iam.create_policy_version, PolicyArn=arn, PolicyDocument=policy(6145, **anything)) == too_long
    iam.delete_policy(PolicyArn=arn)
    iam.put_role_policy(RoleName=role, PolicyName="one", PolicyDocument=policy(5000, **anything))
    iam.put_role_policy(RoleName=role, PolicyName="two", PolicyDocument=policy(5240, **anything))
    iam.put_role_policy(RoleName=role, PolicyName="one", PolicyDocument=policy(5000, **anything))
    more = {"RoleName": role, "PolicyName": "three", "PolicyDocument": policy(200, **anything)}
    said = ("LimitExceeded", 409, "Maximum policy size of 10240 bytes exceeded for role quotas")
    assert code_of(iam.put_role_policy, **more) == said
    trust = policy(2049, Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")
    found = code_of(iam.update_assume_role_policy, RoleName=role, PolicyDocument=trust)
    assert found == ("LimitExceeded", 409, "Cannot exceed quota for ACLSizePerRole: 2048")


def test_resource_policies_that_are_too_long(server: Server) -> None:
    s3, sqs, sns = server.client("s3"), server.client("sqs"), server.client("sns")
    s3.create_bucket(Bucket="long-policy")
    bucket = {"Principal": {"AWS": "000000000000"}, "Resource": "arn:aws:s3:::long-policy/*"}
    found = code_of(s3.put_bucket_policy, Bucket="long-policy", Policy=policy(20_481, **bucket))
    assert found == ("PolicyTooLarge", 400, "Policy exceeds the maximum allowed document size.")
    s3.put_bucket_policy(Bucket="long-policy", Policy=policy(20_480, **bucket))
    s3.delete_bucket(Bucket="long-policy")
    queue = sqs.create_queue(QueueName="long-policy")["QueueUrl"]
    found = code_of(sqs.set_queue_attributes, QueueUrl=queue, Attributes={"Policy": policy(9000, **bucket)})
    assert found == ("OverLimit", 403, "Submitted policy is over max allowed size.")
    sqs.delete_queue(QueueUrl=queue)
    topic = sns.create_topic(Name="long-policy")["TopicArn"]
    given = {"AttributeName": "Policy", "AttributeValue": policy(31_000, **bucket)}
    assert code_of(sns.set_topic_attributes, TopicArn=topic, **given)[0] == "InvalidParameter"
    sns.delete_topic(TopicArn=topic)


def test_texts_that_are_nested_without_end(server: Server) -> None:
    """Both were errors of the server's own."""
    cloudwatch = server.client("cloudwatch")
    found = code_of(cloudwatch.put_dashboard, DashboardName="deep", DashboardBody=DEEP)
    assert found == ("InvalidParameterInput", 400, "The field DashboardBody must be a valid JSON object")
    sagemaker = server.client("sagemaker", config=Config(parameter_validation=False))
    job: dict[str, Any] = {
        "TrainingJobName": "deep",
        "AlgorithmSpecification": {"TrainingImage": "no/such:1", "TrainingInputMode": "File"},
        "RoleArn": server.role,
        "OutputDataConfig": {"S3OutputPath": "s3://none/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"sagemaker_submit_directory": DEEP, "sagemaker_program": DEEP},
    }
    sagemaker.create_training_job(**job)
    ended = wait_until(lambda: _ended(sagemaker, "deep"))
    assert ended["FailureReason"].startswith("ClientError"), ended


def test_an_expression_over_long_events(server: Server) -> None:
    """It is searched beside the loop, and pages end where they have cost enough."""
    logs = server.client("logs")
    logs.create_log_group(logGroupName="long-events")
    logs.create_log_stream(logGroupName="long-events", logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": "a" * 200_000 + ("b" if each == 3 else "")} for each in range(4)]
    logs.put_log_events(logGroupName="long-events", logStreamName="s", logEvents=events)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="long-events", filterPattern="%" + "a*" * 50 + "b%"
    )
    assert [event["message"][-1] for page in pages for event in page["events"]] == ["b"]
    logs.put_log_events(logGroupName="long-events", logStreamName="s", logEvents=events)
    paginator = logs.get_paginator("filter_log_events")
    sizes = [len(page["events"]) for page in paginator.paginate(logGroupName="long-events")]
    assert sizes == [4, 4], "an answer has no more than a megabyte"
    few = paginator.paginate(logGroupName="long-events", PaginationConfig={"PageSize": 3})
    sizes = [len(page["events"]) for page in few]
    assert sizes == [3, 3, 2]
    assert len(logs.get_log_events(logGroupName="long-events", logStreamName="s", startFromHead=True)["events"]) == 4
    logs.delete_log_group(logGroupName="long-events")
