"""Alarms: describe, and their history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wildsage.core import paging
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.cloudwatch import names
from wildsage.services.cloudwatch.alarms import composite
from wildsage.services.cloudwatch.alarms.changes import history_topic
from wildsage.services.cloudwatch.alarms.kind import all_in, described, fetch, is_composite, key_of, type_of
from wildsage.services.cloudwatch.alarms.rules import ACTIONS
from wildsage.store.codec import Document
from wildsage.store.facts import Fact, Window
from wildsage.store.resources import Resource

_PAGE = 50


@operation("DescribeAlarms")
async def describe_alarms(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
    try:
        after = paging.text(request.get("NextToken"))
    except ValueError:
        raise names.bad_token() from None
    if request.get("AlarmNames") and request.get("AlarmNamePrefix"):
        raise names.combination("The parameters AlarmNames and AlarmNamePrefix are mutually exclusive.")
    related = await _related(ctx, request)
    found = [each for each in related if each.key.name > after and _wanted(each, request)]
    limit = request.get("MaxRecords") or _PAGE
    page = found[:limit]
    answer: Document = {
        "MetricAlarms": [described(each) for each in page if not is_composite(each)],
        "CompositeAlarms": [described(each) for each in page if is_composite(each)],
    }
    if len(found) > limit:
        answer["NextToken"] = paging.encode(page[-1].key.name)
    return answer


async def _related(ctx: Context, request: Document) -> Sequence[Resource]:
    """The children or the parents of an alarm if these are asked for, or those that are named; else all. By name."""
    parent, child = request.get("ChildrenOfAlarmName"), request.get("ParentsOfAlarmName")
    if request.get("AlarmNames") and not (parent or child):
        found = [await ctx.platform.resources.get(key_of(ctx, name)) for name in sorted(set(request["AlarmNames"]))]
        return [each for each in found if each is not None]
    every = await all_in(ctx.platform, ctx.account, ctx.region)
    if parent:
        alarm = await fetch(ctx, parent)
        below = composite.children(composite.parse(alarm.spec["AlarmRule"])) if is_composite(alarm) else set()
        return [each for each in every if each.key.name in below]
    if child:
        await fetch(ctx, child)
        above = [each for each in every if is_composite(each)]
        return [each for each in above if child in composite.children(composite.parse(each.spec["AlarmRule"]))]
    return every


def _wanted(alarm: Resource, request: Document) -> bool:
    types = request.get("AlarmTypes") or ([] if request.get("AlarmNames") else ["MetricAlarm"])
    actions = [action for member in ACTIONS for action in alarm.spec.get(member) or ()]
    prefix = request.get("ActionPrefix")
    related = request.get("ChildrenOfAlarmName") or request.get("ParentsOfAlarmName")
    return (
        (related is not None or not types or type_of(alarm) in types)
        and (not request.get("AlarmNames") or alarm.key.name in request["AlarmNames"])
        and alarm.key.name.startswith(request.get("AlarmNamePrefix") or "")
        and request.get("StateValue") in (None, alarm.phase)
        and (prefix is None or any(action.startswith(prefix) for action in actions))
    )


@operation("DescribeAlarmsForMetric")
async def describe_alarms_for_metric(ctx: Context, request: Document) -> Document:
    dimensions = names.dimensions_of(request.get("Dimensions"))

    def watches(alarm: Resource) -> bool:
        spec = alarm.spec
        return (
            (spec.get("Namespace"), spec.get("MetricName")) == (request["Namespace"], request["MetricName"])
            and names.dimensions_of(spec.get("Dimensions")) == dimensions
            and all(
                request.get(member) in (None, spec.get(member))
                for member in ("Statistic", "ExtendedStatistic", "Period", "Unit")
            )
        )

    every = await all_in(ctx.platform, ctx.account, ctx.region)
    return {"MetricAlarms": [described(each) for each in every if watches(each)]}


@operation("DescribeAlarmHistory")
async def describe_alarm_history(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html"""
    try:
        place = paging.moment(request.get("NextToken"))
    except ValueError:
        raise names.bad_token() from None
    name, limit = request.get("AlarmName"), request.get("MaxRecords") or _PAGE
    found: list[tuple[Fact, dict[str, Any]]] = []
    while len(found) <= limit:
        window = Window(
            history_topic(ctx.account, ctx.region),
            (name,) if name else (),
            _milliseconds(request.get("StartDate")),
            _milliseconds(request.get("EndDate")),
            place,
            backward=request.get("ScanBy", "TimestampDescending") == "TimestampDescending",
        )
        facts = await ctx.platform.facts.read(window)
        for fact in facts:
            item = json.loads(fact.body)
            if _is_asked(item, request):
                found.append((fact, item))
        if len(facts) < window.limit:
            break
        place = (facts[-1].at, facts[-1].number)
    answer: Document = {
        "AlarmHistoryItems": [
            {"AlarmName": fact.stream, "Timestamp": fact.at / 1000, **item} for fact, item in found[:limit]
        ]
    }
    if len(found) > limit:
        last = found[limit - 1][0]
        answer["NextToken"] = paging.encode([last.at, last.number])
    return answer


def _is_asked(item: dict[str, Any], request: Document) -> bool:
    types = request.get("AlarmTypes")
    return request.get("HistoryItemType") in (None, item["HistoryItemType"]) and (
        not types or item["AlarmType"] in types
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
