"""Target tracking: how many instances keep a metric at its target. Pure.

Source: Application Auto Scaling User Guide, "How target tracking scaling works": scale out as fast as the metric asks
for, in proportion; scale in gradually, so that the metric does not go over its target again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wildsage.services.applicationautoscaling.memory import History
from wildsage.store.codec import Document

DEFAULT_COOLDOWN = 300
"""Of variants of endpoints (API reference, TargetTrackingScalingPolicyConfiguration)."""
IN_SHARE = 0.9
"""Below this share of the target the low alarm goes off."""
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Tracking:
    """A target tracking policy; cooldowns in seconds."""

    target: float
    out_cooldown: float = DEFAULT_COOLDOWN
    in_cooldown: float = DEFAULT_COOLDOWN
    scales_in: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """``high``, ``low``: whether these alarms are in ALARM. ``values``: (begin of the period, value), oldest first."""

    high: bool
    low: bool
    values: Sequence[tuple[float, float]] = ()


def read(configuration: Document) -> Tracking:
    """Of a TargetTrackingScalingPolicyConfiguration."""

    def cooldown(member: str) -> float:
        given = configuration.get(member)
        return float(DEFAULT_COOLDOWN if given is None else given)

    return Tracking(
        float(configuration["TargetValue"]),
        cooldown("ScaleOutCooldown"),
        cooldown("ScaleInCooldown"),
        not configuration.get("DisableScaleIn"),
    )


def wanted(policy: Tracking, seen: Seen, capacity: int, history: History, now: float) -> int | None:
    """The capacity the policy asks for; None while it asks for nothing.

    A value counts only if its period began after the capacity last changed: one from before is about another capacity.
    """
    fresh = [value for at, value in seen.values if at >= history.ended]
    if not fresh:
        return None
    if seen.high:
        cooling = now < history.out.at + policy.out_cooldown
        # While it cools down, what the last scale-out has added is part of what this one would add.
        base = history.out.before if cooling else capacity
        return max(_needed(base, fresh[-1], policy.target), capacity)
    if seen.low and policy.scales_in and now >= history.into.at + policy.in_cooldown:
        return min(_needed(capacity, max(fresh), policy.target), capacity)
    return None


def _needed(capacity: int, value: float, target: float) -> int:
    return math.ceil(capacity * value / target - _SLACK)
