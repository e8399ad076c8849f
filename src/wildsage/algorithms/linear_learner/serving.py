"""Answers of a linear learner (Developer Guide, "Linear learner response formats")."""

from __future__ import annotations

import numpy as np

from ..channels import Accepted
from ..formats.tables import Array
from ..hosting import model
from ..hosting.model import Predictor
from ..hosting.responses import Columns
from ..training import Algorithm
from .declared import BINARY, DECLARED, INERT, REGRESSOR
from .fitting import fit
from .scores import probabilities
from .solvers import Linear


def load(model_dir: str) -> Predictor:
    arrays, settings = model.load(model_dir)
    linear = Linear(arrays["weights"].astype(np.float64), arrays["bias"].astype(np.float64))
    kind, loss, threshold = settings["predictor_type"], settings["loss"], settings["threshold"]

    def predict(rows: Array, verbose: bool) -> Columns:
        margins = linear.margins(rows)
        if kind == REGRESSOR:
            return {"score": margins[:, 0].astype(np.float32)}
        score = probabilities(loss, margins)
        label = score >= threshold if kind == BINARY else score.argmax(axis=1)
        return {"score": score.astype(np.float32), "predicted_label": label.astype(np.int64)}

    return Predictor(linear.weights.shape[0], "predictions", predict)


ALGORITHM = Algorithm(
    "Linear Learner",
    DECLARED,
    {"train": Accepted(required=True), "validation": Accepted(), "test": Accepted()},
    fit,
    inert=INERT,
)
