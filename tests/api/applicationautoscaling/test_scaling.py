"""Application Auto Scaling through boto3 and the AWS CLI, on an endpoint that really has its instances."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server
from tests.e2e.jobs import deploy
from tests.waiting import wait_until

SCRIPT = """
def model_fn(folder): return 1
def input_fn(body, content_type): return body
def predict_fn(data, model): return data
def output_fn(prediction, accept): return "1"
"""
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@pytest.fixture(scope="module")
def endpoint(server: Server) -> Iterator[str]:
    name = f"scaled-{uuid.uuid4().hex[:8]}"
    deploy(server, name, SCRIPT)
    yield name
    server.client("sagemaker").delete_endpoint(EndpointName=name)


@pytest.fixture
def scaling(server: Server) -> Any:
    return server.client("application-autoscaling")


@pytest.fixture
def about(server: Server, endpoint: str, scaling: Any) -> Iterator[dict[str, str]]:
    """What names the variant, with one instance; registered from 1 to 3."""
    named = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/one",
        "ScalableDimension": DIMENSION,
    }
    scaling.register_scalable_target(**named, MinCapacity=1, MaxCapacity=1)
    wait_until(lambda: _settled_at(server, endpoint, 1) and _idle(scaling, named))
    scaling.register_scalable_target(**named, MaxCapacity=3)
    yield named
    scaling.deregister_scalable_target(**named)


def _activities(scaling: Any, about: dict[str, str], **more: Any) -> list[dict[str, Any]]:
    asked = {"ServiceNamespace": "sagemaker", "ResourceId": about["ResourceId"], **more}
    found: list[dict[str, Any]] = scaling.describe_scaling_activities(**asked)["ScalingActivities"]
    return found


def _ended(scaling: Any, about: dict[str, str], cause: str) -> dict[str, Any]:
    """The newest activity, once it is one of that cause and has ended well."""

    def newest() -> dict[str, Any] | None:
        found = _activities(scaling, about)
        return found[0] if found and (found[0]["Cause"], found[0]["StatusCode"]) == (cause, "Successful") else None

    ended: dict[str, Any] = wait_until(newest)
    return ended


def _idle(scaling: Any, about: dict[str, str]) -> bool:
    """Nothing is under way."""
    return all(each["StatusCode"] not in ("Pending", "InProgress") for each in _activities(scaling, about))


def _settled_at(server: Server, endpoint: str, count: int) -> bool:
    found = server.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    (variant,) = found["ProductionVariants"]
    counts = variant["DesiredInstanceCount"], variant["CurrentInstanceCount"]
    return bool(found["EndpointStatus"] == "InService" and counts == (count, count))


def _desired(server: Server, endpoint: str) -> int:
    (found,) = server.client("sagemaker").describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    desired: int = found["DesiredInstanceCount"]
    return desired


def test_bounds_act_at_once(server: Server, endpoint: str, scaling: Any, about: dict[str, str]) -> None:
    answer = scaling.register_scalable_target(**about, MinCapacity=2)
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[about["ResourceId"]])[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 3)
    assert target["ScalableTargetARN"] == answer["ScalableTargetARN"]
    assert target["RoleARN"].endswith(
        ":role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is False
    activity = _ended(scaling, about, "minimum capacity was set to 2")
    assert activity["Description"] == "Setting desired instance count to 2."
    assert activity["StatusMessage"] == (
        "Successfully set desired instance count to 2. Change successfully fulfilled by sagemaker."
    )
    assert activity["EndTime"] >= activity["StartTime"]
    assert _desired(server, endpoint) == 2
    scaling.register_scalable_target(**about, MinCapacity=1, MaxCapacity=1)
    _ended(scaling, about, "minimum capacity was set to 1 and maximum capacity was set to 1")
    assert _desired(server, endpoint) == 1


def test_a_target_tracking_policy_and_its_alarms(
    server: Server, endpoint: str, scaling: Any, about: dict[str, str]
) -> None:
    cloudwatch = server.client("cloudwatch")
    configuration = {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }

    def put(**more: Any) -> Any:
        return scaling.put_scaling_policy(
            **about,
            PolicyName="follow",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={**configuration, **more},
        )

    made = put()
    assert f":resource/sagemaker/{about['ResourceId']}:policyName/follow" in made["PolicyARN"]
    names = [each["AlarmName"] for each in made["Alarms"]]
    assert [name.rpartition("-Alarm")[0] for name in names] == [f"TargetTracking-{about['ResourceId']}"] * 2
    found = {each["AlarmName"]: each for each in cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]}
    high, low = (found[name] for name in names)
    assert "-AlarmHigh-" in high["AlarmName"]
    shown = ("Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator")
    metric = ("AWS/SageMaker", "InvocationsPerInstance", "Sum", 60)
    assert tuple(high[member] for member in shown) == (*metric, 3, 70.0, "GreaterThanThreshold")
    assert tuple(low[member] for member in shown) == (*metric, 15, 63.0, "LessThanThreshold")
    assert {each["Name"]: each["Value"] for each in high["Dimensions"]} == {
        "EndpointName": endpoint,
        "VariantName": "one",
    }
    assert high["AlarmActions"] == [made["PolicyARN"]]
    changed = put(TargetValue=10.0, DisableScaleIn=True)
    assert [each["AlarmName"] for each in changed["Alarms"]] == [high["AlarmName"]]
    (policy,) = scaling.describe_scaling_policies(**about)["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 10.0
    assert policy["Alarms"] == changed["Alarms"]
    left = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    wait_until(lambda: len(cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]) == 1)
    assert left[0]["Threshold"] == 10.0
    scaling.delete_scaling_policy(**about, PolicyName="follow")
    assert cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] == []
    with pytest.raises(scaling.exceptions.ObjectNotFoundException, match="No scaling policy found"):
        scaling.delete_scaling_policy(**about, PolicyName="follow")


def test_an_alarm_runs_a_step_policy(server: Server, endpoint: str, scaling: Any, about: dict[str, str]) -> None:
    cloudwatch = server.client("cloudwatch")
    policy = scaling.put_scaling_policy(
        **about,
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 300,
            "StepAdjustments": [
                {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
                {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 5},
            ],
        },
    )
    name = f"{endpoint}-backlog"
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        AlarmActions=[policy["PolicyARN"]],
        Namespace=endpoint,
        MetricName="Backlog",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=100,
        ComparisonOperator="GreaterThanThreshold",
    )
    (found,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", PolicyNames=["steps"])["ScalingPolicies"]
    assert [each["AlarmName"] for each in found["Alarms"]] == [name]
    before = len(_activities(scaling, about))

    # The periods that the alarm sees are over; values of a period that began before the last change do not count.
    def scaled() -> bool:
        datum = {"MetricName": "Backlog", "Timestamp": time.time() - 60, "Value": 150.0}
        cloudwatch.put_metric_data(Namespace=endpoint, MetricData=[datum])
        return len(_activities(scaling, about)) > before

    deadline = time.monotonic() + 240
    while not scaled():
        assert time.monotonic() < deadline
        time.sleep(1)
    _ended(scaling, about, f"monitor alarm {name} in state ALARM triggered policy steps")
    assert _desired(server, endpoint) == 3, "5 more would be 6, but 3 is the maximum"
    assert len(_activities(scaling, about)) == before + 1

    def told() -> bool:
        items = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")["AlarmHistoryItems"]
        return any(f"Successfully executed action {policy['PolicyARN']}" in item["HistorySummary"] for item in items)

    wait_until(told)
    cloudwatch.delete_alarms(AlarmNames=[name])


def test_a_scheduled_action(server: Server, endpoint: str, scaling: Any, about: dict[str, str]) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 5))
    action = {"ScheduledActionName": "soon", "Schedule": f"at({soon})"}
    scaling.put_scheduled_action(**about, **action, ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 2})
    (found,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker", ResourceId=about["ResourceId"])[
        "ScheduledActions"
    ]
    assert found["Schedule"] == action["Schedule"]
    assert found["ScheduledActionARN"].endswith(":scheduledActionName/soon")
    wait_until(
        lambda: any("scheduled action name soon was triggered" in each["Cause"] for each in _activities(scaling, about))
    )
    wait_until(lambda: _desired(server, endpoint) == 2)
    asked = {"ServiceNamespace": "sagemaker", "ResourceIds": [about["ResourceId"]]}
    (target,) = scaling.describe_scalable_targets(**asked)["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 2)
    scaling.delete_scheduled_action(**about, ScheduledActionName="soon")
    with pytest.raises(scaling.exceptions.ObjectNotFoundException, match="No scheduled action found"):
        scaling.delete_scheduled_action(**about, ScheduledActionName="soon")


def test_an_update_that_changes_the_instances_of_a_target_is_refused(
    server: Server, endpoint: str, about: dict[str, str]
) -> None:
    sagemaker = server.client("sagemaker")
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint)["ProductionVariants"]
    for suffix, change in (("larger", {"InstanceType": "ml.m5.xlarge"}), ("without", {"VariantName": "other"})):
        name = f"{endpoint}-{suffix}"
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{**variant, **change}])
        with pytest.raises(ClientError, match=r'variant\(s\) "one" must be deregistered as scalable') as refused:
            sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=name)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    wait_until(lambda: _settled_at(server, endpoint, 1))


def test_targets_go_with_their_endpoint(server: Server, endpoint: str, scaling: Any) -> None:
    sagemaker, name = server.client("sagemaker"), f"{endpoint}-short"
    resource = f"endpoint/{name}/variant/one"
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=endpoint)
    scaling.register_scalable_target(
        ServiceNamespace="sagemaker", ResourceId=resource, ScalableDimension=DIMENSION, MinCapacity=1, MaxCapacity=2
    )
    sagemaker.delete_endpoint(EndpointName=name)
    found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])
    assert found["ScalableTargets"] == []


def test_tags(scaling: Any, about: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="you tried to tag already exists"):
        scaling.register_scalable_target(**about, Tags={"team": "a"})
    scaling.deregister_scalable_target(**about)
    arn = scaling.register_scalable_target(**about, MinCapacity=1, MaxCapacity=1, Tags={"team": "a"})[
        "ScalableTargetARN"
    ]
    scaling.tag_resource(ResourceARN=arn, Tags={"stage": "b"})
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "a", "stage": "b"}
    scaling.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"stage": "b"}
    with pytest.raises(scaling.exceptions.ResourceNotFoundException):
        scaling.list_tags_for_resource(ResourceARN=arn[:-1] + ("0" if arn[-1] != "0" else "1"))


def test_the_command_line(server: Server, about: dict[str, str]) -> None:
    words = ("aws", "application-autoscaling", "describe-scalable-targets", "--service-namespace", "sagemaker")
    found = server.run(*words, "--resource-ids", about["ResourceId"])
    assert found.returncode == 0, found.stderr
    (target,) = json.loads(found.stdout)["ScalableTargets"]
    assert target["ResourceId"] == about["ResourceId"]


def test_what_is_refused(scaling: Any, about: dict[str, str]) -> None:
    def fails(pattern: str, **changes: Any) -> None:
        with pytest.raises(ClientError, match=pattern):
            scaling.register_scalable_target(**{**about, "MinCapacity": 1, "MaxCapacity": 2, **changes})

    fails("at least 1", MinCapacity=0)
    fails("less than minimum", MinCapacity=3)
    fails("Could not find endpoint", ResourceId="endpoint/nowhere/variant/one")
    fails("has no variant", ResourceId=about["ResourceId"].replace("/one", "/two"))
    fails(
        "SageMaker only", ServiceNamespace="ecs", ScalableDimension="ecs:service:DesiredCount", ResourceId="service/a/b"
    )
    fails("dimension", ScalableDimension="sagemaker:variant:DesiredProvisionedConcurrency")
    fails(
        "dimension",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        ResourceId="inference-component/a",
    )
    nowhere = {**about, "ResourceId": "endpoint/nowhere/variant/one"}
    with pytest.raises(scaling.exceptions.ObjectNotFoundException, match="No scalable target found"):
        scaling.deregister_scalable_target(**nowhere)
    with pytest.raises(scaling.exceptions.ObjectNotFoundException, match="No scalable target registered"):
        scaling.put_scheduled_action(
            **nowhere, ScheduledActionName="a", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 1}
        )
    metric = {"PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy"}
    with pytest.raises(ClientError, match="does not have the metric"):
        scaling.put_scaling_policy(
            **about,
            PolicyName="p",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": 1.0, "PredefinedMetricSpecification": metric},
        )
