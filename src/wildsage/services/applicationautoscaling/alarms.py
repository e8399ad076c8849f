"""The alarms of target tracking policies.

Source: Application Auto Scaling User Guide, "Target tracking scaling policies": alarms are made, changed and deleted
with their policy; the high one is over the target for 3 of 3 minutes, the low one below 90 % of it for 15 of 15.
Metrics of high resolution scale out after three values, too, and in as slowly as others (Developer Guide, "Define a
scaling policy").
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.core.scaling import ScalingSettings
from wildsage.kit.context import Platform
from wildsage.services.applicationautoscaling import role
from wildsage.services.applicationautoscaling.names import Variant
from wildsage.services.applicationautoscaling.tracking import IN_SHARE
from wildsage.store.codec import Document
from wildsage.store.resources import Key

PREDEFINED = {
    "SageMakerVariantInvocationsPerInstance": ("AWS/SageMaker", "InvocationsPerInstance", "Sum"),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (
        "AWS/SageMaker",
        "ConcurrentRequestsPerModel",
        "Average",
    ),
}
"""PredefinedMetricType → namespace, metric, statistic (SageMaker Developer Guide, "Auto scaling policies")."""
_MINUTE, _SHORT = 60, 10
_COUNTING = ("Sum", "SampleCount")
HIGH, LOW = "AlarmHigh", "AlarmLow"


def new_names(resource_id: str, configuration: Document) -> list[str]:
    """The high alarm's, and the low one's if the policy scales in."""
    kinds = (HIGH,) if configuration.get("DisableScaleIn") else (HIGH, LOW)
    return [f"TargetTracking-{resource_id}-{kind}-{uuid.uuid4()}" for kind in kinds]


def is_high(name: str) -> bool:
    return f"-{HIGH}-" in name


def documents(variant: Variant, policy: Document, settings: ScalingSettings) -> list[Document]:
    """What PutMetricAlarm is asked for a policy. Pure."""
    configuration, arn = policy["Configuration"], policy["PolicyARN"]
    period = _SHORT if _is_high_resolution(configuration) else settings.period
    low = settings.low * settings.period // period
    metric, scale = _metric(variant, configuration, period)
    target = float(configuration["TargetValue"]) * scale
    return [
        {
            "AlarmName": name,
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {arn}.",
            "ActionsEnabled": True,
            "AlarmActions": [arn],
            "EvaluationPeriods": settings.high if is_high(name) else low,
            "Threshold": target if is_high(name) else target * IN_SHARE,
            "ComparisonOperator": "GreaterThanThreshold" if is_high(name) else "LessThanThreshold",
            **metric,
        }
        for name in policy["AlarmNames"]
    ]


def _is_high_resolution(configuration: Document) -> bool:
    predefined = configuration.get("PredefinedMetricSpecification") or {}
    return bool(predefined.get("PredefinedMetricType", "").endswith("HighResolution"))


def _metric(variant: Variant, configuration: Document, period: int) -> tuple[Document, float]:
    """What is watched; and by what a target is multiplied that counts something in a minute, if periods are shorter."""
    share = period / _MINUTE
    predefined = configuration.get("PredefinedMetricSpecification")
    if predefined:
        namespace, name, statistic = PREDEFINED[predefined["PredefinedMetricType"]]
        dimensions = [
            {"Name": "EndpointName", "Value": variant.endpoint},
            {"Name": "VariantName", "Value": variant.name},
        ]
        one = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions, "Statistic": statistic}
        return {**one, "Period": period}, share if statistic in _COUNTING else 1.0
    custom = configuration["CustomizedMetricSpecification"]
    if custom.get("Metrics"):
        return {"Metrics": [_query(each, period) for each in custom["Metrics"]]}, 1.0
    members = ("Namespace", "MetricName", "Dimensions", "Statistic", "Unit")
    one = {member: custom[member] for member in members if custom.get(member)}
    return {**one, "Period": period}, share if custom["Statistic"] in _COUNTING else 1.0


def _query(given: Document, period: int) -> Document:
    if "MetricStat" not in given:
        return given
    return {**given, "MetricStat": {**given["MetricStat"], "Period": period}}


async def put(platform: Platform, key: Key, wanted: Sequence[Document]) -> None:
    """Makes or changes alarms. Raises ApiError in CloudWatch's words."""
    caller = await role.caller(platform, key.account)
    for document in wanted:
        await platform.calls.call(caller, key.region, "cloudwatch", "PutMetricAlarm", document)


async def delete(platform: Platform, key: Key, names: Sequence[str]) -> None:
    """Those that are not there are no error."""
    caller = await role.caller(platform, key.account)
    for name in names:
        try:
            await platform.calls.call(caller, key.region, "cloudwatch", "DeleteAlarms", {"AlarmNames": [name]})
        except ApiError as error:
            if error.code != "ResourceNotFound":
                raise


def queries(alarm: Document) -> list[dict[str, Any]]:
    """The MetricDataQueries of what an alarm watches. Pure."""
    if alarm.get("Metrics"):
        return list(alarm["Metrics"])
    metric = {member: alarm[member] for member in ("Namespace", "MetricName", "Dimensions") if alarm.get(member)}
    stat = {"Metric": metric, "Period": alarm["Period"], "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"]}
    return [{"Id": "m1", "MetricStat": {**stat, **({"Unit": alarm["Unit"]} if alarm.get("Unit") else {})}}]


def period_of(alarm: Document) -> int:
    """In seconds. Pure."""
    periods: list[int] = [each["MetricStat"]["Period"] for each in queries(alarm) if each.get("MetricStat")]
    return max(periods)
