"""Bodies of requests as what a pipeline takes, and what it gives as bodies of answers."""

from __future__ import annotations

import importlib
from typing import Any

_documents: Any = importlib.import_module("sagemaker_inference._serving").module("documents")


def decode(content: Any, content_type: str = "application/json") -> Any:
    """``content``: text for JSON and CSV, else bytes. Raises UnsupportedFormatError."""
    return _documents.decode(content, content_type)


def encode(content: Any, accept_type: str = "application/json") -> Any:
    """Text for JSON and CSV, else bytes. Raises UnsupportedFormatError."""
    return _documents.encode(content, accept_type)


def decode_json(content: Any) -> Any:
    return decode(content)


def encode_json(content: Any, accept_type: str | None = None) -> Any:
    return encode(content)
