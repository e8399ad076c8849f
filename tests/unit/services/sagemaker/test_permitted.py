"""Logs and metrics are written as the execution role: what becomes of them if it may not."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import Server, Training
from tests.unit.services.sagemaker.hosting import GOOD, Hosting

from wildsage.core.errors import ApiError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
JOBS, ENDPOINTS = "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/Endpoints"
METRICS = {"MetricDefinitions": [{"Name": "loss", "Regex": r"loss=([0-9.]+)"}]}
SCRIPT = "print('loss=0.25')\n"


async def role(server: Server, name: str, *actions: str) -> str:
    """A role that may use S3 and do what is said beyond."""
    made = await server.call("iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    statement = {"Effect": "Allow", "Action": ["s3:*", *actions], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await server.call("iam", "PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=policy)
    arn: str = made["Role"]["Arn"]
    return arn


async def streams(server: Server, group: str) -> list[str]:
    try:
        found = await server.call("logs", "DescribeLogStreams", logGroupName=group)
    except ApiError as error:
        assert error.code == "ResourceNotFoundException"
        return []
    return [each["logStreamName"] for each in found["logStreams"]]


async def metrics(server: Server, namespace: str) -> set[str]:
    found = await server.call("cloudwatch", "ListMetrics", Namespace=namespace)
    return {each["MetricName"] for each in found["Metrics"]}


def specification(training: dict[str, Any]) -> dict[str, Any]:
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
    return {"TrainingImage": image, "TrainingInputMode": "File", **training}


async def test_a_job_whose_role_may_write_neither(
    server: Server, training: Training, caplog: pytest.LogCaptureFixture
) -> None:
    arn = await role(server, "Silent")
    with caplog.at_level(logging.WARNING):
        await training.create("silent", SCRIPT, RoleArn=arn, AlgorithmSpecification=specification(METRICS))
        found = await training.end("silent")
    assert found["TrainingJobStatus"] == "Completed"
    # SageMaker itself reads the output, whoever may write it down.
    assert [each["Value"] for each in found["FinalMetricDataList"]] == [0.25]
    assert await streams(server, JOBS) == []
    assert await metrics(server, JOBS) == set()
    assert f"role {arn} may not logs:PutLogEvents, logs:CreateLogStream, logs:CreateLogGroup" in caplog.text
    assert f"role {arn} may not cloudwatch:PutMetricData" in caplog.text


async def test_why_a_job_without_a_log_failed(server: Server, training: Training) -> None:
    arn = await role(server, "Mute")
    command = {"ContainerEntrypoint": ["sh", "-c", "echo the end is near; exit 3"]}
    await training.create("mute", "", RoleArn=arn, AlgorithmSpecification=specification(command))
    assert "the end is near" in (await training.end("mute"))["FailureReason"]
    assert await streams(server, JOBS) == []


async def test_a_group_that_is_there_needs_no_permission_to_be_made(server: Server, training: Training) -> None:
    arn = await role(server, "Writer", "logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData")
    await training.create("first", SCRIPT, RoleArn=arn)
    await training.end("first")
    assert await streams(server, JOBS) == []
    await server.call("logs", "CreateLogGroup", logGroupName=JOBS)
    await training.create("second", SCRIPT, RoleArn=arn, AlgorithmSpecification=specification(METRICS))
    await training.end("second")
    assert "loss=0.25" in await server.log(JOBS, "second/")
    assert {"CPUUtilization", "loss"} <= await metrics(server, JOBS)


async def test_an_endpoint_whose_role_may_write_neither(server: Server) -> None:
    hosting, arn = Hosting(server), await role(server, "Quiet")
    for name, script, phase in (("well", GOOD, "InService"), ("ill", "raise RuntimeError('gone')\n", "Failed")):
        await hosting.model(name, script)
        described = await hosting.call("DescribeModel", ModelName=name)
        await hosting.call("DeleteModel", ModelName=name)
        await hosting.call(
            "CreateModel", ModelName=name, ExecutionRoleArn=arn, PrimaryContainer=described["PrimaryContainer"]
        )
        await hosting.config(name)
        await hosting.endpoint(name)
        found = await hosting.until(name, phase)
        assert await streams(server, f"{ENDPOINTS}/{name}") == []
    assert "gone" in found["FailureReason"]
    assert await metrics(server, ENDPOINTS) == set()
