"""Byte ranges (RFC 9110, section 14, as far as S3 goes: one range a request)."""

from __future__ import annotations

import re

from wildsage.core.errors import ApiError

# No offset has more digits; what is longer is not a range.
_RANGE = re.compile(r"bytes=([0-9]{0,20})-([0-9]{0,20})")


def parse(header: str | None, size: int) -> tuple[int, int] | None:
    """Offset and length within ``size`` bytes; None for the whole, also if the header is not one range.

    Raises InvalidRange if nothing of the range is there.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        offset = size - length
    else:
        offset = int(first)
        if last and int(last) < offset:
            return None
        length = min(int(last) + 1 if last else size, size) - offset
    if length <= 0:
        raise ApiError(
            "InvalidRange",
            "The requested range is not satisfiable",
            416,
            {"RangeRequested": header, "ActualObjectSize": str(size)},
        )
    return offset, length


def describe(offset: int, length: int, size: int) -> str:
    """The Content-Range header."""
    return f"bytes {offset}-{offset + length - 1}/{size}"


def parse_copy(header: str | None, size: int) -> tuple[int, int]:
    """The range of UploadPartCopy, which must lie within the source and be written out. Raises InvalidArgument."""
    if header is None:
        return 0, size
    found = _RANGE.fullmatch(header.strip())
    fields = {"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": header}
    if found is None or not all(found.groups()):
        message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        raise ApiError(
            "InvalidArgument", f"{message}zero-based offsets of the first and last bytes to copy", 400, fields
        )
    first, last = int(found.group(1)), int(found.group(2))
    if first > last or last >= size:
        message = f"Range specified is not valid for source object of size: {size}"
        raise ApiError("InvalidArgument", message, 400, fields)
    return first, last - first + 1
