"""aws/sagemaker-xgboost-container: ``handler_service.py``; without a script the built-in algorithm serves."""

from __future__ import annotations

import csv
import importlib
from types import ModuleType
from typing import Any

from .. import formats, toolkits
from ..http import Handle

_LIBSVM = ("text/libsvm", "text/x-libsvm")


def load(script: ModuleType | None, model_dir: str) -> Handle:
    """A model_fn is the user's to write: the image has none."""
    return toolkits.containers(
        script, toolkits.Functions(toolkits.missing_model_fn, decode, _predict_fn, _output_fn), model_dir
    )


def decode(data: Any, content_type: str) -> Any:
    """A DMatrix; raises UnsupportedFormatError."""
    media_type = content_type.partition(";")[0].strip()
    if media_type == formats.CSV:
        return _csv(data)
    if media_type in _LIBSVM:
        return _libsvm(data)
    raise formats.UnsupportedFormatError(media_type)


def _predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)


def _output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    return formats.encode(prediction, accept), accept


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, (bytes, bytearray)) else str(data)


def _csv(data: Any) -> Any:
    """A DMatrix; the delimiter is guessed from the first line, an empty cell is not a number."""
    lines = _text(data).split("\n")
    guessed = csv.Sniffer().sniff(lines[0][:512]).delimiter
    delimiter = "," if guessed.isalnum() else guessed
    rows = [[cell or "nan" for cell in line.split(delimiter)] for line in lines]
    return importlib.import_module("xgboost").DMatrix(importlib.import_module("numpy").array(rows).astype(float))


def _libsvm(data: Any) -> Any:
    """A DMatrix of ``index:value`` rows; indices from 1 are moved to start at 0."""
    numpy, xgboost = importlib.import_module("numpy"), importlib.import_module("xgboost")
    rows = []
    for line in _text(data).strip().split("\n"):
        pairs = (token.split(":", 1) for token in line.split() if ":" in token)
        rows.append({int(index): float(value) for index, value in pairs})
    indices = [index for row in rows for index in row]
    if not indices:
        return xgboost.DMatrix(numpy.empty((0, 0)))
    offset = 1 if min(indices) >= 1 else 0
    dense = numpy.zeros((len(rows), max(indices) - offset + 1))
    for number, row in enumerate(rows):
        for index, value in row.items():
            dense[number, index - offset] = value
    return xgboost.DMatrix(dense)
