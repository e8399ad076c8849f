"""What an ``input_fn`` or ``output_fn`` raises for a content type that it does not take: 415 or 406."""

from __future__ import annotations

import importlib

UnsupportedFormatError = (
    importlib.import_module("sagemaker_inference._serving").module("formats").UnsupportedFormatError
)
