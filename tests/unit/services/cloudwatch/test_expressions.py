"""Metric math without a store: what an expression is worth, and that none is too much."""

from __future__ import annotations

import pytest

from wildsage.core.errors import ApiError
from wildsage.services.cloudwatch.expressions.evaluate import Surroundings, evaluate
from wildsage.services.cloudwatch.expressions.parse import parse
from wildsage.services.cloudwatch.expressions.values import Series, Span, Value

SPAN = Span(0, 600)
GAPS = Series({60: 1.0, 240: 4.0, 300: 3.0}, 60)


def value(text: str, span: Span = SPAN) -> Value:
    return evaluate(parse(text), Surroundings({"m": GAPS}, ("m",), span))


def series(text: str) -> list[tuple[int, float]]:
    found = value(text)
    assert isinstance(found, Series)
    return list(found.values.items())


def test_gaps_are_filled() -> None:
    moments = list(range(0, 600, 60))
    assert series("FILL(m, LINEAR)") == [(60, 1), (120, 2), (180, 3), (240, 4), (300, 3)]
    assert series("FILL(m, REPEAT)") == list(zip(moments[1:], [1, 1, 1, 4, 3, 3, 3, 3, 3], strict=True))
    assert series("FILL(m, 0)") == list(zip(moments, [0, 1, 0, 0, 4, 3, 0, 0, 0, 0], strict=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SLICE([m], 1)", "no time series 1 in an array of 1"),
        ("SLICE([m], -1)", "no time series -1"),
        ("SORT([m], [m], ASC)", "SORT takes"),
        ("SORT([m], m, ASC)", "SORT takes"),
        ("m + 1e999", "cannot be read at position 5"),
        ("SUM(m / m * 1e308)", "SUM of these values is no number"),
        ("-" * 2000 + "m", "more than 1000"),
        ("-" * 500 + "m", "nested too deeply"),
        ("m" + "^m" * 100, "nested too deeply"),
        ("(" * 100 + "m", "nested too deeply"),
        ("m" + "+m" * 1000, "more than 1000"),
    ],
)
def test_what_has_no_value_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        value(text)
    assert caught.value.code == "ValidationError"


def test_a_long_sum_is_worth_what_it_says() -> None:
    assert value("1" + "+1" * 499) == 500


@pytest.mark.parametrize("text", ["TIME_SERIES(1)", "FILL(m, 0)", "FILL(m, LINEAR)"])
def test_a_series_without_gaps_has_an_end(text: str) -> None:
    with pytest.raises(ApiError, match="too long"):
        value(text, Span(0, 2_000_000_000))
