"""Tag keys that are AWS's own: ``aws:`` in any case.

"Do not use aws:, AWS:, or any upper or lowercase combination of such as a prefix … You cannot edit or delete tag keys …
with this prefix" (Tagging AWS Resources User Guide, "Tag naming limits and requirements").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wildsage.core.errors import ApiError
from wildsage.store.codec import Document

Refusal = Callable[[str], ApiError]
"""A service's error for a tag key that is reserved."""

_PREFIX = "aws:"


def is_reserved(key: str) -> bool:
    return key[: len(_PREFIX)].lower() == _PREFIX


def worded(error: Refusal) -> Refusal:
    """The words most services have, as the ``error`` of one of them."""
    return lambda _: error("aws: prefixed tag key names are not allowed for external use.")


def check(request: Document, refusal: Refusal) -> None:
    """Raises ``refusal`` of the first reserved key that ``request`` gives a resource or takes from one."""
    for key in _keys(request):
        if is_reserved(key):
            raise refusal(key)


def _keys(request: Document) -> Iterator[str]:
    """Services spell the members in two ways, and have tags as a list of pairs or as a map."""
    for member in ("Tags", "tags"):
        tags = request.get(member) or ()
        yield from tags if isinstance(tags, Mapping) else (tag["Key"] for tag in tags)
    for member in ("TagKeys", "tagKeys"):
        yield from request.get(member) or ()
