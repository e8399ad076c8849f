"""Scalars as the protocols write them.

Inside Wildsage a timestamp is epoch seconds (int or float, the clock's own unit) and a blob is ``bytes``; everything
else is the JSON value it looks like.  ``Malformed`` is what a value that cannot be read raises; each protocol turns it
into its own error code.
"""

from __future__ import annotations

import base64
import binascii
import math
from datetime import UTC, datetime, timedelta, timezone

from wildsage.wire.model import Shape

ISO8601 = "iso8601"
RFC822 = "rfc822"
UNIX = "unixTimestamp"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
_INTEGER_BITS = {"integer": 31, "long": 63}


class Malformed(ValueError):
    """A request or response that cannot be read; the text says what was wrong."""


def seconds_of(value: float | datetime) -> float:
    """Epoch seconds of either form a service may hand over."""
    return value.timestamp() if isinstance(value, datetime) else value


def check_seconds(value: float) -> float:
    """``value`` if it is a moment between the years 1 and 9999; raises Malformed."""
    if not _EARLIEST <= value <= _LATEST:
        raise Malformed(f"{value} is not a timestamp")
    return value


def format_timestamp(value: float | datetime, style: str, always_milliseconds: bool = False) -> str:
    """``value`` in a timestampFormat of the models; milliseconds are kept, finer parts are rounded away."""
    total = round(seconds_of(value) * 1000)
    whole, milliseconds = divmod(total, 1000)
    if style.lower() == UNIX.lower():
        return f"{whole}.{milliseconds:03d}" if milliseconds else str(whole)
    moment = datetime.fromtimestamp(whole, UTC)
    if style == RFC822:
        day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
        return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment.strftime('%H:%M:%S')} GMT"
    fraction = f".{milliseconds:03d}" if milliseconds or always_milliseconds else ""
    return f"{moment.year:04d}-{moment.strftime('%m-%dT%H:%M:%S')}{fraction}Z"


def parse_timestamp(text: str, style: str) -> float:
    """The reverse; raises Malformed."""
    try:
        if style.lower() == UNIX.lower():
            return check_seconds(float(text))
        if style == RFC822:
            return _parse_http_date(text)
        moment = datetime.fromisoformat(text)
    except (ValueError, IndexError) as error:
        raise Malformed(f"{text[:100]!r} is not a timestamp of the form {style}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _parse_http_date(text: str) -> float:
    """``Wed, 21 Oct 2015 07:28:00 GMT`` (RFC 9110, section 5.6.7); a numeric offset is understood too."""
    _, _, rest = text.partition(",")
    day, month, year, time, *zone = rest.split()
    hour, minute, second = time.split(":")
    offset = UTC if not zone or zone[0] in ("GMT", "UTC", "Z") else _offset(zone[0])
    moment = datetime(
        int(year), _MONTHS.index(month.title()) + 1, int(day), int(hour), int(minute), int(second), tzinfo=offset
    )
    return moment.timestamp()


def _offset(text: str) -> timezone:
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[3:5])))


def encode_blob(value: bytes | str) -> str:
    """Base64 of a blob; text counts as UTF-8."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def decode_blob(text: str) -> bytes:
    """The reverse; raises Malformed."""
    try:
        return base64.b64decode(text, validate=True)
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
