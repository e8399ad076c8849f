"""The alarm as a resource: ``phase`` is its StateValue, ``status`` has why and since when."""

from __future__ import annotations

from wildsage.core import arn
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context, Platform
from wildsage.services.cloudwatch.alarms.decision import Rule
from wildsage.store.codec import Document
from wildsage.store.resources import Key, Resource

ALARM_KIND = "cloudwatch.alarm"
CHANGED = "alarms changed"
"""The hint that there is an alarm to look at."""


def alarm_arn(key: Key) -> str:
    return arn.build("cloudwatch", key.region, key.account, f"alarm:{key.name}")


def key_of(ctx: Context, name: str) -> Key:
    return Key(ALARM_KIND, ctx.account, ctx.region, name)


def is_composite(alarm: Resource) -> bool:
    return "AlarmRule" in alarm.spec


def type_of(alarm: Resource) -> str:
    return "CompositeAlarm" if is_composite(alarm) else "MetricAlarm"


def described(alarm: Resource) -> Document:
    """As DescribeAlarms shows it."""
    lists: Document = {"OKActions": [], "AlarmActions": [], "InsufficientDataActions": []}
    if "MetricName" in alarm.spec:
        lists["Dimensions"] = []
    return {**lists, **alarm.spec, **alarm.status, "AlarmArn": alarm_arn(alarm.key), "StateValue": alarm.phase}


def rule_of(alarm: Resource) -> Rule:
    """Of a metric alarm."""
    spec = alarm.spec
    periods = spec["EvaluationPeriods"]
    return Rule(
        spec["ComparisonOperator"],
        float(spec["Threshold"]),
        periods,
        spec.get("DatapointsToAlarm") or periods,
        spec.get("TreatMissingData") or "missing",
    )


def no_alarm(name: str) -> ApiError:
    return ApiError("ResourceNotFound", f"Unknown alarm: {name}", 404)


async def fetch(ctx: Context, name: str) -> Resource:
    """Raises ResourceNotFound."""
    found = await ctx.platform.resources.get(key_of(ctx, name))
    if found is None:
        raise no_alarm(name)
    return found


async def all_in(platform: Platform, account: str, region: str) -> list[Resource]:
    """Every alarm of a region, by name."""
    every = await platform.resources.all_of(ALARM_KIND)
    there = [each for each in every if (each.key.account, each.key.region) == (account, region)]
    return sorted(there, key=lambda each: each.key.name)
