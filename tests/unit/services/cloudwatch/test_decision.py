"""Alarm decisions: the tables of the CloudWatch User Guide, letter by letter, and what follows from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.core.errors import ApiError
from wildsage.services.cloudwatch.alarms import composite, reasons
from wildsage.services.cloudwatch.alarms.decision import ALARM, INSUFFICIENT, OK, Rule, decide, few

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
KEEP = None


def values(drawn: str) -> list[float | None]:
    """``0`` is fine, ``X`` is breaching, ``-`` is missing."""
    return [{"0": 0.0, "X": 9.0, "-": None}[each] for each in drawn.split()]


# "How alarm state is evaluated when data is missing": 3 out of 3, then 2 out of 3.
@pytest.mark.parametrize(
    ("drawn", "needed", "expected"),
    [
        ("0 - X - X", 3, (OK, OK, OK, OK)),
        ("0 - - - -", 3, (OK, OK, OK, OK)),
        ("- - - - -", 3, (INSUFFICIENT, KEEP, ALARM, OK)),
        ("0 X X - X", 3, (ALARM, ALARM, ALARM, ALARM)),
        ("- - X - -", 3, (ALARM, KEEP, ALARM, OK)),
        ("0 - X - X", 2, (ALARM, ALARM, ALARM, ALARM)),
        ("0 0 X 0 X", 2, (ALARM, ALARM, ALARM, ALARM)),
        ("0 - X - -", 2, (OK, OK, ALARM, OK)),
        ("- - - - 0", 2, (OK, OK, ALARM, OK)),
        ("- - - X -", 2, (ALARM, KEEP, ALARM, OK)),
    ],
)
def test_the_tables_of_the_user_guide(drawn: str, needed: int, expected: tuple[str | None, ...]) -> None:
    found = tuple(
        decide(values(drawn), Rule("GreaterThanThreshold", 5, 3, needed, treatment)) for treatment in TREATMENTS
    )
    assert found == expected


@given(st.lists(st.sampled_from([0.0, 9.0]), min_size=5, max_size=5), st.integers(1, 3), st.sampled_from(TREATMENTS))
def test_without_gaps_the_latest_count(found: list[float], needed: int, treatment: str) -> None:
    rule = Rule("GreaterThanThreshold", 5, 3, needed, treatment)
    assert decide(found, rule) == (ALARM if found[-3:].count(9.0) >= needed else OK)


@given(st.lists(st.sampled_from([0.0, 9.0, None]), min_size=5, max_size=5), st.integers(1, 3))
def test_how_missing_data_is_treated_is_ordered(found: list[float | None], needed: int) -> None:
    states = {each: decide(found, Rule("GreaterThanThreshold", 5, 3, needed, each)) for each in TREATMENTS}
    if states["notBreaching"] == ALARM:
        assert set(states.values()) == {ALARM}
    if states["breaching"] == OK:
        assert set(states.values()) <= {OK}


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanThreshold", 5, OK),
        ("GreaterThanOrEqualToThreshold", 5, ALARM),
        ("LessThanThreshold", 5, OK),
        ("LessThanOrEqualToThreshold", 5, ALARM),
        ("LessThanThreshold", 4, ALARM),
    ],
)
def test_comparisons(comparison: str, value: float, state: str) -> None:
    assert decide([value], Rule(comparison, 5, 1, 1)) == state


def test_reasons_are_worded_as_aws_words_them() -> None:
    rule = Rule("GreaterThanThreshold", 5, 1, 1)
    at = 1_700_000_040
    assert reasons.reason({at: 6.0}, rule, ALARM) == (
        "Threshold Crossed: 1 out of the last 1 datapoint [6.0 (14/11/23 22:14:00)] was greater than the threshold "
        "(5.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert "was not greater than the threshold (5.0)" in reasons.reason({at: 1.0}, rule, OK)
    assert reasons.reason({at: None}, rule, INSUFFICIENT) == "Insufficient Data: 1 datapoint was unknown."
    assert "1 missing datapoint was treated as [Breaching]" in reasons.reason({at: None}, rule, ALARM)


def test_percentiles_of_few_samples() -> None:
    assert few(99, 999)
    assert not few(99, 1001)
    assert few(10, 99)
    assert not few(50, 20)


def test_composite_rules() -> None:
    rule = composite.parse('ALARM("a b") AND NOT (OK(c) OR INSUFFICIENT_DATA(d)) OR FALSE')
    assert composite.children(rule) == {"a b", "c", "d"}
    assert composite.holds(rule, {"a b": ALARM, "c": ALARM, "d": OK})
    assert not composite.holds(rule, {"a b": ALARM, "c": OK, "d": OK})
    assert composite.children(composite.parse("OK(arn:aws:cloudwatch:us-east-1:000000000000:alarm:x)")) == {"x"}
    for text in ("", "ALARM(a", "ALARM(a) OR", "AT_LEAST(1, a)", "ALARM(a) ALARM(b)"):
        with pytest.raises(ApiError, match="AlarmRule"):
            composite.parse(text)


def test_a_composite_rule_as_long_as_one_may_be() -> None:
    rule = composite.parse(" AND ".join(["TRUE"] * 1200))
    assert composite.children(rule) == set()
    assert composite.holds(rule, {})
    assert not composite.holds(composite.parse(" OR ".join(["FALSE"] * 1200)), {})
