"""Pagination tokens: opaque to clients, tamper-evident enough to answer a bad one with an error."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

_NUMBERS = range(2**63)  # what a database takes


def encode(position: Any) -> str:
    """A JSON value as a URL-safe token."""
    raw = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(token: str) -> Any:
    """The value ``encode`` was given; raises ValueError for anything that is not one of our tokens."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return json.loads(raw)
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError("the pagination token is not valid") from error


def position(token: str | None) -> tuple[Any, int] | None:
    """Where a list goes on: the last item's sorting value and its number. None without a token.

    Raises ValueError for a token that holds anything else, such as one of another operation.
    """
    match decode(token) if token else None:
        case None:
            return None
        case [str() as name, int() as number] if number in _NUMBERS:
            name.encode()  # what is no Unicode is no name either: a UnicodeEncodeError is a ValueError
            return name, number
        case [int() | float() as value, int() as number] if abs(value) < _NUMBERS.stop and number in _NUMBERS:
            return value, number
    raise ValueError("the pagination token is not valid")


def position_in_groups(token: str | None) -> tuple[str, float, int] | None:
    """As ``position``, of a list that is sorted by a word and then by a number."""
    match decode(token) if token else None:
        case None:
            return None
        case [str() as word, int() | float() as value, int() as number] if (
            abs(value) < _NUMBERS.stop and number in _NUMBERS
        ):
            word.encode()
            return word, value, number
    raise ValueError("the pagination token is not valid")


def moment(token: str | None) -> tuple[int, int] | None:
    """As ``position``, of a list in the order of time: milliseconds, and the number of the item.

    Raises ValueError for a token that holds anything else.
    """
    match decode(token) if token else None:
        case None:
            return None
        case [int() as at, int() as number] if at in _NUMBERS and number in _NUMBERS:
            return at, number
    raise ValueError("the pagination token is not valid")


def offset(token: str | None) -> int:
    """How many items were shown; 0 without a token. Raises ValueError for a token that holds anything else."""
    match decode(token) if token else 0:
        case int() as shown if shown in _NUMBERS:
            return shown
    raise ValueError("the pagination token is not valid")


def text(token: str | None) -> str:
    """The name a list goes on after; empty without a token. Raises ValueError for a token that holds anything else."""
    match decode(token) if token else "":
        case str() as name:
            name.encode()
            return name
    raise ValueError("the pagination token is not valid")
