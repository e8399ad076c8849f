"""Step scaling and the decision among policies: tables."""

from __future__ import annotations

from typing import Any

import pytest

from wildsage.core.errors import ValidationError
from wildsage.services.applicationautoscaling.decision import Say, decide
from wildsage.services.applicationautoscaling.memory import Change, History
from wildsage.services.applicationautoscaling.steps import Alarmed, adjusted, check, step_for, wanted


def step(change: int, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
    bounds = {"MetricIntervalLowerBound": lower, "MetricIntervalUpperBound": upper}
    return {"ScalingAdjustment": change, **{name: value for name, value in bounds.items() if value is not None}}


# The example of the User Guide: a threshold of 60; 10 % from 70 on, 30 % from 80 on; the other way round below 40.
OUT = [step(0, 0, 10), step(10, 10, 20), step(30, 20)]
IN = [step(0, -10, 0), step(-10, -20, -10), step(-30, None, -20)]


@pytest.mark.parametrize(
    ("steps", "breach", "above", "expected"),
    [
        (OUT, 0, True, 0),
        (OUT, 10, True, 10),
        (OUT, 19.9, True, 10),
        (OUT, 20, True, 30),
        (OUT, 500, True, 30),
        (OUT, -1, True, None),
        (IN, 0, False, 0),
        (IN, -10, False, -10),
        (IN, -9.9, False, 0),
        (IN, -20, False, -30),
    ],
)
def test_which_step(steps: list[dict[str, Any]], breach: float, above: bool, expected: int | None) -> None:
    assert step_for(steps, breach, above) == expected


@pytest.mark.parametrize(
    ("kind", "change", "least", "capacity", "expected"),
    [
        ("ChangeInCapacity", 3, None, 5, 8),
        ("ChangeInCapacity", -3, None, 5, 2),
        ("ExactCapacity", 3, None, 5, 3),
        ("PercentChangeInCapacity", 10, None, 10, 11),
        ("PercentChangeInCapacity", 50, None, 1, 2),  # 0.5 becomes 1
        ("PercentChangeInCapacity", 10, None, 29, 31),  # 2.9 becomes 2
        ("PercentChangeInCapacity", -58, None, 10, 5),  # -5.8 becomes -5
        ("PercentChangeInCapacity", -5, None, 10, 9),
        ("PercentChangeInCapacity", 25, 2, 4, 6),
    ],
)
def test_adjustments(kind: str, change: int, least: int | None, capacity: int, expected: int) -> None:
    assert adjusted({"AdjustmentType": kind, "MinAdjustmentMagnitude": least}, change, capacity) == expected


def test_a_larger_step_while_it_cools_down() -> None:
    """The API reference's example: two were added, three are asked for, so one is."""
    policy = {"AdjustmentType": "ChangeInCapacity", "Cooldown": 300, "StepAdjustments": [step(2, 0, 10), step(3, 10)]}
    before = History(Change(600.0, 4), Change(), 600.0)
    assert wanted(policy, Alarmed(50, True, [(600.0, 55.0)]), 6, before, 700.0) == 6
    assert wanted(policy, Alarmed(50, True, [(600.0, 65.0)]), 6, before, 700.0) == 7
    assert wanted(policy, Alarmed(50, True, [(600.0, 65.0)]), 6, before, 900.0) == 9
    assert wanted(policy, Alarmed(50, True, [(540.0, 65.0)]), 6, before, 900.0) is None


@pytest.mark.parametrize(("name", "expected"), [("Average", 8), ("Minimum", 6), ("Maximum", 9), (None, 8)])
def test_aggregation(name: str | None, expected: int) -> None:
    steps = [step(1, 0, 10), step(3, 10, 30), step(4, 30)]
    policy = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps, "MetricAggregationType": name}
    alarm = Alarmed(0, True, [(0.0, 5.0), (60.0, 10.0), (120.0, 40.0)])
    assert wanted(policy, alarm, 5, History(), 200.0) == expected


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([], "required"),
        ([step(1, 0, 10), step(2, 20)], "gap"),
        ([step(1, 0, 10), step(2, 5)], "overlap"),
        ([step(1, 0, 10)], "upper bound"),
        ([step(1, -10, 0)], "lower bound"),
        ([step(1, 10, 0)], "less than its upper"),
        ([step(1), step(2, 5)], "must"),
    ],
)
def test_steps_that_cannot_be(steps: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        check({"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps})


def test_steps_that_can_be() -> None:
    for steps in (OUT, IN, [step(5)], [step(1, 0)], [step(-1, None, 0)]):
        check({"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": steps, "MinAdjustmentMagnitude": 1})


def says(*wishes: int | None, tracks: bool = True) -> list[Say]:
    return [Say(f"p{number}", "a", wish, tracks) for number, wish in enumerate(wishes)]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ((None, None), None),
        ((7, 6), 7),
        ((7, 2), 7),
        ((3, 2), 3),
        ((None, 2), None),  # one has nothing to say: nobody scales in
        ((4, 2), 4),  # one needs what is there
    ],
)
def test_the_largest_wins(wishes: tuple[int | None, ...], expected: int | None) -> None:
    found = decide(says(*wishes), 4, (1, 10))
    assert (found and found.capacity) == expected


def test_steps_scale_in_whatever_target_tracking_says() -> None:
    found = decide([*says(None), *says(2, tracks=False)], 4, (1, 10))
    assert found is not None
    assert (found.capacity, found.reason) == (2, None)


def test_bounds_and_suspension() -> None:
    at_most = decide(says(20), 10, (1, 10))
    assert at_most is not None
    assert at_most.reason == {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 10, "CurrentCapacity": 10}
    least = decide(says(1), 2, (2, 10))
    assert least is not None
    assert least.reason == {"Code": "AlreadyAtMinCapacity", "MinCapacity": 2, "CurrentCapacity": 2}
    assert decide(says(20), 4, (1, 10)) == decide(says(20), 4, (1, 10), (True, False))
    assert decide(says(20), 4, (1, 10), (False, True)) is None
    assert decide(says(2), 4, (1, 10), (True, False)) is None
    # Out of bounds already: no further away from them.
    outside = decide(says(15), 12, (1, 10))
    assert outside is not None
    assert outside.reason is not None
