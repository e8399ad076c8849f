"""From what the store holds to a value for each period. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from wildsage.store.metrics import TIERS, Point
from wildsage.store.summaries import Summary, of_all

_MINUTE = TIERS[1][0]


def grouped(points: Iterable[Point], start: int, period: int) -> dict[tuple[int, str], Summary]:
    """(beginning of a period, unit) → what lies in it; periods are counted from ``start``.

    What is kept in longer steps than were asked for is no answer, but for metrics of standard resolution: these are
    shown by the minute in shorter periods too.
    """
    found: dict[tuple[int, str], list[Summary]] = defaultdict(list)
    for point in points:
        if point.step <= max(period, _MINUTE):
            found[start + (point.at - start) // period * period, point.unit].append(point.summary)
    return {place: whole for place, parts in sorted(found.items()) if (whole := of_all(parts)) is not None}


def whole(points: Iterable[Point], start: int, period: int) -> dict[int, Summary]:
    """As ``grouped``, all units together."""
    found: dict[int, list[Summary]] = defaultdict(list)
    for (at, _), summary in grouped(points, start, period).items():
        found[at].append(summary)
    return {at: together for at, parts in found.items() if (together := of_all(parts)) is not None}


def rounded_start(start: float, now: float, period: int) -> int:
    """Where GetMetricStatistics begins (API reference): at a whole minute, of older data at 5 minutes or an hour.

    For periods below a minute it is a multiple of the period.
    """
    step = period if period < _MINUTE else _MINUTE
    for longer, (_, kept) in zip((tier[0] for tier in TIERS[2:]), TIERS[1:], strict=False):
        if start < now - kept:
            step = longer
    return int(start // step * step)
