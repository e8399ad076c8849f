"""Bodies of requests as numpy arrays."""

from __future__ import annotations

from typing import Any

from ._serving import module


def decode(obj: Any, content_type: str) -> Any:
    """``obj``: text for JSON and CSV, bytes for NPY and NPZ. Raises errors.UnsupportedFormatError."""
    return module("formats").decode_plain(obj, content_type)
