"""Message heads as bytes, and the small tables both ends of HTTP/1.1 share."""

from __future__ import annotations

import time
from http import HTTPStatus

from wildsage.wire.http.messages import Headers
from wildsage.wire.timestamps import RFC822, format_timestamp

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
NAMES: dict[bytes, str] = {}
_NAMES_LIMIT = 1024

# RFC 9110 section 7.6.1: these concern one connection and are not passed on.
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)


class _Date:
    """The Date header's value, formatted once a second (botocore corrects its clock by it)."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def text(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = format_timestamp(second, RFC822)
        return self._text


date = _Date()


def name_of(raw: bytes) -> str:
    """A header name in lower case; the few that clients use are found in ``NAMES`` from then on."""
    name = raw.decode("latin-1").lower()
    if len(NAMES) < _NAMES_LIMIT:
        NAMES[raw] = name
    return name


def bodiless(method: str, status: int) -> bool:
    """Whether an answer has no body whatever its headers say (RFC 9112 section 6.3)."""
    return method == "HEAD" or status in (204, 304) or status < 200


def origin_form(target: str) -> str:
    """``http://host/path?query`` as ``/path?query`` (RFC 9112 section 3.2.2 has servers accept both)."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return target
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


def response_head(status: int, headers: Headers, framing: str) -> bytes:
    """``framing``: the header lines (each with its line end) that the connection adds.

    Raises ValueError for a header that contains a line end: nobody gets to write headers through a value.
    """
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status {status}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    return _checked(lines, framing)


def request_head(method: str, target: str, headers: Headers, framing: str) -> bytes:
    """As ``response_head``."""
    lines = [f"{method} {target} HTTP/1.1\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    return _checked(lines, framing)


def _checked(lines: list[str], framing: str) -> bytes:
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError("a header with a line end in it")
    return f"{text}{framing}\r\n".encode("latin-1")
