"""Selectable inference: what SAGEMAKER_INFERENCE_OUTPUT asks the answers to be made of."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..formats import recordio, records
from ..formats.contenttype import JSON, JSONLINES, RECORDIO
from ..formats.tables import Array

_SCORE = ("predicted_score",)
_RAW = ("predicted_label", "labels", "raw_score", "raw_scores")
_ALL = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores")
_POSSIBLE = {
    **dict.fromkeys(("reg:squarederror", "reg:logistic", "reg:gamma", "reg:absoluteerror", "reg:tweedie"), _SCORE),
    "binary:logistic": _ALL,
    "binary:logitraw": _RAW,
    "binary:hinge": _RAW,
    "multi:softmax": _RAW,
    "multi:softprob": _ALL,
}

Rows = list[dict[str, Any]]


def choose(predictions: Array, wanted: list[str], objective: str, classes: int) -> Rows:
    """For each record what was asked for; NaN where the objective has no such thing. Raises ValueError."""
    possible = _POSSIBLE.get(objective)
    if possible is None:
        raise ValueError(f"Objective `{objective}` unsupported for selectable inference predictions.")
    every = [_row(each, objective, classes) for each in predictions]
    return [{key: row[key] if key in possible else math.nan for key in wanted} for row in every]


def _row(value: Any, objective: str, classes: int) -> dict[str, Any]:
    if objective == "multi:softprob":
        best, every = float(np.max(value)), value.tolist()
        return {
            "predicted_label": int(np.argmax(value)),
            "labels": list(range(classes)),
            "probability": best,
            "probabilities": every,
            "raw_score": best,
            "raw_scores": every,
        }
    score = float(value)
    label: float = score
    if objective in ("binary:logistic", "binary:logitraw"):
        label = int(score > (0.5 if objective == "binary:logistic" else 0))
    both = [1.0 - score, score]
    return {
        "predicted_label": label,
        "labels": list(range(classes)) if objective.startswith("multi:") else [0, 1],
        "probability": score,
        "probabilities": both,
        "raw_score": score,
        "raw_scores": both,
        "predicted_score": score,
    }


def written(rows: Rows, wanted: list[str], accept: str, batch: bool) -> bytes:
    if accept == JSON:
        return json.dumps({"predictions": rows}).encode()
    if accept == JSONLINES:
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if accept == RECORDIO:
        return b"".join(recordio.frame(records.encode({}, row)) for row in rows)
    lines = (
        ",".join(f'"{row[key]}"' if isinstance(row[key], list) else str(row[key]) for key in wanted) for row in rows
    )
    return ("\n".join(lines) + ("\n" if batch else "")).encode()
