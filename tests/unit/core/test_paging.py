"""Pagination tokens: ours come back, whatever else a client sends is a ValueError."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from wildsage.core import paging

NOBODYS = [5, -1, 2**63, {}, [], ["a"], ["a", "b"], [1, 2, 3], ["\ud800", 1], [2**70, 1], ["a", 2**63], [None, 1]]


@pytest.mark.parametrize("value", [["name", 7], [1.5, 0], [1700000000, 3]])
def test_a_position_comes_back(value: list[Any]) -> None:
    assert paging.position(paging.encode(value)) == tuple(value)
    assert paging.position(None) is None


@pytest.mark.parametrize("value", NOBODYS)
def test_what_is_no_position_is_said(value: Any) -> None:
    with pytest.raises(ValueError):
        paging.position(paging.encode(value))


def test_a_moment_comes_back() -> None:
    assert paging.moment(paging.encode((1_700_000_000_123, 7))) == (1_700_000_000_123, 7)
    assert paging.moment(None) is None
    for value in (*NOBODYS, ["a", 1], [1.5, 1], [-1, 1]):
        with pytest.raises(ValueError):
            paging.moment(paging.encode(value))


def test_offsets_and_names() -> None:
    assert paging.offset(paging.encode(12)) == 12
    assert paging.offset(None) == 0
    assert paging.text(paging.encode("a/b")) == "a/b"
    assert paging.text(None) == ""
    for value in (-1, 2**63, "a", [1], 1.5):
        with pytest.raises(ValueError):
            paging.offset(paging.encode(value))
    for name in (5, ["a"], "\ud800"):
        with pytest.raises(ValueError):
            paging.text(paging.encode(name))


def test_nesting_is_no_crash() -> None:
    token = base64.urlsafe_b64encode(b"[" * 6000).decode()
    with pytest.raises(ValueError, match="not valid"):
        paging.decode(token)
