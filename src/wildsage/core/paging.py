"""Pagination tokens: opaque to clients, tamper-evident enough to answer a bad one with an error."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any


def encode(position: Any) -> str:
    """A JSON value as a URL-safe token."""
    raw = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(token: str) -> Any:
    """The value ``encode`` was given; raises ValueError for anything that is not one of our tokens."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return json.loads(raw)
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError("the pagination token is not valid") from error
