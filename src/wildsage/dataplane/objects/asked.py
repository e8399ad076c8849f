"""What a plain request for an object asks, read without the service's model; None for whatever is not plain.

Only headers and parameters that are listed here are understood.  One more of S3's, one that is empty or comes twice,
and the request is control's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from wildsage.objects.rules.telling import LARGEST, SYSTEM
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
_WRITE: Final = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "content-md5": "ContentMD5",
    "if-match": "IfMatch",
    "if-none-match": "IfNoneMatch",
    "x-amz-sdk-checksum-algorithm": "ChecksumAlgorithm",
    "x-amz-checksum-crc32": "ChecksumCRC32",
    "x-amz-checksum-crc32c": "ChecksumCRC32C",
    "x-amz-checksum-crc64nvme": "ChecksumCRC64NVME",
    "x-amz-checksum-sha1": "ChecksumSHA1",
    "x-amz-checksum-sha256": "ChecksumSHA256",
}
_METADATA: Final = "x-amz-meta-"
# What comes with an ``aws-chunked`` body.
_CHUNKED: Final = frozenset({"x-amz-trailer", "x-amz-decoded-content-length"})
# Headers that say nothing of an object to be, or are looked up by name.
_PASSING: Final = _SIGNING | _CHUNKED | {"host", "content-length", "authorization", "user-agent", "accept-encoding"}
_UNUSUAL: Final = ("origin", "expires", "transfer-encoding")
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


PLAIN: Final = frozenset(_WRITE.values()).difference(SYSTEM)
"""Members of a PutObject that leave no trace in what is kept beside its bytes."""


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


def write(request: Request) -> Asked | None:
    """A PutObject."""
    headers = dict(request.headers)
    if len(headers) != len(request.headers):
        return None
    members: dict[str, Any] = {}
    for name in [name for name in headers if name not in _PASSING]:
        if name in _WRITE or name.startswith(_METADATA):
            if not _take(name, headers[name], members):
                return None
        elif name in _UNUSUAL or name.startswith("x-amz-"):
            return None
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LARGEST:
        return None
    chunked = headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    if not chunked and not _CHUNKED.isdisjoint(headers):
        return None
    path, _, query = request.target.partition("?")
    if query and not _read_query(query, "PutObject", {}, members):
        return None
    return _place(path, headers.get("host", ""), members)


def _take(name: str, value: str, members: dict[str, Any]) -> bool:
    """Notes a header of a PutObject; False if it is odd."""
    into, member = members, _WRITE.get(name)
    if member is None:
        into, member = members.setdefault("Metadata", {}), name[len(_METADATA) :]
    if not value or not member or member in into:
        return False
    into[member] = value
    return True


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
