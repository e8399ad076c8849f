"""An endpoint that follows its load from one instance to several and back, while its control process is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import deploy
from tests.e2e.killing import end_control
from tests.e2e.load import Load

SCRIPT = """
def model_fn(folder): return 1
def input_fn(body, content_type): return body
def predict_fn(data, model): return data
def output_fn(prediction, accept): return "1"
"""
ABOUT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/followed/variant/one",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
SOON = {"WILDSAGE_SCALING_ALARMS": "period=10,high=1,low=2"}
_PATIENCE = 180.0


@pytest.fixture(scope="module")
def host(short_directory: Path) -> Iterator[Server]:
    """A server that sees a load soon, and an endpoint of one instance."""
    found = start_server(short_directory / "scaling", variables=SOON)
    try:
        deploy(found, "followed", SCRIPT)
        yield found
    finally:
        found.stop()


def _until(look: Callable[[], Any]) -> Any:
    """What ``look`` finds at last; control may be away meanwhile."""
    deadline = time.monotonic() + _PATIENCE
    problem: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except (ClientError, BotoCoreError) as error:
            problem = error
        time.sleep(0.2)
    raise AssertionError(f"waited in vain; last: {problem}")


def _settled_at(server: Server, count: int) -> bool:
    found = server.client("sagemaker").describe_endpoint(EndpointName="followed")
    (variant,) = found["ProductionVariants"]
    counts = variant["DesiredInstanceCount"], variant["CurrentInstanceCount"]
    return bool(found["EndpointStatus"] == "InService" and counts == (count, count))


def _activities(server: Server) -> list[dict[str, Any]]:
    """The oldest first."""
    scaling = server.client("application-autoscaling")
    found: list[dict[str, Any]] = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    return found[::-1]


def test_an_endpoint_follows_its_load(host: Server) -> None:
    scaling = host.client("application-autoscaling")
    scaling.register_scalable_target(**ABOUT, MinCapacity=1, MaxCapacity=3)
    # 40 a second are 2,400 in a minute: the 3 instances that there may be, whatever the machine can do of them.
    policy = scaling.put_scaling_policy(
        **ABOUT,
        PolicyName="follow",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 300.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleOutCooldown": 0,
            "ScaleInCooldown": 0,
        },
    )
    high, _ = host.client("cloudwatch").describe_alarms(AlarmNames=[each["AlarmName"] for each in policy["Alarms"]])[
        "MetricAlarms"
    ]
    assert (high["Period"], high["Threshold"]) == (10, 50.0), "the part of a minute's target"
    with Load(host, "followed", connections=4, rate=40) as load:
        _until(lambda: _activities(host))
        # Whatever the activity's state is now: it goes on with what was decided.
        end_control(host)
        _until(lambda: _settled_at(host, 3))
        load.more()
    assert load.failures == []
    with Load(host, "followed", connections=1, rate=1) as load:
        _until(lambda: _settled_at(host, 1))
        load.more(3)
    assert load.failures == []
    _until(lambda: all(each["StatusCode"] == "Successful" for each in _activities(host)))
    counts = [each["Description"] for each in _activities(host)]
    assert counts[0].startswith("Setting desired instance count to ")
    assert counts[-1] == "Setting desired instance count to 1."
    out = [each for each in _activities(host) if "AlarmHigh" in each["Cause"]]
    into = [each for each in _activities(host) if "AlarmLow" in each["Cause"]]
    assert len(out) + len(into) == len(counts)
    assert 1 <= len(out) <= 2
    assert 1 <= len(into) <= 2
    assert len({each["ActivityId"] for each in out + into}) == len(counts)


def test_a_deleted_endpoint_is_no_target_any_more(host: Server) -> None:
    scaling, cloudwatch = host.client("application-autoscaling"), host.client("cloudwatch")
    assert cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"]
    # What is asked of a target makes it look at its endpoint; otherwise it does so every few minutes.
    scaling.put_scheduled_action(
        **ABOUT, ScheduledActionName="daily", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 1}
    )
    host.client("sagemaker").delete_endpoint(EndpointName="followed")
    _until(lambda: not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"])
    assert cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"] == []
    assert _activities(host), "the history stays"
