"""A change of an alarm's state: kept with its history and with whom to tell, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from wildsage.kit.context import Platform
from wildsage.kit.courier import topic_of
from wildsage.services.cloudwatch.alarms import reasons
from wildsage.services.cloudwatch.alarms.decision import ALARM, INSUFFICIENT, OK
from wildsage.services.cloudwatch.alarms.kind import CHANGED, alarm_arn, type_of
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.facts import Fact, appending
from wildsage.store.outbox import Letter, posting
from wildsage.store.resources import Key, Missing, Resource

BOX = "alarm actions"
_ACTIONS = {OK: "OKActions", ALARM: "AlarmActions", INSUFFICIENT: "InsufficientDataActions"}


@dataclass(frozen=True, slots=True)
class Change:
    """To ``state`` for ``reason``; ``data``: StateReasonData. ``by_hand``: until the next step of time."""

    state: str
    reason: str
    data: str = ""
    by_hand: bool = False


class _Superseded(Exception):
    """The alarm is another than the one that was evaluated."""


def history_topic(account: str, region: str) -> str:
    """The topic of the history of a region's alarms; one stream an alarm."""
    return f"alarms:{account}:{region}"


def remembered(alarm: Resource, kind: str, summary: str, data: Document, now: float) -> Write:
    """One more item of the alarm's history."""
    item = {"AlarmType": type_of(alarm), "HistoryItemType": kind, "HistorySummary": summary}
    body = json.dumps({**item, "HistoryData": json.dumps(data, separators=(",", ":"), default=str)[:4095]})
    at = round(now * 1000)
    key = alarm.key
    return appending(history_topic(key.account, key.region), [Fact(key.name, at, at, body)])


async def enter(platform: Platform, key: Key, change: Change, evaluated: Resource | None = None) -> bool:
    """Puts an alarm into a state; whether it did.

    It does not if ``evaluated`` is no longer what the store has: somebody else changed the alarm meanwhile.
    """
    now = platform.clock.now()

    def work(alarm: Resource) -> Iterable[Write]:
        if evaluated is not None and alarm.generation != evaluated.generation:
            raise _Superseded
        return _entered(alarm, change, now)

    try:
        await platform.resources.edit(key, work)
    except (Missing, _Superseded):
        return False
    platform.hints.notify(topic_of(BOX))
    platform.hints.notify(CHANGED)
    return True


def _entered(alarm: Resource, change: Change, now: float) -> Iterable[Write]:
    before, old = alarm.phase, dict(alarm.status)
    alarm.phase = change.state
    alarm.state = {"by_hand": now} if change.by_hand else {}
    alarm.status = {
        **{name: value for name, value in old.items() if name != "StateReasonData"},
        "StateReason": change.reason[:1023],
        "StateUpdatedTimestamp": now,
        **({"StateReasonData": change.data} if change.data else {}),
    }
    if before == change.state:
        return
    alarm.status["StateTransitionedTimestamp"] = now
    summary = f"Alarm updated from {before} to {change.state}"
    told = {
        "version": "1.0",
        "oldState": {"stateValue": before, "stateReason": old.get("StateReason", "")},
        "newState": {"stateValue": change.state, "stateReason": alarm.status["StateReason"]},
    }
    yield remembered(alarm, "StateUpdate", summary, told, now)
    if alarm.spec.get("ActionsEnabled") is False:
        return
    actions = alarm.spec.get(_ACTIONS[change.state]) or ()
    yield posting(BOX, [Letter(letter(alarm, before, action, now)) for action in actions], now)


def letter(alarm: Resource, before: str, action: str, now: float) -> Document:
    """What is told to the topic ``action``, as AWS words it."""
    key, spec, status = alarm.key, alarm.spec, alarm.status
    message: Document = {
        "AlarmName": key.name,
        "AlarmDescription": spec.get("AlarmDescription"),
        "AWSAccountId": key.account,
        "AlarmConfigurationUpdatedTimestamp": reasons.timestamp(status["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": alarm.phase,
        "NewStateReason": status["StateReason"],
        "StateChangeTime": reasons.timestamp(now),
        "Region": key.region,
        "AlarmArn": alarm_arn(key),
        "OldStateValue": before,
        **{member: spec.get(member) or [] for member in ("OKActions", "AlarmActions", "InsufficientDataActions")},
    }
    if "AlarmRule" in spec:
        message["AlarmRule"] = spec["AlarmRule"]
    else:
        message["Trigger"] = _trigger(spec)
    subject = f'{alarm.phase}: "{key.name}" in {key.region}'[:100]
    return {"Action": action, "Account": key.account, "Region": key.region, "Alarm": key.name} | {
        "Subject": subject,
        "Message": json.dumps(message, separators=(",", ":")),
    }


def _trigger(spec: Document) -> Document:
    found: Document = {
        "Period": spec.get("Period"),
        "EvaluationPeriods": spec["EvaluationPeriods"],
        "DatapointsToAlarm": spec.get("DatapointsToAlarm") or spec["EvaluationPeriods"],
        "ComparisonOperator": spec["ComparisonOperator"],
        "Threshold": float(spec["Threshold"]),
        "TreatMissingData": spec.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": spec.get("EvaluateLowSampleCountPercentile") or "",
    }
    if spec.get("Metrics"):
        return {**found, "Metrics": spec["Metrics"]}
    dimensions = [{"name": each["Name"], "value": each["Value"]} for each in spec.get("Dimensions") or ()]
    statistic = spec.get("Statistic")
    kind = (
        {"StatisticType": "Statistic", "Statistic": "SAMPLE_COUNT" if statistic == "SampleCount" else statistic.upper()}
        if statistic
        else {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": spec["ExtendedStatistic"]}
    )
    where = {"MetricName": spec["MetricName"], "Namespace": spec["Namespace"], "Dimensions": dimensions}
    return {**where, **kind, "Unit": spec.get("Unit"), **found}
