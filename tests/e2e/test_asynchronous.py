"""Asynchronous endpoints whose parts are killed: what was accepted is answered, and once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import IMAGE, archive, await_endpoint, kill_instance, upload
from tests.e2e.killing import gone
from tests.e2e.test_events_survive import kill_control
from tests.waiting import wait_until

SCRIPT = """
import time
def model_fn(folder): return 1
def input_fn(body, content_type): return body if isinstance(body, str) else bytes(body).decode()
def predict_fn(data, model):
    time.sleep(float(data.split()[0]))
    return data
def output_fn(prediction, accept): return prediction
"""
ANSWERS = "answers"
SOON = {"WILDSAGE_SCALING_ALARMS": "period=10,high=1,low=2"}
PATIENCE = 120.0


@pytest.fixture(scope="module")
def host(short_directory: Path) -> Iterator[Server]:
    """A server that scales soon. The bucket of answers keeps versions, so it shows what was written twice."""
    found = start_server(short_directory / "queued", variables=SOON)
    try:
        code = upload(found, "queued/code.tar.gz", archive("serve.py", SCRIPT))
        data = upload(found, "queued/model.tar.gz", archive("nothing", ""))
        s3, sagemaker = found.client("s3"), found.client("sagemaker")
        s3.create_bucket(Bucket=ANSWERS)
        s3.put_bucket_versioning(Bucket=ANSWERS, VersioningConfiguration={"Status": "Enabled"})
        settings = {
            "SAGEMAKER_PROGRAM": "serve.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": code,
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        }
        sagemaker.create_model(
            ModelName="queued",
            ExecutionRoleArn=found.role,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data, "Environment": settings},
        )
        for name, count in (("one", 1), ("two", 2)):
            configure(found, name, count)
        yield found
    finally:
        found.stop()


def configure(server: Server, name: str, count: int, model: str = "queued") -> None:
    variant = {"VariantName": "all", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": count}
    output = {"S3OutputPath": f"s3://{ANSWERS}/{name}", "S3FailurePath": f"s3://{ANSWERS}/{name}-failed"}
    server.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[variant],
        AsyncInferenceConfig={
            "OutputConfig": output,
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
        },
    )


@pytest.fixture
def endpoint(host: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """Of the configuration that the test is marked with."""
    name = request.node.name.removeprefix("test_").partition("[")[0].replace("_", "-")[:60]
    host.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=getattr(request, "param", "one"))
    await_endpoint(host, name)
    yield name
    host.client("sagemaker").delete_endpoint(EndpointName=name)
    wait_until(lambda: not host.client("sagemaker").list_endpoints(NameContains=name)["Endpoints"], 60)


def until(look: Callable[[], Any]) -> Any:
    """What ``look`` finds at last; control may be away meanwhile."""
    deadline = time.monotonic() + PATIENCE
    problem: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except (ClientError, BotoCoreError) as error:
            problem = error
        time.sleep(0.1)
    raise AssertionError(f"waited in vain; last: {problem}")


def ask(server: Server, endpoint: str, count: int, seconds: float) -> dict[str, str]:
    """Invokes ``count`` times with input that comes along; where each answer will be → the answer."""
    runtime = server.client("sagemaker-runtime")

    def one(number: int) -> tuple[str, str]:
        body = f"{seconds} {number}"
        while True:
            try:
                told = runtime.invoke_endpoint_async(EndpointName=endpoint, Body=body.encode(), ContentType="text/csv")
            except (ClientError, BotoCoreError):
                time.sleep(0.1)  # control is away: nobody promised anything
            else:
                return told["OutputLocation"], body

    with ThreadPoolExecutor(4) as threads:
        return dict(threads.map(one, range(count)))


def versions(server: Server, prefix: str) -> list[str]:
    """The URI of each version of each object under the prefix."""
    pages = server.client("s3").get_paginator("list_object_versions").paginate(Bucket=ANSWERS, Prefix=prefix)
    return [f"s3://{ANSWERS}/{each['Key']}" for page in pages for each in page.get("Versions", ())]


def answered(server: Server, asked: dict[str, str], prefix: str = "one/") -> None:
    """Waits for all answers; each is there once."""
    until(lambda: asked.keys() <= set(versions(server, prefix)))
    found = [each for each in versions(server, prefix) if each in asked]
    assert len(found) == len(asked), "nothing is answered twice"
    s3 = server.client("s3")
    for uri in list(asked)[:10]:
        key = uri.removeprefix(f"s3://{ANSWERS}/")
        assert s3.get_object(Bucket=ANSWERS, Key=key)["Body"].read().decode() == asked[uri]


def _so_many(server: Server, count: int) -> bool:
    return len(versions(server, "one/")) >= count


def test_control_is_killed_with_a_backlog(host: Server, endpoint: str) -> None:
    asked = ask(host, endpoint, 200, 0.01)
    for part in (20, 100):
        until(partial(_so_many, host, part))
        kill_control(host)
    answered(host, asked)
    assert not versions(host, "one-failed/")


@pytest.mark.parametrize("endpoint", ["two"], indirect=True)
def test_instances_are_killed(host: Server, endpoint: str) -> None:
    asked = ask(host, endpoint, 30, 0.1)
    until(lambda: len(versions(host, "two/")) >= 3)
    (one, *_) = sorted((host.data / "instances").glob("host-*"))
    kill_instance(one)
    answered(host, asked, "two/")


def test_an_update_keeps_the_queue(host: Server, endpoint: str) -> None:
    asked = ask(host, endpoint, 30, 0.1)
    host.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName="two")
    more = ask(host, endpoint, 5, 0.1)
    answered(host, asked)
    until(lambda: host.client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService")
    prefix = next(iter(more)).removeprefix(f"s3://{ANSWERS}/").partition("/")[0]
    answered(host, more, f"{prefix}/")


def test_scaling_in_waits_for_what_is_under_way(host: Server, endpoint: str) -> None:
    sagemaker = host.client("sagemaker")

    def resize(count: int) -> None:
        wish = {"VariantName": "all", "DesiredInstanceCount": count}
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=[wish])
        await_endpoint(host, endpoint)

    asked = ask(host, endpoint, 12, 1.0)
    resize(0)
    (variant,) = sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (0, 0)
    until(lambda: asked.keys() & set(versions(host, "one/")))  # what was under way goes on
    assert asked.keys() - set(versions(host, "one/")), "what waits goes on waiting"
    resize(1)
    answered(host, asked)


def test_a_queue_goes_with_its_endpoint(host: Server, endpoint: str) -> None:
    sagemaker = host.client("sagemaker")
    asked = ask(host, endpoint, 10, 2.0)
    sagemaker.delete_endpoint(EndpointName=endpoint)
    wait_until(lambda: not sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"], 60)
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName="one")
    await_endpoint(host, endpoint)
    answered(host, ask(host, endpoint, 1, 0))
    assert not set(list(asked)[5:]) & set(versions(host, "one/"))


def test_requests_expire(host: Server, endpoint: str) -> None:
    """Their time is an hour less than it was, as if control had been away for so long."""
    body, kind = b"1.5 slow", "text/csv"
    runtime = host.client("sagemaker-runtime")
    told = [
        runtime.invoke_endpoint_async(EndpointName=endpoint, Body=body, ContentType=kind, RequestTTLSeconds=60)
        for _ in range(8)
    ]
    control = host.status["processes"]["control"]
    with closing(sqlite3.connect(next(host.data.glob("*.db")), timeout=30)) as database, database:
        database.execute("UPDATE queued_requests SET expires = expires - 3600")
    os.kill(control, signal.SIGKILL)
    wait_until(lambda: gone(control))
    last = told[-1]["FailureLocation"].removeprefix(f"s3://{ANSWERS}/")
    s3 = host.client("s3")
    words = until(lambda: s3.get_object(Bucket=ANSWERS, Key=last)["Body"].read().decode())
    assert "RequestTTLSeconds" in words


def restricted(server: Server, name: str, denied: dict[str, Any]) -> str:
    """A role that may do everything but that; its ARN."""
    iam = server.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", **denied}]
    iam.put_role_policy(
        RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    return str(role)


def test_a_role_that_may_not_write_answers(host: Server) -> None:
    sagemaker = host.client("sagemaker")
    model = sagemaker.describe_model(ModelName="queued")
    denied = {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{ANSWERS}/denied/*"}
    role = restricted(host, "no-answers", denied)
    sagemaker.create_model(ModelName="denied", ExecutionRoleArn=role, PrimaryContainer=model["PrimaryContainer"])
    configure(host, "denied", 1, "denied")
    sagemaker.create_endpoint(EndpointName="denied", EndpointConfigName="denied")
    await_endpoint(host, "denied")
    told = host.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="denied", Body=b"0 x", ContentType="text/csv"
    )
    s3, key = host.client("s3"), told["FailureLocation"].removeprefix(f"s3://{ANSWERS}/")
    words = until(lambda: s3.get_object(Bucket=ANSWERS, Key=key)["Body"].read().decode())
    assert words.startswith("ClientError: Response upload failed:AccessDenied (403)")
    assert "no-answers/SageMaker is not authorized to perform: s3:PutObject" in words
    sagemaker.delete_endpoint(EndpointName="denied")


def test_from_zero_and_back(host: Server, endpoint: str) -> None:
    scaling, cloudwatch = host.client("application-autoscaling"), host.client("cloudwatch")
    about = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/all",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**about, MinCapacity=0, MaxCapacity=2)
    dimensions = [{"Name": "EndpointName", "Value": endpoint}]
    scaling.put_scaling_policy(
        **about,
        PolicyName="follow",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 5.0,
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": dimensions,
                "Statistic": "Average",
            },
            "ScaleInCooldown": 0,
            "ScaleOutCooldown": 0,
        },
    )

    def count() -> int:
        found = host.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        (variant,) = found["ProductionVariants"]
        return int(variant["CurrentInstanceCount"]) if found["EndpointStatus"] == "InService" else -1

    until(lambda: count() == 0)
    up = scaling.put_scaling_policy(
        **about,
        PolicyName="from zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 0,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    cloudwatch.put_metric_alarm(
        AlarmName="waiting",
        MetricName="HasBacklogWithoutCapacity",
        Namespace="AWS/SageMaker",
        Statistic="Average",
        Dimensions=dimensions,
        Period=10,
        EvaluationPeriods=1,
        DatapointsToAlarm=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[up["PolicyARN"]],
    )
    asked = ask(host, endpoint, 3, 0.1)
    assert not set(versions(host, "one/")) & asked.keys(), "nobody is there to answer"
    answered(host, asked)
