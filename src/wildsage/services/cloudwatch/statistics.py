"""What a statistic's name says of a summary. Pure.

Source: CloudWatch User Guide, "CloudWatch statistics definitions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from wildsage.services.cloudwatch import names
from wildsage.store.summaries import Summary, percentile

Statistic = Callable[[Summary], float | None]
"""None where it cannot be told: percentiles of negative values, or of statistic sets."""

SIMPLE: Mapping[str, Statistic] = {
    "SampleCount": lambda summary: summary.count,
    "Average": lambda summary: summary.sum / summary.count if summary.count else None,
    "Sum": lambda summary: summary.sum,
    "Minimum": lambda summary: summary.minimum,
    "Maximum": lambda summary: summary.maximum,
}
_SHORT = re.compile(r"(p|tm|wm|tc|ts)(\d{1,3}(?:\.\d{1,10})?)", re.IGNORECASE)
_LONG = re.compile(r"(TM|WM|TC|TS|PR)\((\d+(?:\.\d+)?)?(%)?:(\d+(?:\.\d+)?)?(%)?\)", re.IGNORECASE)
_INTERQUARTILE = (25.0, 75.0)


def percent_of(name: str) -> float | None:
    """95 for ``p95``; None for what is no percentile."""
    found = _SHORT.fullmatch(name)
    return float(found[2]) if found is not None and found[1].lower() == "p" else None


def parse(name: str) -> Statistic:
    """Raises InvalidParameterValue for a name that is none."""
    if name in SIMPLE:
        return SIMPLE[name]
    if name.lower() == "iqm":
        return _between("tm", *_INTERQUARTILE)
    short = _SHORT.fullmatch(name)
    if short is not None and float(short[2]) <= 100:
        kind, percent = short[1].lower(), float(short[2])
        return _percentile(percent) if kind == "p" else _between(kind, 0.0, percent)
    long = _LONG.fullmatch(name)
    if long is None:
        raise names.invalid(f"The value {name} for parameter ExtendedStatistics is not supported.")
    kind = long[1].lower()
    low, high = (None if text is None else float(text) for text in (long[2], long[4]))
    if kind == "pr" or not (long[3] or long[5]):
        return _within(kind, low, high)
    return _between(kind, low or 0.0, 100.0 if high is None else high)


def _percentile(percent: float) -> Statistic:
    def told(summary: Summary) -> float | None:
        return percentile(summary.distribution, percent) if summary.distribution else None

    return told


def _between(kind: str, low: float, high: float) -> Statistic:
    """Of the values from the ``low``th to the ``high``th percentile."""

    def told(summary: Summary) -> float | None:
        if not summary.distribution:
            return None
        least, most = percentile(summary.distribution, low), percentile(summary.distribution, high)
        return _of(kind, summary.distribution, least, most)

    return told


def _within(kind: str, low: float | None, high: float | None) -> Statistic:
    """Of the values from ``low`` to ``high``."""

    def told(summary: Summary) -> float | None:
        if not summary.distribution:
            return None
        least = summary.minimum if low is None else low
        return _of(kind, summary.distribution, least, summary.maximum if high is None else high)

    return told


def _of(kind: str, distribution: Mapping[float, float], least: float, most: float) -> float | None:
    inside = {value: count for value, count in distribution.items() if least <= value <= most}
    count, total = sum(inside.values()), sum(value * count for value, count in inside.items())
    everything = sum(distribution.values())
    if kind == "tc":
        return count
    if kind == "ts":
        return total
    if kind == "pr":
        return 100 * count / everything
    if kind == "wm":  # what lies outside counts as the bound it lies beyond
        return sum(min(max(value, least), most) * count for value, count in distribution.items()) / everything
    return total / count if count else None
