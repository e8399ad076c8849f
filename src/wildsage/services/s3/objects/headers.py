"""What an object carries beside its bytes (headers, metadata, tags), between request, index and answer."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from wildsage.core.errors import ApiError
from wildsage.kit.reservedtags import is_reserved
from wildsage.objects.rules import telling
from wildsage.services.s3 import errors
from wildsage.store.codec import Document

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
    """The index document of a new object: headers, metadata and tags as the request gives them.

    Raises InvalidRedirectLocation, and what reading tags and metadata raises.
    """
    redirect = request.get("WebsiteRedirectLocation")
    if redirect is not None and not redirect.startswith(("/", "http://", "https://")):
        words = "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
        raise ApiError("InvalidRedirectLocation", words, 400)
    return telling.describe(request, parse_tags(request.get("Tagging")))


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
        if is_reserved(key):
            raise ApiError("InvalidTag", "Your TagKey cannot be prefixed with aws:", 400, {"TagKey": key})
        if not 1 <= len(key) <= 128:
            raise ApiError("InvalidTag", "The TagKey you have provided is invalid", 400, {"TagKey": key})
        if len(value) > 256:
            raise ApiError("InvalidTag", "The TagValue you have provided is invalid", 400, {"TagValue": value})
    return tags


def storage_class(document: Document) -> str:
    """Of the object of ``document``."""
    name: str = document.get("Headers", {}).get("StorageClass", "STANDARD")
    return name
