"""Step scaling: how much is added or taken away, by how far the metric is from the alarm's threshold. Pure.

Source: Application Auto Scaling User Guide, "How step scaling works"; API reference, StepScalingPolicyConfiguration.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wildsage.core.errors import ValidationError
from wildsage.services.applicationautoscaling.memory import History
from wildsage.store.codec import Document

DEFAULT_COOLDOWN = 300

_AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda values: math.fsum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
}


@dataclass(frozen=True, slots=True)
class Alarmed:
    """An alarm in ALARM: its ``threshold``, what it is over or under, and the ``values`` of its evaluation periods."""

    threshold: float
    above: bool
    values: Sequence[tuple[float, float]]


def wanted(configuration: Document, alarm: Alarmed, capacity: int, history: History, now: float) -> int | None:
    """The capacity the policy asks for; None while it asks for nothing.

    As with target tracking a value from before the capacity last changed does not count.
    """
    fresh = [value for at, value in alarm.values if at >= history.ended]
    if not fresh:
        return None
    value = _AGGREGATIONS[configuration.get("MetricAggregationType") or "Average"](fresh)
    step = step_for(configuration["StepAdjustments"], value - alarm.threshold, alarm.above)
    if step is None:
        return None
    given = configuration.get("Cooldown")
    cooldown = DEFAULT_COOLDOWN if given is None else given
    found = adjusted(configuration, step, capacity)
    if found > capacity and now < history.out.at + cooldown:
        return max(adjusted(configuration, step, history.out.before), capacity)
    if found < capacity and now < history.into.at + cooldown:
        return None
    return found


def step_for(steps: Sequence[Document], breach: float, above: bool) -> int | None:
    """The ScalingAdjustment for a metric so far from the threshold; None if no step is about it.

    Of a step above the threshold the lower bound belongs to it, of one below the upper bound.
    """
    for step in steps:
        lower = step.get("MetricIntervalLowerBound", -math.inf)
        upper = step.get("MetricIntervalUpperBound", math.inf)
        if (lower <= breach < upper) if above else (lower < breach <= upper):
            adjustment: int = step["ScalingAdjustment"]
            return adjustment
    return None


def adjusted(configuration: Document, adjustment: int, capacity: int) -> int:
    """The capacity after an adjustment, before any bounds."""
    match configuration["AdjustmentType"]:
        case "ExactCapacity":
            return adjustment
        case "PercentChangeInCapacity":
            return capacity + _share(capacity * adjustment / 100, configuration.get("MinAdjustmentMagnitude") or 0)
    return capacity + adjustment


def _share(change: float, least: int) -> int:
    """Whole instances: towards zero, but one at least."""
    if change == 0:
        return 0
    size = max(math.floor(abs(change)), 1, least)
    return size if change > 0 else -size


def check(configuration: Document) -> None:
    """Raises ValidationException."""
    steps = configuration.get("StepAdjustments") or []
    if not configuration.get("AdjustmentType"):
        raise ValidationError("AdjustmentType is required for a step scaling policy.")
    if not steps:
        raise ValidationError("StepAdjustments are required for a step scaling policy.")
    if configuration.get("MinAdjustmentMagnitude") and configuration["AdjustmentType"] != "PercentChangeInCapacity":
        raise ValidationError("MinAdjustmentMagnitude is only for the AdjustmentType PercentChangeInCapacity.")
    if configuration["AdjustmentType"] == "ExactCapacity" and any(each["ScalingAdjustment"] < 0 for each in steps):
        raise ValidationError("ScalingAdjustment must not be negative with the AdjustmentType ExactCapacity.")
    spans = sorted(
        (each.get("MetricIntervalLowerBound", -math.inf), each.get("MetricIntervalUpperBound", math.inf))
        for each in steps
    )
    for lower, upper in spans:
        if not lower < upper or ((lower, upper) == (-math.inf, math.inf) and len(spans) > 1):
            raise ValidationError("The lower bound of a step adjustment must be less than its upper bound.")
    for (_, upper), (lower, _) in itertools.pairwise(spans):
        if upper != lower:
            raise ValidationError(
                "The step adjustment intervals must not overlap, and there must be no gap between them."
            )
    if spans[0][0] < 0 and spans[0][0] != -math.inf:
        raise ValidationError(
            "There must be a step adjustment without a lower bound if one has a negative lower bound."
        )
    if spans[-1][1] > 0 and spans[-1][1] != math.inf:
        raise ValidationError(
            "There must be a step adjustment without an upper bound if one has a positive upper bound."
        )
