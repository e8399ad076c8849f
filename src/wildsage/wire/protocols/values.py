"""Scalars as the protocols write them.

Inside Wildsage a timestamp is epoch seconds and a blob is ``bytes``; everything else is the JSON value it looks like.
A value that cannot be read raises Malformed; each protocol turns that into its own error code.
"""

from __future__ import annotations

import base64
import binascii
import math
from datetime import datetime

from wildsage.wire.model import Shape
from wildsage.wire.timestamps import Malformed, format_timestamp, parse_timestamp

_PIECE = 4 * 1024 * 1024  # characters of a blob that are decoded in one go, which no other thread can interrupt
_INTEGER_BITS = {"integer": 31, "long": 63}


def encode_blob(value: bytes | str) -> str:
    """Base64 of a blob; text counts as UTF-8."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def decode_blob(text: str) -> bytes:
    """The reverse; raises Malformed."""
    try:
        pieces = [base64.b64decode(text[at : at + _PIECE], validate=True) for at in range(0, len(text), _PIECE)]
        if any(len(piece) % 3 for piece in pieces[:-1]):
            raise ValueError("padding before the end")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    except (binascii.Error, ValueError) as error:
        raise Malformed("a blob is not valid base64") from error


def check_text(value: str) -> str:
    """``value`` if it can be written as UTF-8 (JSON escapes can smuggle in half a surrogate pair); raises Malformed."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Malformed("a string is not valid Unicode") from error
    return value


def check_integer(shape: Shape, value: int) -> int:
    """``value`` if it fits the shape's width; raises Malformed."""
    limit = 1 << _INTEGER_BITS[shape.kind]
    if not -limit <= value < limit:
        raise Malformed(f"{value} does not fit into the type {shape.kind}")
    return value


def format_float(value: float) -> str:
    """As XML, query strings and headers write it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def format_scalar(shape: Shape, value: object, style: str, always_milliseconds: bool = False) -> str:
    """A scalar as text; ``style`` is the timestamp format where the shape names none."""
    if shape.kind == "boolean":
        return "true" if value else "false"
    if shape.kind == "timestamp" and isinstance(value, int | float | datetime):
        return format_timestamp(value, shape.timestamp_format or style, always_milliseconds)
    if shape.kind == "blob" and isinstance(value, bytes | str):
        return encode_blob(value)
    if isinstance(value, float):
        return format_float(value)
    return str(value)


def parse_scalar(shape: Shape, text: str, style: str) -> object:
    """The reverse; raises Malformed."""
    kind = shape.kind
    if kind in _INTEGER_BITS:
        try:
            return check_integer(shape, int(text))
        except ValueError as error:
            raise Malformed(f"{text[:100]!r} is not an integer") from error
    if kind in ("float", "double"):
        try:
            return float(text)
        except ValueError as error:
            raise Malformed(f"{text[:100]!r} is not a number") from error
    if kind == "boolean":
        return _parse_boolean(text)
    if kind == "timestamp":
        return parse_timestamp(text, shape.timestamp_format or style)
    if kind == "blob":
        return decode_blob(text)
    return text


def _parse_boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise Malformed(f"{text[:100]!r} is not a boolean")
    return lowered == "true"
