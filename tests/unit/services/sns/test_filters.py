"""Filter policies: the examples of the SNS Developer Guide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wildsage.core.errors import ApiError
from wildsage.services.sns import filters

_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "store": {"DataType": "String", "StringValue": "example_corp"},
    "event": {"DataType": "String", "StringValue": "order_cancelled"},
    "interests": {"DataType": "String.Array", "StringValue": '["rugby", "baseball"]'},
    "price": {"DataType": "Number", "StringValue": "210.75"},
    "address": {"DataType": "String", "StringValue": "10.0.0.7"},
    "secret": {"DataType": "Binary", "BinaryValue": b"x"},
}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, True),
        ({"store": ["example_corp"]}, True),
        ({"store": ["other", "example_corp"], "event": ["order_cancelled"]}, True),
        ({"store": ["example_corp"], "event": ["order_placed"]}, False),
        ({"missing": ["x"]}, False),
        ({"interests": ["rugby"]}, True),
        ({"interests": [{"anything-but": ["rugby", "tennis"]}]}, True),
        ({"interests": [{"anything-but": ["rugby", "baseball"]}]}, False),
        ({"missing": [{"anything-but": ["x"]}]}, False),
        ({"event": [{"anything-but": {"prefix": "order_c"}}]}, False),
        ({"event": [{"anything-but": {"prefix": "order-"}}]}, True),
        ({"event": [{"prefix": "order_"}]}, True),
        ({"event": [{"suffix": "_cancelled"}]}, True),
        ({"event": [{"suffix": "_placed"}]}, False),
        ({"event": [{"equals-ignore-case": "ORDER_Cancelled"}]}, True),
        ({"event": [{"wildcard": "order_*led"}]}, True),
        ({"event": [{"wildcard": "*placed"}]}, False),
        ({"price": [210.75]}, True),
        ({"price": [{"numeric": [">=", 100, "<", 211]}]}, True),
        ({"price": [{"numeric": ["=", 100]}]}, False),
        ({"price": [{"numeric": ["<", 5]}, {"numeric": [">", 200]}]}, True),
        ({"store": [{"exists": True}]}, True),
        ({"store": [{"exists": False}]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"secret": [{"exists": True}]}, False),
        ({"address": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"address": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"store": ["example_corp"], "$or": [{"event": ["x"]}, {"price": [{"numeric": [">", 1]}]}]}, True),
        ({"store": ["example_corp"], "$or": [{"event": ["x"]}, {"price": [{"numeric": ["<", 1]}]}]}, False),
    ],
)
def test_attributes(policy: dict[str, Any], expected: bool) -> None:
    parsed = filters.parse(json.dumps(policy), "MessageAttributes")
    assert filters.matches(parsed, filters.of_attributes(_ATTRIBUTES)) is expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"detail": {"status": ["done"]}}, True),
        ({"detail": {"status": ["failed"]}}, False),
        ({"detail": {"code": [{"numeric": [">", 1]}]}}, True),
        ({"items": {"name": ["b"]}}, True),
        ({"items": {"name": ["c"]}}, False),
        ({"nothing": {"here": [{"exists": False}]}}, True),
        ({"flag": [True]}, True),
        ({"flag": [1]}, False),
        ({"none": [None]}, True),
    ],
)
def test_the_body(policy: dict[str, Any], expected: bool) -> None:
    body = {
        "detail": {"status": "done", "code": 2},
        "items": [{"name": "a"}, {"name": "b"}],
        "flag": True,
        "none": None,
    }
    found = filters.of_body(json.dumps(body))
    assert found is not None
    assert filters.matches(filters.parse(json.dumps(policy), "MessageBody"), found) is expected


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 9000,
        '{"a": [{"anything-but": {"prefix": 5}}]}',
        "[]",
        '{"a": "b"}',
        '{"a": []}',
        '{"a": [{"odd": 1}]}',
        '{"a": [[1]]}',
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="FilterPolicy"):
        filters.parse(text, "MessageAttributes")


def test_no_pattern_takes_long() -> None:
    policy = filters.parse(json.dumps({"a": [{"wildcard": "*a" * 30 + "b"}]}), "MessageAttributes")
    assert not filters.matches(policy, {"a": "a" * 5000})
    assert filters.matches(policy, {"a": "a" * 5000 + "b"})


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [("a*a", "a", False), ("a*a", "aa", True), ("*", "", True), ("a*b*c", "acb-bc", True), ("a*b*c", "ac", False)],
)
def test_wildcards(pattern: str, value: str, expected: bool) -> None:
    policy = filters.parse(json.dumps({"a": [{"wildcard": pattern}]}), "MessageAttributes")
    assert filters.matches(policy, {"a": value}) is expected


def test_a_policy_has_an_end() -> None:
    """A policy that recursion cannot follow would make every Publish to the topic fail."""
    with pytest.raises(ApiError):
        filters.parse('{"a":' * 300 + '["x"]' + "}" * 300, "MessageBody")
