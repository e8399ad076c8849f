"""What many values come to: count, sum, extremes and how they are distributed. Pure; merging loses nothing but digits.

A distribution names up to 100 different values as they are, then rounds them to three digits and, should that leave
over 1,000, to two: percentiles are right within half a percent, or five. CloudWatch, too, keeps no raw values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_EXACT = 100
_THREE_DIGITS = 1000


@dataclass(frozen=True, slots=True)
class Summary:
    """``distribution``: value → how often; None where it is unknown (statistic sets) or a value was negative."""

    count: float
    sum: float
    minimum: float
    maximum: float
    distribution: Mapping[float, float] | None = None

    def merged(self, other: Summary) -> Summary:
        """What both come to."""
        distribution = None
        if self.distribution is not None and other.distribution is not None:
            distribution = _added(self.distribution, other.distribution)
        return Summary(
            self.count + other.count,
            self.sum + other.sum,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            distribution,
        )


def of_values(values: Mapping[float, float]) -> Summary:
    """Of values and how often each came; at least one."""
    return Summary(
        sum(values.values()),
        sum(value * count for value, count in values.items()),
        min(values),
        max(values),
        None if min(values) < 0 else _rounded(values),
    )


def of_set(count: float, total: float, minimum: float, maximum: float) -> Summary:
    """Of a statistic set; its percentiles are known only if all values are the same."""
    known = minimum == maximum and minimum >= 0
    return Summary(count, total, minimum, maximum, {minimum: count} if known else None)


def of_all(summaries: Iterable[Summary]) -> Summary | None:
    """What all come to; None for none."""
    whole: Summary | None = None
    for each in summaries:
        whole = each if whole is None else whole.merged(each)
    return whole


def percentile(distribution: Mapping[float, float], percent: float) -> float:
    """The smallest value that ``percent`` of all do not exceed, straight between neighbours as CloudWatch draws it."""
    ordered = sorted(distribution.items())
    rank = percent / 100 * (sum(distribution.values()) - 1)
    before = 0.0
    for index, (value, count) in enumerate(ordered):
        if rank <= before + count - 1:
            return value
        if rank < before + count and index + 1 < len(ordered):
            return value + (rank - (before + count - 1)) * (ordered[index + 1][0] - value)
        before += count
    return ordered[-1][0]


def dumps(distribution: Mapping[float, float] | None) -> str:
    """As text for the store; empty for None."""
    return "" if distribution is None else json.dumps([*distribution.items()], separators=(",", ":"))


def loads(text: str) -> Mapping[float, float] | None:
    """The inverse of ``dumps``."""
    return dict(json.loads(text)) if text else None


def _added(one: Mapping[float, float], other: Mapping[float, float]) -> Mapping[float, float]:
    together = dict(one)
    for value, count in other.items():
        together[value] = together.get(value, 0.0) + count
    return _rounded(together)


def _rounded(values: Mapping[float, float]) -> Mapping[float, float]:
    if len(values) <= _EXACT:
        return values
    three = _to_digits(values, 3)
    return three if len(three) <= _THREE_DIGITS else _to_digits(three, 2)


def _to_digits(values: Mapping[float, float], digits: int) -> Mapping[float, float]:
    fewer: dict[float, float] = {}
    for value, count in values.items():
        near = float(f"{value:.{digits - 1}e}")
        fewer[near] = fewer.get(near, 0.0) + count
    return fewer
