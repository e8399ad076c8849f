"""What becomes of the capacity when several policies have their say. Pure.

Source: Application Auto Scaling User Guide, "Multiple scaling policies": the largest capacity wins, out and in. Target
tracking policies scale in only if all of them are ready to; a step policy scales in whatever these say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wildsage.store.codec import Document


@dataclass(frozen=True, slots=True)
class Say:
    """What a policy asks for. ``tracks``: of target tracking, with scaling in. ``alarm``: what it was asked by."""

    policy: str
    alarm: str
    wanted: int | None
    tracks: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Scale to ``capacity`` because of ``say``; or do not, for ``reason`` (a NotScaledReason)."""

    say: Say
    capacity: int
    reason: Document | None = None


def decide(
    says: Sequence[Say], capacity: int, bounds: tuple[int, int], suspended: tuple[bool, bool] = (False, False)
) -> Verdict | None:
    """None if nobody asks for anything. ``suspended``: scaling in, scaling out."""
    asked = [(each.wanted, each) for each in says if each.wanted is not None]
    outs = [] if suspended[1] else [each for each in asked if each[0] > capacity]
    ins = [] if suspended[0] else [each for each in asked if each[0] < capacity]
    if any(each.tracks and (each.wanted is None or each.wanted >= capacity) for each in says):
        ins = [each for each in ins if not each[1].tracks]
    chosen = max(outs or ins, key=lambda each: each[0], default=None)
    if chosen is None:
        idle = [each for each in asked if each[0] == capacity]
        if not idle:
            return None
        return Verdict(idle[0][1], capacity, {"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": capacity})
    least, most = bounds
    within = max(least, min(chosen[0], most))
    if chosen[0] > capacity >= within:
        reason = {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": most, "CurrentCapacity": capacity}
        return Verdict(chosen[1], capacity, reason)
    if chosen[0] < capacity <= within:
        reason = {"Code": "AlreadyAtMinCapacity", "MinCapacity": least, "CurrentCapacity": capacity}
        return Verdict(chosen[1], capacity, reason)
    return Verdict(chosen[1], within)
