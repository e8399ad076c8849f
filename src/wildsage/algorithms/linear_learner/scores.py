"""The metrics that the linear learner logs (Developer Guide, "Metrics computed by the linear learner algorithm")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import accuracy_score, fbeta_score, precision_score, recall_score

from ..formats.tables import Array
from .declared import BINARY, REGRESSOR

OBJECTIVES = {
    "logistic": "binary_classification_cross_entropy",
    "hinge_loss": "hinge_loss",
    "softmax_loss": "multiclass_cross_entropy",
    "squared_loss": "mse",
}
"""Names in the log where they differ from the hyperparameter's value."""

Scores = Mapping[str, tuple[float, str]]
"""Metric → value, and "loss" or "score"."""


def objective(loss: str, margins: Array, labels: Array, values: Mapping[str, Any]) -> float:
    """The mean loss. ``margins``: records × outputs."""
    if loss == "softmax_loss":
        return float(-log_softmax(margins, axis=1)[np.arange(len(labels)), labels.astype(int)].mean())
    found = margins[:, 0]
    if loss == "logistic":
        return float(np.logaddexp(0, -(2 * labels - 1) * found).mean())
    if loss == "hinge_loss":
        return float(np.maximum(0, values["margin"] - (2 * labels - 1) * found).mean())
    return float(_distance(loss, labels - found, values).mean())


def _distance(loss: str, error: Array, values: Mapping[str, Any]) -> Any:
    size = np.abs(error)
    if loss == "squared_loss":
        return error**2
    if loss == "quantile_loss":
        return np.maximum(values["quantile"] * error, (values["quantile"] - 1) * error)
    if loss == "huber_loss":
        delta = values["huber_delta"]
        return np.where(size <= delta, error**2 / 2, delta * (size - delta / 2))
    if loss == "absolute_loss":
        return size
    beyond = np.maximum(0, size - values["loss_insensitivity"])
    return beyond**2 if loss == "eps_insensitive_squared_loss" else beyond


def probabilities(loss: str, margins: Array) -> Array:
    """What a response calls the score: a probability for a classifier, except that hinge loss has margins."""
    if loss == "softmax_loss":
        return np.asarray(softmax(margins, axis=1))
    return np.asarray(expit(margins[:, 0]) if loss == "logistic" else margins[:, 0])


def scores(kind: str, loss: str, margins: Array, labels: Array, threshold: float, values: Mapping[str, Any]) -> Scores:
    """``kind``: predictor_type; ``threshold``: from which score on a record is positive."""
    name = f"{OBJECTIVES.get(loss, loss)}_objective"
    found = {name: (objective(loss, margins, labels, values), "loss")}
    if kind == REGRESSOR:
        error = labels - margins[:, 0]
        return {
            **found,
            "mse": (float((error**2).mean()), "loss"),
            "absolute_loss": (float(np.abs(error).mean()), "loss"),
        }
    beta = values["f_beta"]
    if kind == BINARY:
        predicted = (probabilities(loss, margins) >= threshold).astype(int)
        average, prefix, names = "binary", "binary", ("binary_classification_accuracy", "precision", "recall")
    else:
        predicted = margins.argmax(axis=1)
        average, prefix, names = "macro", "macro", ("multiclass_accuracy", "macro_precision", "macro_recall")
        found.update(_ranked(margins, labels, values["accuracy_top_k"]))
    options = {"average": average, "zero_division": 0}
    measured = (
        accuracy_score(labels, predicted),
        precision_score(labels, predicted, **options),
        recall_score(labels, predicted, **options),
    )
    found.update({each: (float(value), "score") for each, value in zip(names, measured)})  # noqa: B905 - Python 3.9
    found[f"{prefix}_f_{beta:.3f}"] = (float(fbeta_score(labels, predicted, beta=beta, **options)), "score")
    return found


def _ranked(margins: Array, labels: Array, k: int) -> Scores:
    """How far up the true class stands among all."""
    true = margins[np.arange(len(labels)), labels.astype(int)]
    rank = (margins > true[:, None]).sum(axis=1)
    return {
        f"multiclass_top_k_accuracy_{k}": (float((rank < k).mean()), "score"),
        "dcg": (float((1 / np.log2(rank + 2)).mean()), "score"),
    }
