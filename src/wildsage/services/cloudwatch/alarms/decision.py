"""What an alarm makes of the values it sees. Pure.

Source: CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"

COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
BEYOND = 2
"""How many periods more than EvaluationPeriods are looked at, for values that came late or not at all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``needed`` of ``periods`` values must compare with ``threshold``; ``missing``: TreatMissingData."""

    comparison: str
    threshold: float
    periods: int
    needed: int
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        return COMPARISONS[self.comparison][0](value, self.threshold)


def decide(values: Sequence[float | None], rule: Rule) -> str | None:
    """The state, or None to leave it as it is; ``values``: of the whole range, oldest first, None for a missing one."""
    real = evaluated(values, rule)
    breaching = sum(map(rule.breaches, real))
    lacking = rule.periods - len(real)
    if lacking > 0 and rule.missing == "breaching":
        breaching += lacking
    if breaching >= rule.needed:
        return ALARM
    if lacking == 0 or rule.missing in ("breaching", "notBreaching"):
        return OK
    if not real:
        return INSUFFICIENT if rule.missing == "missing" else None
    if breaching < len(real):
        return OK
    if rule.missing == "missing" and _age_of_oldest(values) >= rule.needed:
        return ALARM  # all there is is bad, and has been for long enough
    return None


def evaluated(values: Sequence[float | None], rule: Rule) -> list[float]:
    """The values that count: the latest there are."""
    return [value for value in values if value is not None][-rule.periods :]


def _age_of_oldest(values: Sequence[float | None]) -> int:
    return len(values) - next(place for place, value in enumerate(values) if value is not None)


def few(percent: float, samples: float) -> bool:
    """Whether so many samples are too few to tell a percentile (EvaluateLowSampleCountPercentile)."""
    share = percent / 100
    outside = 1 - share if share >= 0.5 else share
    return outside > 0 and samples < 10 / outside
