"""Principal component analysis (Developer Guide, "Principal Component Analysis (PCA) Algorithm").

The model has AWS's arrays: ``mean``, the singular values ``s`` and the components ``v`` (a column each), in ascending
order of the singular values; projections have that order too.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd
from sklearn.utils.extmath import randomized_svd

from .channels import Accepted
from .errors import CustomerError
from .formats.tables import Array
from .hosting import model
from .hosting.model import Predictor
from .hosting.responses import Columns
from .hyperparameters import boolean, choice, integer
from .training import Algorithm, Training

DECLARED = {
    "feature_dim": integer(required=True),
    "mini_batch_size": integer(required=True),
    "num_components": integer(required=True),
    "algorithm_mode": choice("regular", "regular", "randomized"),
    "extra_components": integer("-1", low=-1),
    "subtract_mean": boolean("true"),
    "epochs": integer("1"),
}


def fit(training: Training) -> None:
    values, rows = training.values, training.train.features.astype(np.float64)
    count = values["num_components"]
    if count > min(rows.shape):
        raise CustomerError(
            f"num_components ({count}) must not be greater than the number of features ({rows.shape[1]}) or records "
            f"({rows.shape[0]})."
        )
    mean = rows.mean(axis=0) if values["subtract_mean"] else np.zeros(rows.shape[1])
    centered = rows - mean
    if values["algorithm_mode"] == "randomized":
        extra = values["extra_components"]
        _, singular, components = randomized_svd(
            centered, count, n_oversamples=max(10, count) if extra < 0 else extra, random_state=0
        )
    else:
        _, singular, components = svd(centered, full_matrices=False)
    s, v = singular[:count][::-1], components[:count][::-1].T
    arrays = {name: each.astype(np.float32) for name, each in (("mean", mean[None, :]), ("s", s), ("v", v))}
    model.save(training.job.model_file, arrays)


def load(model_dir: str) -> Predictor:
    arrays, _ = model.load(model_dir)
    mean, v = arrays["mean"], arrays["v"]

    def predict(rows: Array, verbose: bool) -> Columns:
        return {"projection": ((rows - mean) @ v).astype(np.float32)}

    return Predictor(v.shape[0], "projections", predict)


ALGORITHM = Algorithm(
    "PCA",
    DECLARED,
    {"train": Accepted(required=True), "test": Accepted()},
    fit,
    inert=("mini_batch_size", "epochs"),
    resource="default-conf.json",
)
