"""Trains one model for each strength of regularization and keeps the best."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import CustomerError
from ..formats.tables import Array
from ..hosting import model
from ..training import Training
from . import scores, threshold
from .declared import BINARY, LOSSES, MULTICLASS, REGRESSOR
from .solvers import Linear, Problem, solve

_USUAL_MODELS = 5  # what num_models "auto" means where there is a regularization to choose and data to choose by
_SPREAD = 100.0  # the candidates' wd lies within this factor of the middle one


class _Candidate(NamedTuple):
    found: Linear
    threshold: float
    value: float
    wd: float


def fit(training: Training) -> None:
    kind, loss = training.values["predictor_type"], _loss(training)
    rows, labels = training.labelled("train")
    for name in training.data:
        _check_labels(kind, training.labelled(name)[1], name, training.values)
    if kind != REGRESSOR and len(np.unique(labels)) < 2:
        raise CustomerError("The labels of channel 'train' are all the same; a classifier needs two or more classes.")
    scaler = _Scaler(training, rows, labels)
    problem = Problem(scaler.rows, scaler.labels, _weights(training, labels), loss, training.values)
    best = _best(training, problem, scaler)
    epoch = {"train": 0, "validation": 0}
    for name in training.data:
        _log(training, name, best, loss, epoch.get(name))
    arrays = {"weights": best.found.weights.astype(np.float32), "bias": best.found.bias.astype(np.float32)}
    settings = {"predictor_type": kind, "loss": loss, "threshold": best.threshold, "wd": best.wd}
    model.save(training.job.model_file, arrays, **settings)


def _loss(training: Training) -> str:
    kind, asked = training.values["predictor_type"], training.values["loss"]
    allowed = LOSSES[kind]
    if asked == "auto":
        return allowed[0]
    if asked not in allowed:
        raise CustomerError(f"loss '{asked}' cannot be used with predictor_type '{kind}'; use one of {list(allowed)}.")
    return str(asked)


def _check_labels(kind: str, labels: Array, channel: str, values: Any) -> None:
    if kind == BINARY and not np.isin(labels, (0, 1)).all():
        raise CustomerError(f"Labels of a binary_classifier must be 0 or 1, and some of channel '{channel}' are not.")
    if kind != MULTICLASS:
        return
    classes = values["num_classes"]
    if classes is None:
        raise CustomerError(
            "No value(s) were specified for 'num_classes' which are required hyperparameter(s)",
            "'num_classes' is a required property",
        )
    if not (np.array_equal(labels, np.floor(labels)) and labels.min() >= 0 and labels.max() < classes):
        raise CustomerError(
            f"Labels of a multiclass_classifier must be integers from 0 to num_classes - 1 ({classes - 1}), and some "
            f"of channel '{channel}' are not."
        )


def _weights(training: Training, labels: Array) -> Array | None:
    """Of the records, from positive_example_weight_mult and balance_multiclass_weights."""
    values = training.values
    if values["predictor_type"] == BINARY:
        factor = values["positive_example_weight_mult"]
        if factor == "balanced":
            factor = (len(labels) - labels.sum()) / labels.sum()
        if factor in (1.0, "auto"):
            return None
        return np.where(labels == 1, float(factor), 1.0)
    if values["predictor_type"] == MULTICLASS and values["balance_multiclass_weights"]:
        classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        weights: Array = (len(labels) / (len(classes) * counts))[codes]
        return weights
    return None


class _Scaler:
    """Standardizes what it is told to, and brings weights back to the data as they came."""

    def __init__(self, training: Training, rows: Array, labels: Array) -> None:
        values = training.values
        regressor = values["predictor_type"] == REGRESSOR
        data = rows.astype(np.float64)
        center = values["use_bias"] and values["unbias_data"] is not False
        self.shift = data.mean(axis=0) if center else np.zeros(data.shape[1])
        self.scale = np.ones(data.shape[1])
        if values["normalize_data"] is not False:
            spread = data.std(axis=0)
            self.scale = np.where(spread > 0, spread, 1.0)
        self.rows = (data - self.shift) / self.scale
        center_label = regressor and values["use_bias"] and values["unbias_label"] is not False
        self.label_shift = float(labels.mean()) if center_label else 0.0
        normal = regressor and values["normalize_label"] is not False
        self.label_scale = float(labels.std()) or 1.0 if normal else 1.0
        self.labels = (labels.astype(np.float64) - self.label_shift) / self.label_scale

    def back(self, found: Linear) -> Linear:
        weights = found.weights / self.scale[:, None]
        bias = found.bias - self.shift @ weights
        return Linear(weights * self.label_scale, bias * self.label_scale + self.label_shift)


def _best(training: Training, problem: Problem, scaler: _Scaler) -> _Candidate:
    values = training.values
    middle = 1 / len(problem.rows) if values["wd"] == "auto" else values["wd"]
    strengths = [middle]
    many = values["num_models"]
    if values["wd"] == "auto" and "validation" in training.data and many != 1:
        count = _USUAL_MODELS if many == "auto" else min(many, 32)
        strengths = list(np.geomspace(middle / _SPREAD, middle * _SPREAD, count))
    l1 = 0.0 if values["l1"] == "auto" else values["l1"]
    calibration = "validation" if "validation" in training.data else "train"
    candidates = []
    for wd in strengths:
        found = scaler.back(solve(problem, float(wd), l1))
        rows, labels = training.labelled(calibration)
        margins = found.margins(rows)
        loss = scores.objective(problem.loss, margins, labels, values)
        limit, value = _usual(problem.loss), -loss
        if values["predictor_type"] == BINARY:
            reached = scores.probabilities(problem.loss, margins)
            limit, criterion = threshold.choose(reached, labels, limit, values)
            value = criterion - 1e-9 * loss
        training.log.line(f"model with wd={wd:.3g}, l1={l1:.3g}: {calibration} loss {loss:.6f}")
        candidates.append(_Candidate(found, limit, value, float(wd)))
    return max(candidates, key=lambda each: each.value)


def _usual(loss: str) -> float:
    return 0.5 if loss == "logistic" else 0.0


def _log(training: Training, name: str, best: _Candidate, loss: str, epoch: int | None) -> None:
    rows, labels = training.labelled(name)
    kind = training.values["predictor_type"]
    found = scores.scores(kind, loss, best.found.margins(rows), labels, best.threshold, training.values)
    for metric, (value, sense) in found.items():
        if epoch is not None and metric.endswith("_objective"):
            training.log.quality(name, metric, value, sense, epoch)
    for metric, (value, sense) in found.items():
        training.log.line(f"#{name}_score ({training.job.host}) : ('{metric}', {value!r})")
        training.log.quality(name, metric, value, sense)
