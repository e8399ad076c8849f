"""Values of a shape as JSON, both ways (AWS JSON 1.0 and 1.1, and the bodies of REST JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from wildsage.wire.model import Shape
from wildsage.wire.protocols.values import check_integer, check_text, decode_blob, encode_blob
from wildsage.wire.timestamps import UNIX, Malformed, check_seconds, format_timestamp, parse_timestamp, seconds_of

_PLAIN_NUMBERS = frozenset({int, float})
_SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def loads(data: bytes) -> Any:
    """Raises Malformed."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not valid JSON") from error


def to_json(shape: Shape, value: Any) -> Any:
    """``value`` as a JSON tree. Members that are None, bound to headers, or not in the model are left out."""
    writer = _WRITERS.get(shape.kind)
    return value if writer is None else writer(shape, value)


def _structure_to_json(shape: Shape, value: Mapping[str, Any]) -> Any:
    if shape.document:
        return value
    written: dict[str, Any] = {}
    members = shape.members
    for name, item in value.items():
        member = members.get(name)
        if item is not None and member is not None and not member.location:
            written[member.wire_name or name] = to_json(member, item)
    return written


def _list_to_json(shape: Shape, value: list[Any]) -> list[Any]:
    member = shape.member
    if member.kind not in _WRITERS:
        return list(value)
    return [None if item is None else to_json(member, item) for item in value]


def _map_to_json(shape: Shape, value: Mapping[str, Any]) -> dict[str, Any]:
    item_shape = shape.value
    return {key: None if item is None else to_json(item_shape, item) for key, item in value.items()}


def _timestamp_to_json(shape: Shape, value: Any) -> Any:
    if shape.timestamp_format and shape.timestamp_format != UNIX:
        return format_timestamp(value, shape.timestamp_format)
    seconds = round(seconds_of(value), 3)
    return int(seconds) if seconds == int(seconds) else seconds


def _float_to_json(_: Shape, value: float) -> Any:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


_WRITERS: dict[str, Callable[[Shape, Any], Any]] = {
    "structure": _structure_to_json,
    "list": _list_to_json,
    "map": _map_to_json,
    "timestamp": _timestamp_to_json,
    "float": _float_to_json,
    "double": _float_to_json,
    "blob": lambda _, value: encode_blob(value),
}


def from_json(shape: Shape, value: Any) -> Any:
    """The value that a JSON tree stands for. Unknown members are ignored, as AWS does; raises Malformed."""
    return _READERS[shape.kind](shape, value)


def _kind_of(value: Any) -> str:
    """The token's name as AWS's messages have it."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, int | float):
        return "NUMBER_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "null"


def _refuse(value: Any, wanted: str) -> Malformed:
    if isinstance(value, dict):
        return Malformed("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return Malformed("Start of list found where not expected")
    return Malformed(f"{_kind_of(value)} can not be converted to {wanted}")


def _structure_from_json(shape: Shape, value: Any) -> Any:
    if shape.document:
        return value
    if not isinstance(value, dict):
        raise Malformed("Expected structure or null")
    return {name: _READERS[member.kind](member, item) for name, member, item in shape.known(value)}


def _list_from_json(shape: Shape, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed("Expected list or null")
    member = shape.member
    if member.kind in ("float", "double") and _PLAIN_NUMBERS.issuperset(map(type, value)):
        return _floats(value)
    reader = _READERS[member.kind]
    return [None if item is None else reader(member, item) for item in value]


def _floats(value: list[Any]) -> list[Any]:
    try:
        return [*map(float, value)]
    except OverflowError as error:
        raise Malformed("a number is too large") from error


def _map_from_json(shape: Shape, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("Expected map or null")
    member = shape.value
    reader = _READERS[member.kind]
    return {check_text(key): None if item is None else reader(member, item) for key, item in value.items()}


def _string_from_json(shape: Shape, value: Any) -> Any:
    if isinstance(value, str):
        return check_text(value)
    if "jsonvalue" in shape.traits:
        return value
    raise _refuse(value, "a String")


def _integer_from_json(shape: Shape, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(value, "an Integer" if shape.kind == "integer" else "a Long")
    return check_integer(shape, value)


def _float_from_json(_: Shape, value: Any) -> float:
    if isinstance(value, str) and value in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(value, "a Double")
    try:
        return float(value)
    except OverflowError as error:
        raise Malformed("a number is too large") from error


def _boolean_from_json(_: Shape, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(value, "a Boolean")
    return value


def _timestamp_from_json(shape: Shape, value: Any) -> float:
    if isinstance(value, str) and shape.timestamp_format not in ("", UNIX):
        return parse_timestamp(value, shape.timestamp_format)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(value, "milliseconds since epoch")
    return check_seconds(value)


def _blob_from_json(_: Shape, value: Any) -> bytes:
    if not isinstance(value, str):
        raise _refuse(value, "a Blob")
    return decode_blob(value)


_READERS: dict[str, Callable[[Shape, Any], Any]] = {
    "structure": _structure_from_json,
    "list": _list_from_json,
    "map": _map_from_json,
    "string": _string_from_json,
    "character": _string_from_json,
    "integer": _integer_from_json,
    "long": _integer_from_json,
    "float": _float_from_json,
    "double": _float_from_json,
    "boolean": _boolean_from_json,
    "timestamp": _timestamp_from_json,
    "blob": _blob_from_json,
}
