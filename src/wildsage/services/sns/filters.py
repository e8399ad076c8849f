"""Filter policies: which messages a subscription wants. Pure.

Source: SNS Developer Guide, "Amazon SNS subscription filter policies".
"""

from __future__ import annotations

import ipaddress
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.services.sns import names

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    "equals-ignore-case": lambda value, wanted: value.casefold() == wanted.casefold(),
    "wildcard": lambda value, wanted: _wildcard(value, wanted),
}
_MOST_KEYS = 5
_MOST_DEPTH = 64  # far more than anyone writes, far less than what recursion takes


def parse(text: str, scope: str) -> dict[str, Any]:
    """The policy of JSON ``text``. Raises InvalidParameter."""
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise _invalid("Filter policy must be an object")
    if len(policy) > _MOST_KEYS:
        raise _invalid(f"Filter policy can not have more than {_MOST_KEYS} keys")
    _check(policy, nested=scope == "MessageBody", depth=1)
    return policy


def _invalid(reason: str) -> ApiError:
    return names.invalid(f"FilterPolicy: {reason}")


def _check(policy: Mapping[str, Any], nested: bool, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise _invalid(f"Filter policy can not have more than {_MOST_DEPTH} levels")
    for key, rule in policy.items():
        if key == "$or" and isinstance(rule, list) and all(isinstance(each, dict) for each in rule):
            for each in rule:
                _check(each, nested, depth + 1)
        elif isinstance(rule, dict) and nested:
            _check(rule, nested, depth + 1)
        elif isinstance(rule, list) and rule:
            for condition in rule:
                _check_condition(condition)
        else:
            raise _invalid(f'"{key}" must be an object or an array' if nested else f'"{key}" must be an array')


def _check_condition(condition: Any) -> None:
    if not isinstance(condition, dict):
        if isinstance(condition, list):
            raise _invalid("Match value must be String, number, true, false, or null")
        return
    if len(condition) != 1:
        raise _invalid("A condition must be an object with one operator")
    ((name, operand),) = condition.items()
    good = {
        "exists": isinstance(operand, bool),
        "numeric": _is_numeric(operand),
        "cidr": isinstance(operand, str) and _network(operand) is not None,
        "anything-but": _is_anything_but(operand),
    }.get(name, name in _TEXTS and isinstance(operand, str))
    if not good:
        raise _invalid(f"Unrecognized match type {name} or a value that it does not take")


def _is_numeric(operand: Any) -> bool:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        return False
    pairs = zip(operand[::2], operand[1::2], strict=True)
    return all(name in _COMPARE and _is_number(number) for name, number in pairs)


def _is_anything_but(operand: Any) -> bool:
    if isinstance(operand, dict):
        listed = [each if isinstance(each, list) else [each] for each in operand.values()]
        texts = all(isinstance(word, str) for each in listed for word in each)
        return len(operand) == 1 and all(name in _TEXTS for name in operand) and texts
    return bool(operand) and not (isinstance(operand, list) and any(isinstance(each, dict | list) for each in operand))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def matches(policy: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    """Whether every key of the policy is satisfied. ``message``: attributes, or the body, as JSON values."""
    for key, rule in policy.items():
        if key == "$or" and isinstance(rule, list) and all(isinstance(each, dict) for each in rule):
            if not any(matches(each, message) for each in rule):
                return False
        elif isinstance(rule, dict):
            if not _within(rule, message.get(key)):
                return False
        elif not any(_holds(condition, _values(message, key)) for condition in rule):
            return False
    return True


def _within(rule: Mapping[str, Any], value: Any) -> bool:
    """A nested policy; of a list one element must satisfy it."""
    found = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
    return any(matches(rule, each) for each in found or [{}])


def _values(message: Mapping[str, Any], key: str) -> Sequence[Any]:
    if key not in message:
        return ()
    value = message[key]
    return value if isinstance(value, list) else [value]


def _holds(condition: Any, values: Sequence[Any]) -> bool:
    if not isinstance(condition, dict):
        return any(_same(value, condition) for value in values)
    ((name, operand),) = condition.items()
    if name == "exists":
        return bool(values) is operand
    if name == "anything-but":
        return any(not _excluded(value, operand) for value in values)
    if name == "numeric":
        return any(_is_number(value) and _in_range(value, operand) for value in values)
    if name == "cidr":
        return any(_in_network(value, operand) for value in values)
    return any(isinstance(value, str) and _TEXTS[name](value, operand) for value in values)


def _same(value: Any, wanted: Any) -> bool:
    if _is_number(value) and _is_number(wanted):
        return bool(value == wanted)
    return type(value) is type(wanted) and bool(value == wanted)


def _excluded(value: Any, operand: Any) -> bool:
    if isinstance(operand, dict):
        ((name, wanted),) = operand.items()
        listed = wanted if isinstance(wanted, list) else [wanted]
        return isinstance(value, str) and any(_TEXTS[name](value, each) for each in listed)
    return any(_same(value, each) for each in (operand if isinstance(operand, list) else [operand]))


def _in_range(value: float, operand: Sequence[Any]) -> bool:
    pairs = zip(operand[::2], operand[1::2], strict=True)
    return all(_COMPARE[name](value, number) for name, number in pairs)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _in_network(value: Any, operand: str) -> bool:
    network = _network(operand)
    try:
        return network is not None and ipaddress.ip_address(value) in network
    except ValueError:
        return False


def _wildcard(value: str, wanted: str) -> bool:
    """``*`` stands for anything; each piece is looked for once, so that no pattern takes long."""
    first, *middle = wanted.split("*")
    if not middle:
        return value == wanted
    last = middle.pop()
    if len(value) < len(first) + len(last) or not (value.startswith(first) and value.endswith(last)):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in middle:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Message attributes as policies see them: numbers as numbers, String.Array as a list; binary ones not at all."""
    seen: dict[str, Any] = {}
    for name, value in attributes.items():
        kind, text = value["DataType"], value.get("StringValue")
        if text is None:
            continue
        seen[name] = text
        try:
            if kind.startswith("Number"):
                seen[name] = float(text)
            elif kind == "String.Array":
                seen[name] = json.loads(text)
        except (ValueError, RecursionError):
            continue  # it counts as the text it is
    return seen


def of_body(message: str) -> Mapping[str, Any] | None:
    """The message as policies of the scope MessageBody see it; None if it is no JSON object."""
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
