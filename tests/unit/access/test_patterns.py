"""Wildcards against their definition, and against those who count on regular expressions that never end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.access.patterns import expression, matcher
from wildsage.core.routes import ObjectGrant, Permission, Routes
from wildsage.dataplane.table import Table

ENDLESS = "*a" * 12 + "*b"
VALUE = "a" * 1000


def means(pattern: str, value: str) -> bool:
    """The definition, by recursion."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(means(pattern[1:], value[at:]) for at in range(len(value) + 1))
    return bool(value) and pattern[0] in ("?", value[0]) and means(pattern[1:], value[1:])


@given(st.text("ab*?", max_size=8), st.text("ab\n", max_size=8))
def test_wildcards_mean_what_they_should(pattern: str, value: str) -> None:
    assert (re.fullmatch(expression(pattern), value, re.DOTALL) is not None) is means(pattern, value)
    assert matcher(pattern)(value, {}) is means(pattern, value)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("x/${aws:username}*/?", "x/a*b-1/c", True),
        ("*${aws:username}*c", "--a*b--c", True),
        ("*${aws:username}*c", "--axb--c", False),
        ("${missing}*", "anything", False),
    ],
)
def test_what_stands_for_a_variable_is_no_wildcard(pattern: str, value: str, expected: bool) -> None:
    assert matcher(pattern)(value, {"aws:username": ("a*b",)}) is expected


def test_no_pattern_takes_long() -> None:
    assert not matcher(ENDLESS)(VALUE, {})
    assert not matcher("${aws:username}" + ENDLESS)("u" + VALUE, {"aws:username": ("u",)})
    table = Table()
    permission = Permission(allow=(ENDLESS,))
    table.put(Routes(1, "1", "00", objects={"p": ObjectGrant("u", permission, permission)}))
    assert not table.may_read("p", "u", VALUE)
