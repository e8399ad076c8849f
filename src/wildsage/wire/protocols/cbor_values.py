"""Values of a shape as CBOR, both ways (the bodies of RPC v2)."""

from __future__ import annotations

import sys
from typing import Any

from wildsage.wire import cbor
from wildsage.wire.model import Shape
from wildsage.wire.protocols.values import check_integer
from wildsage.wire.timestamps import Malformed, check_seconds, seconds_of

_TYPES: dict[str, type | tuple[()]] = {"string": str, "character": str, "blob": bytes, "boolean": bool}


def loads(data: bytes, most: int = sys.maxsize) -> Any:
    """An item of up to ``most`` items; raises Malformed."""
    try:
        return cbor.loads(data, most)
    except cbor.BadCbor as error:
        raise Malformed(f"the body is not valid CBOR: {error}") from error


def to_cbor(shape: Shape, value: Any) -> Any:
    """``value`` as ``cbor.dumps`` takes it. Members that are None, or not in the model, are left out."""
    if shape.kind == "structure":
        members = shape.members
        return {
            members[name].wire_name or name: to_cbor(members[name], item)
            for name, item in value.items()
            if item is not None and name in members
        }
    if shape.kind == "list":
        return [None if item is None else to_cbor(shape.member, item) for item in value]
    if shape.kind == "map":
        return {key: None if item is None else to_cbor(shape.value, item) for key, item in value.items()}
    if shape.kind == "timestamp":
        return cbor.EpochTime(round(seconds_of(value), 3))
    if shape.kind in ("float", "double"):
        return float(value)
    return value


def from_cbor(shape: Shape, value: Any) -> Any:
    """The value a decoded item stands for. Unknown members are ignored; raises Malformed."""
    if shape.kind == "structure":
        return _structure(shape, value)
    if shape.kind == "list":
        if not isinstance(value, list):
            raise Malformed("Expected list or null")
        return [None if item is None else from_cbor(shape.member, item) for item in value]
    if shape.kind == "map":
        if not isinstance(value, dict):
            raise Malformed("Expected map or null")
        return {key: None if item is None else from_cbor(shape.value, item) for key, item in value.items()}
    return _scalar(shape, value)


def _structure(shape: Shape, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("Expected structure or null")
    return {name: from_cbor(member, item) for name, member, item in shape.known(value)}


def _scalar(shape: Shape, value: Any) -> Any:
    kind = shape.kind
    if kind == "timestamp" and isinstance(value, cbor.EpochTime):
        return check_seconds(value.seconds)
    if kind in ("integer", "long") and isinstance(value, int) and not isinstance(value, bool):
        return check_integer(shape, value)
    if kind in ("float", "double") and isinstance(value, int | float) and not isinstance(value, bool):
        return _as_float(value)
    if not isinstance(value, _TYPES.get(kind, ())):
        raise Malformed(f"{type(value).__name__} can not be converted to a value of the type {kind}")
    return value


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise Malformed("a number is too large") from error
