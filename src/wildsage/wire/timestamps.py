"""Timestamps as the protocols write them; inside Wildsage they are epoch seconds, the clock's own unit."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta, timezone

ISO8601 = "iso8601"
RFC822 = "rfc822"
UNIX = "unixTimestamp"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


class Malformed(ValueError):
    """Something in a request or response that cannot be read; the text says what was wrong."""


def seconds_of(value: float | datetime) -> float:
    """Epoch seconds of either form a service may hand over."""
    return value.timestamp() if isinstance(value, datetime) else value


def check_seconds(value: float) -> float:
    """``value`` if it is a moment between the years 1 and 9999; raises Malformed."""
    if not _EARLIEST <= value <= _LATEST:
        raise Malformed(f"{value} is not a timestamp")
    return value


@functools.lru_cache(maxsize=4096)  # what is listed together was often made in the same second
def format_timestamp(value: float | datetime, style: str, always_milliseconds: bool = False) -> str:
    """``value`` in a timestampFormat of the models; milliseconds are kept, finer parts are rounded away."""
    total = round(seconds_of(value) * 1000)
    whole, milliseconds = divmod(total, 1000)
    if style.lower() == UNIX.lower():
        return f"{whole}.{milliseconds:03d}" if milliseconds else str(whole)
    if style == RFC822:
        moment = datetime.fromtimestamp(whole, UTC)
        day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
        return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment.strftime('%H:%M:%S')} GMT"
    fraction = f".{milliseconds:03d}" if milliseconds or always_milliseconds else ""
    return f"{datetime.fromtimestamp(whole, UTC).isoformat()[:19]}{fraction}Z"


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
