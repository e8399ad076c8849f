"""What an object carries beside its bytes (headers, metadata, checksums), between request, index and answer.

Requests and answers are members in API spelling, as the wire layer reads and writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from wildsage.core.errors import ApiError
from wildsage.objects.rules import checksums, errors, ranges
from wildsage.objects.rules.checksums import Document

DEFAULT_TYPE: Final = "binary/octet-stream"
SYSTEM: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "StorageClass",
    "WebsiteRedirectLocation",
)
OVERRIDES: Final = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
"""Parameter of a GET → the header of the answer that it replaces."""
LARGEST: Final = 5 * 1024**3
"""The most bytes of one PutObject, UploadPart or CopyObject."""
_METADATA_BYTES: Final = 2048


class Item(Protocol):
    """One version of an object, as the index has it."""

    @property
    def version(self) -> str: ...
    @property
    def modified(self) -> float: ...
    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def document(self) -> Document: ...


def describe(request: Mapping[str, Any], tags: dict[str, str]) -> Document:
    """The index document of a new object: headers and metadata as the request gives them, and ``tags``.

    Raises MetadataTooLarge.
    """
    headers = {name: request[name] for name in SYSTEM if request.get(name) is not None}
    encoding = [each.strip() for each in headers.pop("ContentEncoding", "").split(",")]
    kept = ", ".join(each for each in encoding if each not in ("", "aws-chunked"))
    if kept:
        headers["ContentEncoding"] = kept
    headers.setdefault("ContentType", DEFAULT_TYPE)
    return {"Headers": headers, "Metadata": _metadata(request), "Tags": tags}


def _metadata(request: Mapping[str, Any]) -> dict[str, str]:
    metadata: dict[str, str] = {name.lower(): value for name, value in (request.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > _METADATA_BYTES:
        raise ApiError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            400,
            {"Size": str(size), "MaxSizeAllowed": str(_METADATA_BYTES)},
        )
    return metadata


def answer(found: Item, versioned: bool) -> Document:
    """What GetObject and HeadObject say of an object, but for range and checksums."""
    document = found.document
    told: Document = dict(document["Headers"])
    if told.get("StorageClass") == "STANDARD":
        del told["StorageClass"]
    if document["Metadata"]:
        told["Metadata"] = document["Metadata"]
    if document["Tags"]:
        told["TagCount"] = len(document["Tags"])
    told.update(document.get("Lock") or {})
    if versioned:
        told["VersionId"] = found.version
    told["ETag"] = quoted(found.etag)
    told["LastModified"] = int(found.modified)
    told["AcceptRanges"] = "bytes"
    return told


def add_piece(told: Document, request: Mapping[str, Any], item: Item) -> int:
    """Adds to ``answer``'s what the request asks beside it: overrides, range or part, checksums.

    Returns where the bytes begin; ``ContentLength`` says how many. Raises InvalidArgument, InvalidRange or
    InvalidPartNumber.
    """
    for member, name in OVERRIDES.items():
        if request.get(member) is not None:
            told[name] = _sayable(request[member])
    piece = _piece(request, item)
    if piece is None:
        told["ContentLength"] = item.size
        if request.get("ChecksumMode") == "ENABLED":
            told.update(checksums.members(item.document))
        return 0
    offset, length = piece
    told["ContentLength"] = length
    if item.size:
        told["ContentRange"] = ranges.describe(offset, length, item.size)
    parts = item.document.get("Parts")
    if request.get("PartNumber") is not None and parts:
        told["PartsCount"] = len(parts)
        if request.get("ChecksumMode") == "ENABLED":
            of_part = {**item.document, "Checksums": parts[request["PartNumber"] - 1]["Checksums"]}
            told.update(checksums.members(of_part))
    return offset


def _sayable(value: Any) -> Any:
    """What is to be a header. Raises InvalidArgument."""
    if isinstance(value, str) and max(value, default="") > "\xff":
        raise ApiError("InvalidArgument", "Header value cannot be represented using ISO-8859-1.", 400)
    return value


def _piece(request: Mapping[str, Any], item: Item) -> tuple[int, int] | None:
    """Offset and length of what is asked for; None for the whole. Raises InvalidRange or InvalidPartNumber."""
    number = request.get("PartNumber")
    if number is None:
        return ranges.parse(request.get("Range"), item.size)
    if request.get("Range") is not None:
        raise errors.invalid_request("Cannot specify both Range header and partNumber query parameter")
    parts = item.document.get("Parts") or [{"Size": item.size}]
    if not 1 <= number <= len(parts):
        raise ApiError("InvalidPartNumber", "The requested partnumber is not satisfiable", 416)
    return sum(part["Size"] for part in parts[: number - 1]), parts[number - 1]["Size"]


def written(found: Item, versioned: bool) -> Document:
    """What the answer to a write says of the object that it made."""
    told: Document = {"ETag": quoted(found.etag), **checksums.members(found.document)}
    kept = found.document["Headers"]
    told |= {name: kept[name] for name in ("ServerSideEncryption", "SSEKMSKeyId") if name in kept}
    if versioned:
        told["VersionId"] = found.version
    return told


def quoted(etag: str) -> str:
    return f'"{etag}"'
