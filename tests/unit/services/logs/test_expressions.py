"""The regular expressions of filter patterns, beside Python's own matcher."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildsage.core.errors import ApiError
from wildsage.services.logs.expressions import search

ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "-",
        "_",
        ".",
        "[ab]",
        "[^a]",
        "[a-c1]",
        "[-a]",
        r"\d",
        r"\D",
        r"\w",
        r"\s",
        r"\.",
        r"[\d_]",
        r"\x61",
    ]
)
TIMES = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{1,2}", "{0,2}", "{1,}", "{0,}"])
PIECES = st.lists(st.tuples(ATOMS, TIMES).map("".join), max_size=5).map("".join)
ALTERNATIVES = st.tuples(st.sampled_from(["", "^"]), PIECES, st.sampled_from(["", "$"])).map("".join)
EXPRESSIONS = st.lists(ALTERNATIVES, min_size=1, max_size=3).map("|".join)
TEXTS = st.text(st.sampled_from("ab1-_. c\té"), max_size=12)


@settings(max_examples=500, derandomize=True)
@given(EXPRESSIONS, TEXTS)
def test_it_finds_what_pythons_matcher_finds(expression: str, text: str) -> None:
    assert search(expression)(text) is (re.search(expression, text, re.ASCII) is not None)


@pytest.mark.parametrize("expression", ["a*a*a*a*a*a*b", ".*.*.*.*=", "[a-z]+[a-z]+[a-z]+1", "a{1,40}a{1,40}a{1,40}b"])
def test_no_expression_takes_long(expression: str) -> None:
    assert not search(expression)("a" * 200_000 + " ")


@pytest.mark.parametrize("expression", ["a[ab]{999}c", "a[ab]{0,999}c", "[ab]{500}a[ab]{0,500}c"])
def test_long_repetitions_of_what_changes_take_no_longer(expression: str) -> None:
    chance = random.Random(1)
    text = "".join(chance.choices("ab", k=100_000))
    began = time.process_time()
    assert not search(expression)(text)
    assert time.process_time() - began < 5.0  # half a minute, were each place looked at for each character


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("(a|b)", "'(' is not supported"),
        ("something!", "'!' is not supported"),
        ("é", "is not supported"),
        (r"\b", r"\b is not supported"),
        (r"\xg1", "two hexadecimal digits"),
        ("[ab", "ends too early"),
        ("[]", "empty"),
        ("[b-a]", "not in order"),
        (r"[\d-a]", "not in order"),
        ("a{2,1}", "wrong order"),
        ("a{x}", "wants one number"),
        ("a{,3}", "wants one number"),
        ("a{3", "wants one number"),
        ("a{99999999999999}", "longer than"),
        ("a{1500}b{1500}", "longer than"),
        ("*a", "'*' is not supported there"),
        ("a**", "'*' is not supported there"),
        ("a$b", "nothing can follow"),
        ("a^", "'^' is not supported there"),
        ("a\\", "ends too early"),
    ],
)
def test_what_is_not_valid_is_refused_in_words(expression: str, words: str) -> None:
    with pytest.raises(ApiError, match=re.escape(words)) as caught:
        search(expression)
    assert caught.value.code == "InvalidParameterException"
