"""The controller on a clock that only tests move, with the real CloudWatch; killed after everything it does, or not."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.services.conftest import REGION, Api
from tests.unit.services.sagemaker.fleets import World, serving, variant

from wildsage.core.clock import ManualClock
from wildsage.core.errors import ApiError
from wildsage.core.paging import encode
from wildsage.kit import metrics
from wildsage.kit.context import Platform
from wildsage.kit.operation import Service
from wildsage.services.applicationautoscaling.controller import ScalingController
from wildsage.services.applicationautoscaling.service import APPLICATION_AUTO_SCALING
from wildsage.services.applicationautoscaling.target import TARGET
from wildsage.services.applicationautoscaling.wake import Wake
from wildsage.services.cloudwatch.alarms.watch import Watch
from wildsage.services.cloudwatch.service import CLOUDWATCH
from wildsage.services.sagemaker.endpoints import fleet, summaries
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.service import SAGEMAKER
from wildsage.store.metrics import Datum, Metric
from wildsage.store.resources import Key, Resource
from wildsage.store.summaries import of_values

ABOUT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/followed/variant/one",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING: dict[str, Any] = {
    "PolicyName": "follow",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 100.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleOutCooldown": 60,
        "ScaleInCooldown": 60,
    },
}


@pytest.fixture
def services() -> Mapping[str, Service]:
    return {"cloudwatch": CLOUDWATCH, "sagemaker": SAGEMAKER, "application-autoscaling": APPLICATION_AUTO_SCALING}


@pytest.fixture
def clock(platform: Platform) -> ManualClock:
    """A full minute, plus three seconds."""
    manual = ManualClock(1_700_000_043.0)
    platform.clock = manual
    return manual


class Scene:
    """An endpoint of one variant without containers, and a scalable target. ``dies``: after each step, once."""

    def __init__(self, platform: Platform, clock: ManualClock, dies: bool) -> None:
        self.platform = platform
        self.clock = clock
        self.dies = dies
        self.watch = Watch(platform)
        self.controller = ScalingController(platform)
        account = platform.credentials.account
        self.endpoint = ENDPOINT.key(account, REGION, "followed")
        self.target = Key(TARGET, account, REGION, ABOUT["ResourceId"])

    async def found(self, key: Key) -> Resource:
        resource = await self.platform.resources.get(key)
        assert resource is not None
        return resource

    async def make_endpoint(self) -> None:
        state = serving(1, variant("one"))
        await self.platform.resources.create(
            Resource(
                self.endpoint,
                {"EndpointName": "followed"},
                phase="InService",
                status=summaries.described(state),
                state=fleet.dump(state),
            )
        )

    async def capacity(self) -> int:
        (shown,) = (await self.found(self.endpoint)).status["ProductionVariants"]
        desired: int = shown["DesiredInstanceCount"]
        return desired

    async def settle_endpoint(self) -> None:
        """What was asked of the endpoint has happened."""
        resource = await self.found(self.endpoint)
        world = World(fleet.load(resource.state))
        world.play()

        def change(endpoint: Resource) -> None:
            endpoint.phase, endpoint.state = "InService", fleet.dump(world.state)
            endpoint.status = summaries.described(world.state)

        if resource.phase == "Updating":
            await self.platform.resources.edit(self.endpoint, change)

    async def run(self, steps: int = 100) -> None:
        """Until the controller has nothing to do before some later time."""
        for _ in range(steps):
            now = self.clock.now()
            claimed = await self.platform.resources.claim([TARGET], now + 3600, now + 60, 1)
            if not claimed:
                return
            (target,) = claimed
            if self.dies:
                await self.controller.step(copy.deepcopy(target))
            step = await self.controller.step(copy.deepcopy(target))
            if step.gone:
                await self.platform.resources.apply_removal(target, now, step.beside)
                return
            assert step.after is not None
            new = replace(target, status=step.status, state=step.state, due=now + step.after)
            assert await self.platform.resources.apply(target, new, now, beside=step.beside)
            if step.after > 0 and "activity" not in step.state:
                return
            await self.settle_endpoint()

    async def minute(self, load: float | None) -> int:
        """One more minute with so much load; the capacity at its end."""
        if load is not None:
            await self.publish("InvocationsPerInstance", {1.0: load / await self.capacity()})
        return await self.after(60)

    async def publish(self, name: str, values: Mapping[float, float], high: bool = False) -> None:
        dimensions = (("EndpointName", "followed"), ("VariantName", "one"))
        metric = Metric(self.endpoint.account, REGION, "AWS/SageMaker", name, dimensions)
        await metrics.publish(self.platform, [Datum(metric, self.clock.now(), of_values(values), high=high)])

    async def after(self, seconds: float) -> int:
        """The capacity so much later."""
        await self.clock.advance(seconds)
        await self.watch.round()
        await self.run()
        return await self.capacity()

    async def activities(self, api: Api, **more: Any) -> list[dict[str, Any]]:
        """The oldest first."""
        asked = await getattr(api, "application-autoscaling")(
            "DescribeScalingActivities", ServiceNamespace="sagemaker", **more
        )
        return list(reversed(asked["ScalingActivities"]))


@pytest.fixture(params=[False, True], ids=["alive", "dying"])
async def scene(platform: Platform, clock: ManualClock, request: pytest.FixtureRequest) -> Scene:
    made = Scene(platform, clock, request.param)
    await made.make_endpoint()
    return made


async def test_out_and_in(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    await scaling("PutScalingPolicy", **ABOUT, **TRACKING)
    before = (await scene.found(scene.endpoint)).generation
    capacities = [await scene.minute(load) for load in [50.0] * 3 + [380.0] * 6 + [100.0] * 20]
    assert capacities == [1] * 5 + [4] * 18 + [1] * 6
    # One change, and one to tell that it was done, each way.
    assert (await scene.found(scene.endpoint)).generation == before + 4
    out, into = await scene.activities(api)
    assert (out["Description"], out["StatusCode"]) == ("Setting desired instance count to 4.", "Successful")
    assert "-AlarmHigh-" in out["Cause"]
    assert out["Cause"].endswith(" in state ALARM triggered policy follow")
    assert (into["Description"], into["StatusCode"]) == ("Setting desired instance count to 1.", "Successful")
    assert "-AlarmLow-" in into["Cause"]


async def test_requests_under_way_scale_within_half_a_minute(scene: Scene, api: Api) -> None:
    """AWS's example of the metric of high resolution: five at each instance."""
    scaling = getattr(api, "application-autoscaling")
    metric = {"PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"}
    configuration = {"TargetValue": 5.0, "PredefinedMetricSpecification": metric}
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    policy = {**TRACKING, "TargetTrackingScalingPolicyConfiguration": configuration}
    await scaling("PutScalingPolicy", **ABOUT, **policy)
    shown = ("MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold")
    made = (await api.cloudwatch("DescribeAlarms"))["MetricAlarms"]
    high, low = sorted(tuple(each[member] for member in shown) for each in made)
    assert high == ("ConcurrentRequestsPerModel", "Average", 10, 3, 5.0)
    assert low == ("ConcurrentRequestsPerModel", "Average", 10, 90, 4.5)
    capacities = []
    for load in [3.0] * 3 + [12.0] * 5:
        capacity = await scene.capacity()
        await scene.publish("ConcurrentRequestsPerModel", {load / capacity: capacity}, high=True)
        capacities.append(await scene.after(10))
    assert capacities == [1] * 5 + [3] * 3


async def test_an_alarm_that_changes_nothing_is_told_once(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=1)
    await scaling("PutScalingPolicy", **ABOUT, **TRACKING)
    for _ in range(8):
        assert await scene.minute(500.0) == 1
    assert await scene.activities(api) == []
    (told,) = await scene.activities(api, IncludeNotScaledActivities=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 1, "CurrentCapacity": 1}]
    await scaling("RegisterScalableTarget", **ABOUT, MaxCapacity=3)
    assert await scene.minute(500.0) == 3


async def test_metric_math_scales_in_an_endpoint_that_nobody_invokes(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    dimensions = [{"Name": "EndpointName", "Value": "followed"}, {"Name": "VariantName", "Value": "one"}]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "InvocationsPerInstance", "Dimensions": dimensions}
    queries = [
        {"Id": "m1", "MetricStat": {"Metric": metric, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "e1", "Expression": "FILL(m1, 0)", "ReturnData": True},
    ]
    rule = TRACKING["TargetTrackingScalingPolicyConfiguration"]
    rule = {name: value for name, value in rule.items() if name != "PredefinedMetricSpecification"}
    policy = {**TRACKING, "TargetTrackingScalingPolicyConfiguration": rule}
    rule["CustomizedMetricSpecification"] = {"Metrics": queries}
    await scaling("PutScalingPolicy", **ABOUT, **policy)
    (described,) = (await scaling("DescribeScalingPolicies", ServiceNamespace="sagemaker"))["ScalingPolicies"]
    assert described["TargetTrackingScalingPolicyConfiguration"] == rule
    capacities = [await scene.minute(load) for load in [380.0] * 4 + [None] * 20]
    assert capacities[3] == 4
    assert capacities[-1] == 1


async def test_suspended(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    suspended = {"DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True}
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5, SuspendedState=suspended)
    await scaling("PutScalingPolicy", **ABOUT, **TRACKING)
    bounds = {"MinCapacity": 3}
    await scaling(
        "PutScheduledAction", **ABOUT, ScheduledActionName="a", Schedule="rate(1 minute)", ScalableTargetAction=bounds
    )
    for _ in range(6):
        assert await scene.minute(500.0) == 1
    await scaling("RegisterScalableTarget", **ABOUT, SuspendedState={"ScheduledScalingSuspended": True})
    assert await scene.minute(500.0) == 5


async def test_an_alarm_whose_actions_are_disabled_scales_nothing(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    policy = await scaling("PutScalingPolicy", **ABOUT, **TRACKING)
    steps = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"ScalingAdjustment": 1}]}
    step = await scaling("PutScalingPolicy", **ABOUT, PolicyName="step", StepScalingPolicyConfiguration=steps)
    high = next(each["AlarmName"] for each in policy["Alarms"] if "-AlarmHigh-" in each["AlarmName"])
    (found,) = (await api.cloudwatch("DescribeAlarms", AlarmNames=[high]))["MetricAlarms"]
    members = ("Namespace", "MetricName", "Dimensions", "Period", "Threshold", "ComparisonOperator", "Statistic")
    watched = {member: found[member] for member in members}
    own = {"AlarmName": "own", "EvaluationPeriods": 1, "AlarmActions": [step["PolicyARN"]]}
    await api.cloudwatch("PutMetricAlarm", **watched, **own)
    await api.cloudwatch("DisableAlarmActions", AlarmNames=[high, "own"])
    for _ in range(6):
        assert await scene.minute(500.0) == 1
    (found,) = (await api.cloudwatch("DescribeAlarms", AlarmNames=["own"]))["MetricAlarms"]
    assert found["StateValue"] == "ALARM"
    await api.cloudwatch("EnableAlarmActions", AlarmNames=["own"])
    assert await scene.minute(500.0) == 2
    await api.cloudwatch("EnableAlarmActions", AlarmNames=[high])
    assert [await scene.minute(500.0) for _ in range(3)][-1] == 5


async def test_schedules_and_bounds(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    await scaling(
        "PutScheduledAction",
        **ABOUT,
        ScheduledActionName="grow",
        Schedule="rate(2 minutes)",
        EndTime=scene.clock.now() + 150,
        ScalableTargetAction={"MinCapacity": 3},
    )
    assert [await scene.minute(None) for _ in range(3)] == [1, 3, 3]
    run, change = await scene.activities(api)
    assert (run["Cause"], change["Cause"]) == (
        "scheduled action name grow was triggered",
        "minimum capacity was set to 3",
    )
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=2)
    assert [await scene.minute(None) for _ in range(3)] == [2, 2, 2]


async def test_the_alarms_go_with_their_policy(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")

    async def alarms() -> list[str]:
        return [each["AlarmName"] for each in (await api.cloudwatch("DescribeAlarms"))["MetricAlarms"]]

    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    policy = await scaling("PutScalingPolicy", **ABOUT, **TRACKING)
    made = await alarms()
    assert made == sorted(each["AlarmName"] for each in policy["Alarms"])
    await api.cloudwatch("DeleteAlarms", AlarmNames=made[:1])
    await scene.minute(None)
    assert await alarms() == made, "what somebody deleted is made again"
    await scaling("DeregisterScalableTarget", **ABOUT)
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    await scene.run()
    assert await alarms() == []
    await scaling("PutScalingPolicy", **ABOUT, **TRACKING)
    await scene.platform.resources.remove(scene.endpoint)
    await scene.run()
    assert await alarms() == []
    assert (await scaling("DescribeScalableTargets", ServiceNamespace="sagemaker"))["ScalableTargets"] == []


async def test_pages_of_activities_of_which_one_is_under_way(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    for count in (2, 3):
        await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=count, MaxCapacity=5)
        await scene.minute(None)
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=4, MaxCapacity=5)
    await scene.run(steps=1)
    seen: list[tuple[str, str]] = []
    page: dict[str, str] = {}
    for _ in range(3):
        answer = await scaling("DescribeScalingActivities", ServiceNamespace="sagemaker", MaxResults=1, **page)
        seen += [(each["Description"][-2:], each["StatusCode"]) for each in answer["ScalingActivities"]]
        page = {"NextToken": answer.get("NextToken", "")}
    assert seen == [("4.", "Pending"), ("3.", "Successful"), ("2.", "Successful")]
    assert page == {"NextToken": ""}
    with pytest.raises(ApiError, match="NextToken"):
        await scaling("DescribeScalingActivities", ServiceNamespace="sagemaker", NextToken=encode(["of another", 1]))


async def test_an_alarm_wakes_the_target(scene: Scene, api: Api) -> None:
    scaling = getattr(api, "application-autoscaling")
    await scaling("RegisterScalableTarget", **ABOUT, MinCapacity=1, MaxCapacity=5)
    policy = await scaling("PutScalingPolicy", **ABOUT, **TRACKING)
    await scene.run()
    assert ((await scene.found(scene.target)).due or 0) > scene.clock.now() + 60
    await Wake(scene.platform).wake(policy["PolicyARN"])
    assert (await scene.found(scene.target)).due == scene.clock.now()
    await Wake(scene.platform).wake(policy["PolicyARN"].replace("followed", "nowhere"))
