from collections import Counter
from dataclasses import dataclass

import pytest

from wildsage.dataplane.choice import by_weight, least_busy


@dataclass
class Slot:
    outstanding: int


def test_shares_are_proportional_to_weights() -> None:
    points = [number / 1000 for number in range(1000)]
    assert Counter(by_weight([1, 3], point) for point in points) == {0: 250, 1: 750}
    assert Counter(by_weight([0.2, 0.2, 0.6], point) for point in points)[2] == 600


def test_a_variant_without_weight_gets_nothing() -> None:
    assert {by_weight([0, 5, 0], point) for point in (0.0, 0.5, 0.999999999999999999)} == {1}
    assert by_weight([1, 0], 0.9999999999999999) == 0
    with pytest.raises(ValueError, match="weight"):
        by_weight([0, 0], 0.5)


def test_the_least_busy_instance_is_chosen() -> None:
    assert least_busy([Slot(2), Slot(1), Slot(3)], 0) == 1
    assert least_busy([Slot(2), Slot(1), Slot(0)], 7) == 2


def test_ties_are_broken_in_turn() -> None:
    slots = [Slot(0), Slot(0), Slot(0)]
    assert [least_busy(slots, turn) for turn in range(6)] == [0, 1, 2, 0, 1, 2]
