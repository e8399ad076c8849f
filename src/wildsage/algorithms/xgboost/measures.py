"""Metrics that the image adds to XGBoost's own (its ``custom_metrics``), computed by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics

from ..formats.tables import Array
from .together import mean

_Metric = Callable[[Array, Array], float]


def _averaged(score: Any, average: str) -> _Metric:
    return lambda labels, found: float(score(labels, found, average=average, zero_division=0))


_CLASSIFICATION: dict[str, _Metric] = {
    "accuracy": lambda labels, found: float(metrics.accuracy_score(labels, found)),
    "balanced_accuracy": lambda labels, found: float(metrics.balanced_accuracy_score(labels, found)),
    "f1": _averaged(metrics.f1_score, "macro"),
    "f1_binary": _averaged(metrics.f1_score, "binary"),
    "f1_macro": _averaged(metrics.f1_score, "macro"),
    "precision": _averaged(metrics.precision_score, "binary"),
    "precision_macro": _averaged(metrics.precision_score, "macro"),
    "precision_micro": _averaged(metrics.precision_score, "micro"),
    "recall": _averaged(metrics.recall_score, "binary"),
    "recall_macro": _averaged(metrics.recall_score, "macro"),
    "recall_micro": _averaged(metrics.recall_score, "micro"),
}
_REGRESSION: dict[str, _Metric] = {
    "mse": lambda labels, found: float(metrics.mean_squared_error(labels, found)),
    "r2": lambda labels, found: float(metrics.r2_score(labels, found)),
}
_OWN = {**_CLASSIFICATION, **_REGRESSION}


def split(names: list[str]) -> tuple[list[str], list[str]]:
    """XGBoost's own metrics, and those of this module."""
    return [name for name in names if name not in _OWN], [name for name in names if name in _OWN]


def measuring(names: list[str], objective: str) -> Callable[[Array, Any], list[tuple[str, float]]]:
    """What ``xgboost.train`` takes as ``custom_metric``."""

    def measure(predictions: Array, data: Any) -> list[tuple[str, float]]:
        labels, found = data.get_label(), np.asarray(predictions)
        classes = _classes(found, objective)
        values = [_OWN[name](labels, classes if name in _CLASSIFICATION else found) for name in names]
        return list(zip(names, mean(values, len(labels))))  # noqa: B905 - Python 3.9

    return measure


def _classes(predictions: Array, objective: str) -> Array:
    """From what the objective predicts: a class already, a probability for each, a probability, a margin."""
    if objective == "multi:softmax":
        return predictions
    if predictions.ndim > 1:
        return np.asarray(predictions.argmax(axis=-1))
    return np.asarray(predictions > (0.0 if objective == "binary:logitraw" else 0.5), np.int64)
