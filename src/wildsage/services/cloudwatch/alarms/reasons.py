"""StateReason and StateReasonData in AWS's words. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from wildsage.services.cloudwatch.alarms.decision import ALARM, COMPARISONS, INSUFFICIENT, OK, Rule, evaluated
from wildsage.store.codec import Document

UNCHECKED = "Unchecked: Initial alarm creation"
_DATA_BYTES = 4000


def reason(values: Mapping[int, float | None], rule: Rule, state: str) -> str:
    """Why a metric alarm came to ``state``; ``values`` as ``decide`` saw them, by the beginnings of their periods."""
    real = evaluated(list(values.values()), rule)
    if state == INSUFFICIENT:
        unknown = rule.periods - len(real)
        return f"Insufficient Data: {_count(unknown, 'datapoint')} {_were(unknown)} unknown."
    if not real:
        treated = "Breaching" if state == ALARM else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {_count(rule.periods, 'period')} and "
            f"{_count(rule.periods, 'missing datapoint')} {_were(rule.periods)} treated as [{treated}]."
        )
    meant = [
        (at, value) for at, value in _real(values)[-len(real) :] if rule.breaches(value) == (state == ALARM)
    ] or _real(values)[-len(real) :]
    listed = ", ".join(f"{value} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})" for at, value in meant[:5])
    words = COMPARISONS[rule.comparison][1]
    least = rule.needed if state == ALARM else rule.periods - rule.needed + 1
    change = f"{OK} -> {ALARM}" if state == ALARM else f"{ALARM} -> {OK}"
    return (
        f"Threshold Crossed: {len(meant)} out of the last {_count(len(real), 'datapoint')} [{listed}] "
        f"{_were(len(meant))} {'' if state == ALARM else 'not '}{words} the threshold ({float(rule.threshold)}) "
        f"(minimum {_count(least, 'datapoint')} for {change} transition)."
    )


def data(spec: Document, values: Mapping[int, float | None], rule: Rule, now: float) -> str:
    """StateReasonData."""
    recent = _real(values)[-rule.periods :]
    found: Document = {"version": "1.0", "queryDate": timestamp(now)}
    if recent:
        found["startDate"] = timestamp(recent[0][0])
    for name, member in (("statistic", "Statistic"), ("statistic", "ExtendedStatistic"), ("unit", "Unit")):
        if spec.get(member):
            found[name] = spec[member]
    found |= {
        "period": spec.get("Period"),
        "recentDatapoints": [value for _, value in recent],
        "threshold": float(rule.threshold),
        "evaluatedDatapoints": [{"timestamp": timestamp(at), "value": value} for at, value in reversed(recent)],
    }
    text = json.dumps({name: value for name, value in found.items() if value is not None}, separators=(",", ":"))
    if len(text) > _DATA_BYTES:
        del found["evaluatedDatapoints"]
        text = json.dumps(found, separators=(",", ":"))
    return text


def timestamp(at: float) -> str:
    """``2026-11-21T15:04:00.000+0000``."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _real(values: Mapping[int, float | None]) -> list[tuple[int, float]]:
    return [(at, value) for at, value in values.items() if value is not None]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
