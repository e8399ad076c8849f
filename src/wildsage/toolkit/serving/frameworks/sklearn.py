"""aws/sagemaker-scikit-learn-container: ``serving.py`` and ``handler_service.py``."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from .. import formats, toolkits
from ..http import Handle


def load(script: ModuleType | None, model_dir: str) -> Handle:
    """A model_fn is the user's to write: the image has none."""
    return toolkits.containers(
        script, toolkits.Functions(toolkits.missing_model_fn, _input_fn, _predict_fn, _output_fn), model_dir
    )


def _input_fn(data: Any, content_type: str) -> Any:
    array = formats.decode(data, content_type)
    if array.ndim == 1:
        array = array.reshape(1, -1)
    return array.astype(importlib.import_module("numpy").float32) if content_type in formats.UTF8 else array


def _predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)


def _output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    return formats.encode(prediction, accept), accept
