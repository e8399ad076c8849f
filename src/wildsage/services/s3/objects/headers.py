"""What an object carries beside its bytes (headers, metadata, tags), between request, index and answer."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from wildsage.core.errors import ApiError
from wildsage.services.s3 import checksums, errors
from wildsage.store.codec import Document
from wildsage.store.objectindex import ObjectVersion

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
_METADATA_BYTES: Final = 2048
_MOST_TAGS: Final = 10
_REFUSED: Final = {
    "WriteOffsetBytes": "appending to objects",
}


def refuse(request: Document) -> None:
    """Raises NotImplemented, by name, for what would otherwise silently not happen."""
    for member, what in _REFUSED.items():
        if request.get(member) is not None:
            raise errors.not_implemented(what)


def describe(request: Document) -> Document:
    """The index document of a new object: headers, metadata and tags as the request gives them."""
    headers = {name: request[name] for name in SYSTEM if request.get(name) is not None}
    encoding = [each.strip() for each in headers.pop("ContentEncoding", "").split(",")]
    kept = ", ".join(each for each in encoding if each not in ("", "aws-chunked"))
    if kept:
        headers["ContentEncoding"] = kept
    headers.setdefault("ContentType", DEFAULT_TYPE)
    return {"Headers": headers, "Metadata": _metadata(request), "Tags": parse_tags(request.get("Tagging"))}


def _metadata(request: Document) -> dict[str, str]:
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


def parse_tags(header: str | None) -> dict[str, str]:
    """The x-amz-tagging header: a query string. Raises InvalidArgument or InvalidTag."""
    if not header:
        return {}
    try:
        pairs = parse_qsl(header, keep_blank_values=True, errors="strict")
    except ValueError:
        raise errors.invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
            "name duplicates.",
            "x-amz-tagging",
            header,
        ) from None
    return check_tags(pairs)


def check_tags(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Raises BadRequest or InvalidTag (User Guide, "Categorizing your storage using tags")."""
    tags = dict(pairs)
    if len(pairs) > _MOST_TAGS:
        raise ApiError("BadRequest", "Object tags cannot be greater than 10", 400)
    if len(tags) < len(pairs):
        raise ApiError("InvalidTag", "Cannot provide multiple Tags with the same key", 400)
    for key, value in tags.items():
        if not 1 <= len(key) <= 128:
            raise ApiError("InvalidTag", "The TagKey you have provided is invalid", 400, {"TagKey": key})
        if len(value) > 256:
            raise ApiError("InvalidTag", "The TagValue you have provided is invalid", 400, {"TagValue": value})
    return tags


def answer(found: ObjectVersion, versioned: bool) -> Document:
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


def written(found: ObjectVersion, versioned: bool) -> Document:
    """What the answer to a write says of the object that it made."""
    told: Document = {"ETag": quoted(found.etag), **checksums.members(found.document)}
    kept = found.document["Headers"]
    told |= {name: kept[name] for name in ("ServerSideEncryption", "SSEKMSKeyId") if name in kept}
    if versioned:
        told["VersionId"] = found.version
    return told


def storage_class(found: ObjectVersion) -> str:
    name: str = found.document.get("Headers", {}).get("StorageClass", "STANDARD")
    return name


def quoted(etag: str) -> str:
    return f'"{etag}"'
