"""From which score on a record is positive: binary_classifier_model_selection_criteria."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve

from ..formats.tables import Array

Measure = tuple[float, float]
"""The threshold, and the value of the criterion that it reaches; more is better."""


def choose(scores: Array, labels: Array, usual: float, values: Mapping[str, Any]) -> Measure:
    """The best threshold for scores of records whose labels are known; ``usual`` unless another is better."""
    criterion = values["binary_classifier_model_selection_criteria"]
    if criterion in ("loss_function", "cross_entropy_loss"):
        return usual, 0.0
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    candidates = np.append(thresholds, np.inf)
    reached = _value(criterion, precision, recall, labels, values)
    best = int(np.argmax(reached))
    at_usual = min(int(np.searchsorted(thresholds, usual)), len(reached) - 1)
    if reached[at_usual] >= reached[best]:
        return usual, float(reached[at_usual])
    return _between(scores, float(candidates[best])), float(reached[best])


def _value(criterion: str, precision: Array, recall: Array, labels: Array, values: Mapping[str, Any]) -> Array:
    if criterion == "precision_at_target_recall":
        return np.where(recall >= values["target_recall"], precision, -1.0)
    if criterion == "recall_at_target_precision":
        return np.where(precision >= values["target_precision"], recall, -1.0)
    positives = float(labels.sum())
    hits = recall * positives
    if criterion == "accuracy":
        with np.errstate(divide="ignore", invalid="ignore"):
            false = np.where(hits > 0, hits / precision - hits, 0.0)
        none_found = (hits == 0) & (np.arange(len(hits)) < len(hits) - 1)
        return np.where(none_found, -1.0, (hits + len(labels) - positives - false) / len(labels))
    beta = (1.0 if criterion == "f1" else values["f_beta"]) ** 2
    with np.errstate(invalid="ignore"):
        found = (1 + beta) * precision * recall / (beta * precision + recall)
    return np.nan_to_num(found, nan=-1.0)


def _between(scores: Array, threshold: float) -> float:
    """Half way to the next score below, so that records like those seen are told apart."""
    if not np.isfinite(threshold):
        return float(np.nextafter(scores.max(), np.inf))
    below = scores[scores < threshold]
    return float((threshold + below.max()) / 2) if len(below) else threshold
