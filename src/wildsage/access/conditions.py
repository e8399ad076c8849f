"""The Condition element: operators over the request's context keys.

Source: IAM User Guide, "Condition operators" and "Multivalued context keys".  All operators of a Condition and all keys
of an operator must hold; of a key's values one is enough (none may match for the negated operators).  A key that the
request does not have fails the positive operators and satisfies the negated ones and ``…IfExists``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from wildsage.access.patterns import Context, arn_matcher, fill, matcher
from wildsage.core.errors import WildsageError


class PolicyError(WildsageError):
    """A policy document that IAM would refuse as MalformedPolicyDocument."""


Test = Callable[[str, Context], bool]
Condition = Callable[[Context], bool]


def _text(compare: Callable[[str, str], bool]) -> Callable[[str], Test]:
    def build(wanted: str) -> Test:
        def test(value: str, context: Context) -> bool:
            filled = fill(wanted, context)
            return filled is not None and compare(value, filled)

        return test

    return build


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PolicyError(f"{text!r} is not a number") from None


def _moment(text: str) -> float:
    """Epoch seconds of an ISO 8601 date or of epoch seconds."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PolicyError(f"{text!r} is not a date") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Callable[[str], Test]:
    def build(wanted: str) -> Test:
        limit = read(wanted)

        def test(value: str, context: Context) -> bool:
            try:
                return compare(read(value), limit)
            except PolicyError:
                return False

        return test

    return build


def _address(wanted: str) -> Test:
    try:
        network = ip_network(wanted, strict=False)
    except ValueError:
        raise PolicyError(f"{wanted!r} is not an IP address or CIDR block") from None

    def test(value: str, context: Context) -> bool:
        try:
            return ip_address(value) in network
        except ValueError:
            return False

    return test


def _binary(wanted: str) -> Test:
    try:
        raw = base64.b64decode(wanted, validate=True)
    except binascii.Error:
        raise PolicyError(f"{wanted!r} is not base64") from None
    return lambda value, context: value.encode() == raw


def _boolean(wanted: str) -> Test:
    return lambda value, context: value.lower() == wanted.lower()


# operator → (test of one value, whether the operator is negated)
_OPERATORS: Mapping[str, tuple[Callable[[str], Test], bool]] = {
    "StringEquals": (_text(str.__eq__), False),
    "StringNotEquals": (_text(str.__eq__), True),
    "StringEqualsIgnoreCase": (_text(lambda value, wanted: value.lower() == wanted.lower()), False),
    "StringNotEqualsIgnoreCase": (_text(lambda value, wanted: value.lower() == wanted.lower()), True),
    "StringLike": (matcher, False),
    "StringNotLike": (matcher, True),
    "NumericEquals": (_ordered(_number, float.__eq__), False),
    "NumericNotEquals": (_ordered(_number, float.__eq__), True),
    "NumericLessThan": (_ordered(_number, float.__lt__), False),
    "NumericLessThanEquals": (_ordered(_number, float.__le__), False),
    "NumericGreaterThan": (_ordered(_number, float.__gt__), False),
    "NumericGreaterThanEquals": (_ordered(_number, float.__ge__), False),
    "DateEquals": (_ordered(_moment, float.__eq__), False),
    "DateNotEquals": (_ordered(_moment, float.__eq__), True),
    "DateLessThan": (_ordered(_moment, float.__lt__), False),
    "DateLessThanEquals": (_ordered(_moment, float.__le__), False),
    "DateGreaterThan": (_ordered(_moment, float.__gt__), False),
    "DateGreaterThanEquals": (_ordered(_moment, float.__ge__), False),
    "Bool": (_boolean, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
    "ArnEquals": (arn_matcher, False),
    "ArnLike": (arn_matcher, False),
    "ArnNotEquals": (arn_matcher, True),
    "ArnNotLike": (arn_matcher, True),
}


def _values(raw: Any) -> list[str]:
    items = raw if isinstance(raw, list) else [raw]
    found: list[str] = []
    for item in items:
        if isinstance(item, bool):
            found.append("true" if item else "false")
        elif isinstance(item, str | int | float):
            found.append(str(item))
        else:
            raise PolicyError("condition values must be strings, numbers or booleans")
    return found


def _null(key: str, wanted: Sequence[str]) -> Condition:
    absent = {"true": True, "false": False}
    try:
        accepted = {absent[value.lower()] for value in wanted}
    except KeyError:
        raise PolicyError("Null takes true or false") from None
    return lambda context: (key not in context) in accepted


def _single(key: str, tests: Sequence[Test], negated: bool, if_exists: bool) -> Condition:
    def holds(context: Context) -> bool:
        values = context.get(key)
        if values is None:
            return negated or if_exists
        return any(test(value, context) for test in tests for value in values) is not negated

    return holds


def _for_all(key: str, tests: Sequence[Test], negated: bool) -> Condition:
    """Every value of the request; true where there is none."""
    return lambda context: all(
        any(test(value, context) for test in tests) is not negated for value in context.get(key, ())
    )


def _for_any(key: str, tests: Sequence[Test], negated: bool) -> Condition:
    """At least one value of the request; false where there is none."""
    return lambda context: any(
        any(test(value, context) for test in tests) is not negated for value in context.get(key, ())
    )


def _one(operator: str, key: str, wanted: Sequence[str]) -> Condition:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        return _null(key, wanted)
    if name not in _OPERATORS:
        raise PolicyError(f"the condition operator {operator!r} is not known")
    build, negated = _OPERATORS[name]
    tests = [build(value) for value in wanted]
    if quantifier == "ForAllValues":
        return _for_all(key, tests, negated)
    if quantifier == "ForAnyValue":
        return _for_any(key, tests, negated)
    if quantifier:
        raise PolicyError(f"the set operator {quantifier!r} is not known")
    return _single(key, tests, negated, if_exists)


def compile_conditions(element: Any) -> tuple[Condition, ...]:
    """The tests of a Condition element; raises PolicyError. Keys are looked up in lower case."""
    if not isinstance(element, Mapping):
        raise PolicyError("Condition must be an object")
    found: list[Condition] = []
    for operator, keys in element.items():
        if not isinstance(keys, Mapping):
            raise PolicyError(f"the condition {operator} must be an object")
        found += [_one(operator, key.lower(), _values(raw)) for key, raw in keys.items()]
    return tuple(found)
