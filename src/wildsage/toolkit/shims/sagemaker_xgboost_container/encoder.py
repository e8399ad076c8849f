"""Bodies of requests as ``xgboost.DMatrix``."""

from __future__ import annotations

import importlib
from typing import Any

_xgboost: Any = importlib.import_module("sagemaker_inference._serving").module("frameworks.xgboost")


def csv_to_dmatrix(string_like: Any, dtype: Any = None) -> Any:
    """The delimiter is guessed; there is neither a header nor a label."""
    return _xgboost.decode(string_like, "text/csv")


def libsvm_to_dmatrix(string_like: Any) -> Any:
    """Rows of ``label index:value …``."""
    return _xgboost.decode(string_like, "text/libsvm")


def decode(obj: Any, content_type: str) -> Any:
    """By content type, which may have parameters. Raises UnsupportedFormatError."""
    return _xgboost.decode(obj, content_type)
