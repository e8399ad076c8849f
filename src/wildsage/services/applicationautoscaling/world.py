"""What scaling sees and does: every look and every act is a call as the service-linked role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.services.applicationautoscaling import alarms, role
from wildsage.services.applicationautoscaling.names import Variant
from wildsage.store.codec import Document
from wildsage.store.resources import Key

_BEYOND = 2
"""How many periods more are read than an alarm has, for values that come late."""


ENDPOINTS = {0: "an asynchronous endpoint", 1: "a real-time endpoint"}
"""Which may have so few instances (Developer Guide, "Auto scaling")."""


class Gone(Exception):
    """There is no such endpoint, or it has no such variant."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A variant: its endpoint's ``status``, instances wished and there; ``reason``: the endpoint's FailureReason.

    ``least``: the fewest instances that it may have.
    """

    status: str
    desired: int
    current: int
    reason: str = ""
    least: int = 1

    @property
    def in_service(self) -> bool:
        return self.status == "InService"


async def look(platform: Platform, account: str, region: str, variant: Variant) -> Seen:
    """Raises Gone."""
    caller = await role.caller(platform, account)
    asked = {"EndpointName": variant.endpoint}
    try:
        found = await platform.calls.call(caller, region, "sagemaker", "DescribeEndpoint", asked)
    except ApiError as error:
        if error.code != "ValidationException":
            raise
        raise Gone(error.message) from None
    pending = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", ())
    for each in (*found.get("ProductionVariants", ()), *pending):
        if each["VariantName"] == variant.name:
            if "DesiredInstanceCount" not in each:
                raise Gone(f'Variant "{variant.name}" of endpoint "{variant.endpoint}" is serverless: no instances.')
            counts = each["DesiredInstanceCount"], each["CurrentInstanceCount"]
            least = 0 if "AsyncInferenceConfig" in found else 1
            return Seen(found["EndpointStatus"], *counts, found.get("FailureReason", ""), least)
    if found["EndpointStatus"] == "Deleting":
        raise Gone(f'Endpoint "{variant.endpoint}" is being deleted.')
    raise Gone(f'Endpoint "{variant.endpoint}" has no variant "{variant.name}".')


async def resize(platform: Platform, key: Key, variant: Variant, count: int) -> None:
    """Asks for so many instances. Raises ApiError."""
    caller = await role.caller(platform, key.account)
    wish = {"VariantName": variant.name, "DesiredInstanceCount": count}
    asked = {"EndpointName": variant.endpoint, "DesiredWeightsAndCapacities": [wish]}
    await platform.calls.call(caller, key.region, "sagemaker", "UpdateEndpointWeightsAndCapacities", asked)


async def alarms_of(platform: Platform, key: Key, policy: Document) -> list[Document]:
    """The alarms of a policy, whatever their state: its own, or for step scaling all that have it as an action."""
    arn, own = policy["PolicyARN"], policy["AlarmNames"]
    caller = await role.caller(platform, key.account)
    found: list[Document] = []
    asked: Document = {"AlarmNames": own} if own else {"ActionPrefix": arn}
    asked |= {"AlarmTypes": ["MetricAlarm"], "MaxRecords": 100}
    while True:
        answer = await platform.calls.call(caller, key.region, "cloudwatch", "DescribeAlarms", asked)
        found += [each for each in answer["MetricAlarms"] if arn in each["AlarmActions"]]
        if "NextToken" not in answer:
            return found
        asked["NextToken"] = answer["NextToken"]


async def values(platform: Platform, key: Key, alarm: Document) -> Sequence[tuple[float, float]]:
    """The latest values of what an alarm watches: (beginning of the period, value), oldest first."""
    caller = await role.caller(platform, key.account)
    period, count = alarms.period_of(alarm), alarm["EvaluationPeriods"]
    end = platform.clock.now() // period * period
    asked = {
        "MetricDataQueries": alarms.queries(alarm),
        "StartTime": end - (count + _BEYOND) * period,
        "EndTime": end,
        "ScanBy": "TimestampAscending",
    }
    answer = await platform.calls.call(caller, key.region, "cloudwatch", "GetMetricData", asked)
    (found,) = answer["MetricDataResults"]
    return list(zip(map(float, found["Timestamps"]), found["Values"], strict=True))[-count:]
