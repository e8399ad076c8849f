"""What a plain request for an object asks, read without the service's model; None for whatever is not plain.

Only headers and parameters that are listed here are understood.  One more of S3's, one that is empty or comes twice,
and the request is control's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from wildsage.wire.http.messages import Request
from wildsage.wire.names import virtual_bucket
from wildsage.wire.timestamps import RFC822, Malformed, parse_timestamp

# Headers of S3's that say nothing of what is asked.
_SIGNING: Final = frozenset({"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent"})
_READ: Final = {
    "range": "Range",
    "if-match": "IfMatch",
    "if-none-match": "IfNoneMatch",
    "x-amz-checksum-mode": "ChecksumMode",
}
_TIMES: Final = {"if-modified-since": "IfModifiedSince", "if-unmodified-since": "IfUnmodifiedSince"}
_OVERRIDES: Final = {
    "response-cache-control": "ResponseCacheControl",
    "response-content-disposition": "ResponseContentDisposition",
    "response-content-encoding": "ResponseContentEncoding",
    "response-content-language": "ResponseContentLanguage",
    "response-content-type": "ResponseContentType",
}
_PRESIGNED: Final = frozenset(
    f"X-Amz-{name}"
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token")
)


@dataclass(slots=True)
class Asked:
    """``members``: what the request states beside its place, in API spelling."""

    bucket: str
    key: str
    members: dict[str, Any] = field(default_factory=dict)


def read(request: Request, operation: str) -> Asked | None:
    """``operation``: GetObject or HeadObject."""
    members: dict[str, Any] = {}
    host = ""
    for name, value in request.headers:
        if name == "host":
            host = value
        elif name in _READ:
            if not value or _READ[name] in members:
                return None
            members[_READ[name]] = value
        elif name in _TIMES:
            if _TIMES[name] in members:
                return None
            try:
                members[_TIMES[name]] = parse_timestamp(value, RFC822)
            except Malformed:
                return None
        elif name == "origin" or (name.startswith("x-amz-") and name not in _SIGNING):
            return None
    if "ChecksumMode" in members:
        members["ChecksumMode"] = members["ChecksumMode"].upper()
        if members["ChecksumMode"] != "ENABLED":
            return None
    path, _, query = request.target.partition("?")
    if query and not _read_query(query, operation, _OVERRIDES, members):
        return None
    return _place(path, host, members)


def _read_query(query: str, operation: str, known: dict[str, str], members: dict[str, Any]) -> bool:
    seen: set[str] = set()
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in seen:
            return False
        seen.add(name)
        if name == "x-id":
            if value != operation:
                return False
        elif name in known:
            try:
                members[known[name]] = unquote_plus(value, errors="strict")
            except UnicodeDecodeError:
                return False
        elif name not in _PRESIGNED:
            return False
    return True


def _place(path: str, host: str, members: dict[str, Any]) -> Asked | None:
    bucket = virtual_bucket(host)
    if bucket is not None:
        key = path[1:]
    else:
        bucket, _, key = path[1:].partition("/")
    if not bucket or not key or path[:1] != "/":
        return None
    try:
        return Asked(_decoded(bucket), _decoded(key), members)
    except UnicodeDecodeError:
        return None


def _decoded(text: str) -> str:
    return unquote(text, errors="strict") if "%" in text else text
