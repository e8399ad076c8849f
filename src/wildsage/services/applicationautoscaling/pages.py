"""Pages of what is described."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from wildsage.core import paging
from wildsage.core.errors import ApiError, ValidationError
from wildsage.store.codec import Document

T = TypeVar("T")
MOST = 50


def limit(request: Document) -> int:
    """MaxResults. Raises ValidationException."""
    found: int = request.get("MaxResults") or MOST
    if not 1 <= found <= MOST:
        raise ValidationError(f"MaxResults must be from 1 to {MOST}, not {found}.")
    return found


def bad_token() -> ApiError:
    return ApiError("InvalidNextTokenException", "The NextToken is not one of this operation's.")


def page(
    request: Document, member: str, items: Sequence[T], name: Callable[[T], str], described: Callable[[T], Document]
) -> Document:
    """The answer: those after NextToken, in the order of their names."""
    try:
        after = paging.text(request.get("NextToken"))
    except ValueError:
        raise bad_token() from None
    found = sorted((each for each in items if name(each) > after), key=name)
    most = limit(request)
    answer: Document = {member: [described(each) for each in found[:most]]}
    if len(found) > most:
        answer["NextToken"] = paging.encode(name(found[most - 1]))
    return answer
