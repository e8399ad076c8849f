"""Target tracking against load curves: minute by minute, with the alarms as CloudWatch decides them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from wildsage.services.applicationautoscaling.decision import Say, decide
from wildsage.services.applicationautoscaling.memory import Change, History
from wildsage.services.applicationautoscaling.tracking import Seen, Tracking, read, wanted
from wildsage.services.cloudwatch.alarms.decision import ALARM, BEYOND, Rule
from wildsage.services.cloudwatch.alarms.decision import decide as evaluate

MINUTE = 60.0


@dataclass
class Plant:
    """A variant whose load per minute is shared by its instances; a change of the capacity takes ``delay`` minutes."""

    policy: Tracking
    bounds: tuple[int, int] = (1, 10)
    capacity: int = 1
    delay: int = 1

    def follow(self, loads: Sequence[float | None]) -> list[int]:
        """The capacity in each minute. A load of None: there was none, so there is no value."""
        high = Rule("GreaterThanThreshold", self.policy.target, 3, 3)
        low = Rule("LessThanThreshold", self.policy.target * 0.9, 15, 15)
        states = {"high": "", "low": ""}
        values: list[float | None] = []
        history, shown, coming = History(), [], None
        for minute, load in enumerate(loads):
            now = (minute + 1) * MINUTE
            values.append(None if load is None else load / self.capacity)
            shown.append(self.capacity)
            for name, rule in (("high", high), ("low", low)):
                states[name] = evaluate(values[-rule.periods - BEYOND :], rule) or states[name]
            if coming is not None:
                until, new = coming
                if minute >= until:
                    change = Change(now, self.capacity)
                    history = (
                        History(change, history.into, now) if new > self.capacity else History(history.out, change, now)
                    )
                    self.capacity, coming = new, None
                continue
            points = [(at * MINUTE, value) for at, value in enumerate(values) if value is not None][-15:]
            seen = Seen(states["high"] == ALARM, states["low"] == ALARM, points)
            asked = wanted(self.policy, seen, self.capacity, history, now)
            verdict = decide([Say("p", "a", asked, self.policy.scales_in)], self.capacity, self.bounds)
            if verdict is not None and verdict.reason is None:
                coming = minute + self.delay, verdict.capacity
        return shown


def runs(capacities: Sequence[int]) -> list[tuple[int, int]]:
    """(capacity, for how many minutes)."""
    found: list[tuple[int, int]] = []
    for each in capacities:
        if found and found[-1][0] == each:
            found[-1] = each, found[-1][1] + 1
        else:
            found.append((each, 1))
    return found


QUICK = Tracking(100.0, 60, 60)
CURVES: dict[str, tuple[Tracking, Sequence[float | None], list[tuple[int, int]]]] = {
    # A jump: three minutes over the target, one for the change, and all at once.
    "jump": (QUICK, [50.0] * 5 + [400.0] * 12, [(1, 9), (4, 8)]),
    # A ramp: three minutes' delay, and then in steps.
    "ramp": (QUICK, [50.0 + 20 * minute for minute in range(20)], [(1, 7), (2, 5), (3, 5), (4, 3)]),
    # Back: fifteen minutes below nine tenths.
    "back": (QUICK, [400.0] * 6 + [100.0] * 40, [(1, 4), (4, 18), (1, 24)]),
    # Within the target and nine tenths of it nothing moves.
    "still": (QUICK, [95.0] * 40, [(1, 40)]),
    "spike of two minutes": (QUICK, [50.0] * 5 + [500.0] * 2 + [50.0] * 20, [(1, 27)]),
    # No invocations, no values: AWS does not scale in either.
    "silence": (QUICK, [400.0] * 6 + [None] * 40, [(1, 4), (4, 42)]),
    "never in": (Tracking(100.0, 60, 60, False), [400.0] * 6 + [10.0] * 40, [(1, 4), (4, 42)]),
    # The cooldown of 300 s: what grows meanwhile waits, for it counts from the capacity before.
    "growing while it cools down": (
        Tracking(100.0, 300, 300),
        [50.0] * 5 + [190.0] * 5 + [390.0] * 15,
        [(1, 9), (2, 6), (4, 10)],
    ),
    "over the maximum": (QUICK, [50.0] * 5 + [5000.0] * 10, [(1, 9), (10, 6)]),
}


@pytest.mark.parametrize("name", CURVES)
def test_load_curves(name: str) -> None:
    policy, loads, expected = CURVES[name]
    assert runs(Plant(policy).follow(loads)) == expected


def test_a_load_that_falls_slowly_is_never_short() -> None:
    """Scaling in never takes an instance that the next minute needs."""
    loads = [1000.0 - 10 * minute for minute in range(95)]
    capacities = Plant(QUICK, capacity=10).follow(loads)
    assert capacities[-1] < 5
    assert all(load / capacity <= QUICK.target for load, capacity in zip(loads, capacities, strict=True))


def test_a_value_from_before_the_last_change_does_not_count() -> None:
    history = History(Change(600.0, 1), Change(), 600.0)
    assert wanted(Tracking(10.0, 0, 0), Seen(True, False, [(540.0, 40.0)]), 4, history, 605.0) is None
    assert wanted(Tracking(10.0, 0, 0), Seen(True, False, [(540.0, 40.0), (600.0, 20.0)]), 4, history, 660.0) == 8


def test_cooldowns() -> None:
    scaled_out = History(Change(600.0, 2), Change(), 600.0)
    high = Seen(True, False, [(600.0, 30.0)])
    # 2 × 3 = 6 instances of the capacity before; 3 of them were added already.
    assert wanted(Tracking(10.0, 300, 300), high, 5, scaled_out, 660.0) == 6
    assert wanted(Tracking(10.0, 300, 300), high, 5, scaled_out, 900.0) == 15
    scaled_in = History(Change(), Change(600.0, 5), 600.0)
    low = Seen(False, True, [(600.0, 5.0)])
    assert wanted(Tracking(10.0, 300, 300), low, 4, scaled_in, 660.0) is None
    assert wanted(Tracking(10.0, 300, 300), low, 4, scaled_in, 900.0) == 2
    # A scale-out does not wait for the cooldown of a scale-in.
    assert wanted(Tracking(10.0, 300, 300), high, 4, scaled_in, 660.0) == 12


def test_what_the_configuration_leaves_out() -> None:
    assert read({"TargetValue": 5}) == Tracking(5.0, 300.0, 300.0, True)
    given = {"TargetValue": 5, "ScaleOutCooldown": 0, "ScaleInCooldown": 7, "DisableScaleIn": True}
    assert read(given) == Tracking(5.0, 0.0, 7.0, False)
