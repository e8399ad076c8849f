"""Array-likes as bodies of answers."""

from __future__ import annotations

from typing import Any

from . import content_types
from ._serving import module

SUPPORTED_CONTENT_TYPES = {content_types.JSON, content_types.CSV, content_types.NPY}


def encode(array_like: Any, content_type: str) -> Any:
    """Text for JSON and CSV, bytes for NPY. Raises errors.UnsupportedFormatError."""
    body: bytes = module("formats").encode_plain(array_like, content_type)
    return body.decode() if content_type in content_types.UTF8_TYPES else body
