"""Alarms that follow values, on a clock of their own: no test waits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.services.conftest import Api

from wildsage.core.clock import ManualClock
from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.services.cloudwatch.alarms.changes import BOX
from wildsage.services.cloudwatch.alarms.watch import Watch
from wildsage.store.outbox import Outbox

ALARM: dict[str, Any] = {
    "AlarmName": "hot",
    "Namespace": "Tests",
    "MetricName": "Heat",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:hot"],
}


@pytest.fixture
def watch(platform: Platform, clock: ManualClock) -> Watch:
    return Watch(platform)


async def put(api: Api, clock: ManualClock, *values: float, name: str = "Heat") -> None:
    """In the minute that ended just now."""
    at = clock.now() // 60 * 60 - 30
    await api.cloudwatch(
        "PutMetricData",
        Namespace="Tests",
        MetricData=[{"MetricName": name, "Timestamp": at, "Value": value} for value in values],
    )


async def state(api: Api, name: str = "hot") -> str:
    answer = await api.cloudwatch("DescribeAlarms", AlarmNames=[name])
    both = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return str(both[0]["StateValue"])


async def letters(platform: Platform) -> list[dict[str, Any]]:
    return [each.letter.document for each in await Outbox(platform.database, BOX).due(platform.clock.now(), 100)]


async def test_an_alarm_follows_its_metric(api: Api, platform: Platform, clock: ManualClock, watch: Watch) -> None:
    await api.cloudwatch("PutMetricAlarm", **ALARM)
    assert await state(api) == "INSUFFICIENT_DATA"
    await watch.round()
    assert await state(api) == "INSUFFICIENT_DATA"
    assert await letters(platform) == []
    for values, expected in (([9.0, 3.0], "ALARM"), ([7.0], "ALARM"), ([1.0], "OK"), ([8.0], "ALARM")):
        await clock.advance(60)
        await put(api, clock, *values)
        await watch.round()
        assert await state(api) == expected
    first, second = await letters(platform)
    message = json.loads(first["Message"])
    assert (message["NewStateValue"], message["OldStateValue"]) == ("ALARM", "INSUFFICIENT_DATA")
    assert message["Trigger"]["MetricName"] == "Heat"
    assert "greater than the threshold (5.0)" in message["NewStateReason"]
    assert json.loads(second["Message"])["OldStateValue"] == "OK"
    for _ in range(4):
        await clock.advance(60)
        await watch.round()
    assert await state(api) == "INSUFFICIENT_DATA"
    history = await api.cloudwatch("DescribeAlarmHistory", AlarmName="hot", HistoryItemType="StateUpdate")
    assert [each["HistorySummary"] for each in history["AlarmHistoryItems"]] == [
        "Alarm updated from ALARM to INSUFFICIENT_DATA",
        "Alarm updated from OK to ALARM",
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
    ]


async def test_m_of_n_and_a_sliding_window(api: Api, clock: ManualClock, watch: Watch) -> None:
    await api.cloudwatch("PutMetricAlarm", **{**ALARM, "EvaluationPeriods": 3, "DatapointsToAlarm": 2})
    seen = []
    for value in (9.0, 1.0, 9.0, 1.0, 1.0):
        await clock.advance(60)
        await put(api, clock, value)
        await watch.round()
        seen.append(await state(api))
    assert seen == ["INSUFFICIENT_DATA", "OK", "ALARM", "OK", "OK"]
    # Periods of five minutes are looked at every minute: each window ends now.
    await api.cloudwatch("PutMetricAlarm", **{**ALARM, "AlarmName": "long", "Period": 300, "Statistic": "Sum"})
    await put(api, clock, 100.0)
    await watch.round()
    assert await state(api, "long") == "ALARM"


async def test_percentiles_metric_math_and_few_samples(api: Api, clock: ManualClock, watch: Watch) -> None:
    slow = {key: value for key, value in ALARM.items() if key != "Statistic"}
    await api.cloudwatch("PutMetricAlarm", **{**slow, "ExtendedStatistic": "p90"})
    careful = {**slow, "AlarmName": "careful", "ExtendedStatistic": "p90"}
    await api.cloudwatch("PutMetricAlarm", **careful, EvaluateLowSampleCountPercentile="ignore")
    queries = [
        {
            "Id": name,
            "MetricStat": {"Metric": {"Namespace": "Tests", "MetricName": metric}, "Period": 60, "Stat": "Sum"},
            "ReturnData": False,
        }
        for name, metric in (("bad", "Heat"), ("all", "Calls"))
    ]
    ratio = {
        "AlarmName": "ratio",
        "EvaluationPeriods": 1,
        "Threshold": 50,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    await api.cloudwatch("PutMetricAlarm", **ratio, Metrics=[*queries, {"Id": "e", "Expression": "100 * bad / all"}])
    await clock.advance(60)
    await put(api, clock, 1.0, 1.0, 8.0, 9.0)
    await put(api, clock, 30.0, name="Calls")
    await watch.round()
    assert [await state(api, name) for name in ("hot", "careful", "ratio")] == ["ALARM", "INSUFFICIENT_DATA", "ALARM"]


async def test_composite_alarms(api: Api, platform: Platform, clock: ManualClock, watch: Watch) -> None:
    topic = "arn:aws:sns:us-east-1:000000000000:both"
    await api.cloudwatch("PutMetricAlarm", **{**ALARM, "AlarmActions": []})
    await api.cloudwatch("PutMetricAlarm", **{**ALARM, "AlarmName": "cold", "Threshold": 100.0, "AlarmActions": []})
    await api.cloudwatch("PutCompositeAlarm", AlarmName="both", AlarmRule="ALARM(hot) AND NOT ALARM(cold)")
    await api.cloudwatch("PutCompositeAlarm", AlarmName="top", AlarmRule="ALARM(both)", AlarmActions=[topic])
    await clock.advance(60)
    await put(api, clock, 9.0)
    await watch.round()
    assert [await state(api, name) for name in ("both", "top")] == ["ALARM", "ALARM"]
    assert [each["Alarm"] for each in await letters(platform)] == ["top"]
    with pytest.raises(ApiError, match="depend on itself"):
        await api.cloudwatch("PutCompositeAlarm", AlarmName="both", AlarmRule="OK(top)")
    with pytest.raises(ApiError, match="in the AlarmRule of both"):
        await api.cloudwatch("DeleteAlarms", AlarmNames=["hot"])
    below = await api.cloudwatch("DescribeAlarms", ChildrenOfAlarmName="both")
    assert [each["AlarmName"] for each in below["MetricAlarms"]] == ["cold", "hot"]


@pytest.mark.parametrize("expression", ["SLICE([m], 5)", "SORT([m], [m], ASC)", "SUM(m / m * 1e308)", "NOPE(m)"])
async def test_an_alarm_that_has_no_value_leaves_the_others_theirs(
    api: Api, clock: ManualClock, watch: Watch, expression: str
) -> None:
    await api.cloudwatch("PutMetricAlarm", **ALARM)
    metric = {"Namespace": "Tests", "MetricName": "Heat"}
    one = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False}
    members = ("EvaluationPeriods", "Threshold", "ComparisonOperator")
    broken = {"AlarmName": "broken", **{member: ALARM[member] for member in members}}
    await api.cloudwatch("PutMetricAlarm", **broken, Metrics=[one, {"Id": "e", "Expression": expression}])
    await clock.advance(60)
    await put(api, clock, 9.0)
    await watch.round()
    assert [await state(api), await state(api, "broken")] == ["ALARM", "INSUFFICIENT_DATA"]


async def test_an_alarm_put_anew_while_it_is_evaluated_is_not_overwritten(
    api: Api, platform: Platform, clock: ManualClock, watch: Watch
) -> None:
    await api.cloudwatch("PutMetricAlarm", **ALARM)
    await clock.advance(60)
    await put(api, clock, 9.0)
    (stale,) = await watch.round()
    assert await state(api) == "ALARM"
    await api.cloudwatch("SetAlarmState", AlarmName="hot", StateValue="OK", StateReason="by hand")
    await watch._evaluate(stale, clock.now())
    assert await state(api) == "OK"
    await watch.round()
    assert await state(api) == "OK"  # until the next evaluation
    await clock.advance(60)
    await put(api, clock, 9.0)
    await watch.round()
    assert await state(api) == "ALARM"


async def test_disabled_actions_tell_nobody(api: Api, platform: Platform, clock: ManualClock, watch: Watch) -> None:
    await api.cloudwatch("PutMetricAlarm", **ALARM)
    await api.cloudwatch("DisableAlarmActions", AlarmNames=["hot", "unknown"])
    await clock.advance(60)
    await put(api, clock, 9.0)
    await watch.round()
    assert await state(api) == "ALARM"
    assert await letters(platform) == []
