"""Which variant and which instance answer an invocation: functions of data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_FIRST_AWAY, _LAST_AWAY = 0.05, 5.0  # seconds


class Busy(Protocol):
    @property
    def outstanding(self) -> int: ...


def by_weight(weights: Sequence[float], point: float) -> int:
    """The index whose share of [0, 1) contains ``point``; shares are proportional to the weights.

    "The traffic to a production variant is determined by the ratio of the VariantWeight to the sum of all VariantWeight
    values" (API reference, ProductionVariant). Raises ValueError if no weight is positive.
    """
    total = sum(weights)
    if total <= 0:
        raise ValueError("no variant has a weight")
    mark = point * total
    last = 0
    for index, weight in enumerate(weights):
        if weight <= 0:
            continue
        last = index
        mark -= weight
        if mark < 0:
            return index
    return last  # point was so close to 1 that rounding ate the difference


def copied(shadow: float, production: float) -> float:
    """The part of the requests that a shadow variant gets a copy of, by its weight and the sum of the variants'.

    "You can only specify one variant for ProductionVariants and one variant for ShadowProductionVariants" (API
    reference, CreateEndpointConfig): the weight of the one over that of the other, at most all.
    """
    return min(shadow / production, 1.0) if production > 0 else 0.0


def away_seconds(failures: int) -> float:
    """How long an instance that could not be reached ``failures`` times in a row is passed over."""
    return min(_FIRST_AWAY * 2.0 ** min(failures - 1, 16), _LAST_AWAY)


def least_busy(slots: Sequence[Busy], first: int) -> int:
    """The index with the fewest requests under way; ``first`` (any number) is where ties are broken from, in turn."""
    count = len(slots)
    best = first % count
    fewest = slots[best].outstanding
    for step in range(1, count):
        if fewest == 0:
            break
        index = (first + step) % count
        outstanding = slots[index].outstanding
        if outstanding < fewest:
            best, fewest = index, outstanding
    return best
