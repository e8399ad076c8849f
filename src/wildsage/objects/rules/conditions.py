"""Conditional requests (S3 User Guide, "Conditional requests"; RFC 9110, section 13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from wildsage.core.errors import ApiError
from wildsage.objects.rules import errors


class Stored(Protocol):
    """What a condition looks at. ``etag`` without quotes, ``modified`` in epoch seconds."""

    @property
    def etag(self) -> str: ...
    @property
    def modified(self) -> float: ...


Check = Callable[[Stored | None], None]


def matches(condition: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match header names ``etag`` (given without quotes)."""
    if condition.strip() == "*":
        return True
    return any(each.strip().removeprefix("W/").strip('"') == etag for each in condition.split(","))


def check_read(request: Mapping[str, Any], found: Stored) -> None:
    """Raises PreconditionFailed or NotModified as GetObject and HeadObject do."""
    if _unwanted(request, "", found):
        raise ApiError("NotModified", "Not Modified", 304, {"etag": f'"{found.etag}"'})


def check_copy_source(request: Mapping[str, Any], found: Stored) -> None:
    """Raises PreconditionFailed as CopyObject and UploadPartCopy do."""
    if _unwanted(request, "CopySource", found):
        raise errors.precondition_failed("x-amz-copy-source-If-None-Match")


def _unwanted(request: Mapping[str, Any], prefix: str, found: Stored) -> bool:
    """True if the caller has it already; raises PreconditionFailed."""
    # Times have whole seconds on the wire.
    modified = int(found.modified)
    match, since = request.get(f"{prefix}IfMatch"), request.get(f"{prefix}IfUnmodifiedSince")
    if match is not None:
        if not matches(match, found.etag):
            raise errors.precondition_failed("If-Match")
    elif since is not None and modified > since:
        raise errors.precondition_failed("If-Unmodified-Since")
    none_match, modified_since = request.get(f"{prefix}IfNoneMatch"), request.get(f"{prefix}IfModifiedSince")
    if none_match is not None:
        return matches(none_match, found.etag)
    return modified_since is not None and modified <= modified_since


def write_check(request: Mapping[str, Any], key: str) -> Check | None:
    """What a conditional write demands of the current object; None if the write has no condition."""
    match, none_match = request.get("IfMatch"), request.get("IfNoneMatch")
    if match is None and none_match is None:
        return None

    def check(current: Stored | None) -> None:
        if none_match is not None and current is not None and matches(none_match, current.etag):
            raise errors.precondition_failed("If-None-Match")
        if match is None:
            return
        if current is None:
            raise errors.no_such_key(key)
        if not matches(match, current.etag):
            raise errors.precondition_failed("If-Match")

    return check
