"""Bodies of requests as numpy arrays, and arrays as bodies of answers."""

from __future__ import annotations

import importlib
from typing import Any

from . import content_types

_formats: Any = importlib.import_module("sagemaker_inference._serving").module("formats")


def encode(array_like: Any, content_type: str) -> Any:
    """Text for JSON and CSV, bytes for NPY. Raises errors.UnsupportedFormatError."""
    body: bytes = _formats.encode(array_like, content_type)
    return body.decode() if content_type in content_types.UTF8_TYPES else body


def decode(obj: Any, content_type: str) -> Any:
    """``obj``: text for JSON and CSV, bytes for NPY and NPZ. Raises errors.UnsupportedFormatError."""
    return _formats.decode(obj, content_type)


def array_to_npy(array_like: Any) -> Any:
    return encode(array_like, content_types.NPY)


def array_to_json(array_like: Any) -> Any:
    return encode(array_like, content_types.JSON)


def array_to_csv(array_like: Any) -> Any:
    return encode(array_like, content_types.CSV)


def npy_to_numpy(npy_array: bytes) -> Any:
    return decode(npy_array, content_types.NPY)


def json_to_numpy(string_like: str, dtype: Any = None) -> Any:
    return decode(string_like, content_types.JSON).astype(dtype)


def csv_to_numpy(string_like: str, dtype: Any = None) -> Any:
    return decode(string_like, content_types.CSV).astype(dtype)
