"""k-means (Developer Guide, "K-Means Algorithm"): scikit-learn's, on all of the data at once.

AWS's streams the data through an online k-means with more centers and shrinks them to k by Lloyd's algorithm, with
``local_lloyd_*``. Here Lloyd's algorithm runs on the data themselves, with the same settings.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin_min

from .channels import Accepted
from .errors import CustomerError
from .formats.tables import Array
from .hosting import model
from .hosting.model import Predictor
from .hosting.responses import Columns
from .hyperparameters import choice, choices_of, integer, number
from .training import Algorithm, Training

_TRIALS = 10  # what "auto" means

DECLARED = {
    "feature_dim": integer(required=True),
    "k": integer(required=True),
    "init_method": choice("random", "random", "kmeans++"),
    "mini_batch_size": integer("5000"),
    "epochs": integer("1"),
    "extra_center_factor": integer("auto", auto=True),
    "local_lloyd_max_iter": integer("300"),
    "local_lloyd_tol": number("0.0001", 0, 1),
    "local_lloyd_init_method": choice("kmeans++", "random", "kmeans++"),
    "local_lloyd_num_trials": integer("auto", auto=True),
    "half_life_time_size": integer("0", low=0),
    "eval_metrics": choices_of('["msd"]', "msd", "ssd"),
}


def fit(training: Training) -> None:
    values, rows = training.values, training.train.features
    if len(rows) < values["k"]:
        raise CustomerError(f"There are {len(rows)} records to be put into k={values['k']} clusters.")
    trials = values["local_lloyd_num_trials"]
    solver = KMeans(
        values["k"],
        init="k-means++" if values["local_lloyd_init_method"] == "kmeans++" else "random",
        n_init=_TRIALS if trials == "auto" else trials,
        max_iter=values["local_lloyd_max_iter"],
        tol=values["local_lloyd_tol"],
        random_state=0,
    )
    solver.fit(rows, sample_weight=_weights(len(rows), values["half_life_time_size"]))
    centers = solver.cluster_centers_.astype(np.float32)
    for name in ("train", "test"):
        if name in training.data:
            _score(training, name, centers)
    model.save(training.job.model_file, {"centers": centers})


def _weights(count: int, half_life: int) -> Array | None:
    """A record that ``half_life`` others came after counts half; 0: all count the same."""
    return np.exp2(np.arange(1 - count, 1) / half_life) if half_life else None


def _score(training: Training, name: str, centers: Array) -> None:
    _, distances = pairwise_distances_argmin_min(training.data[name].features, centers)
    squares = distances.astype(np.float64) ** 2
    found = {"msd": squares.mean(), "ssd": squares.sum()}
    for metric in training.values["eval_metrics"]:
        training.log.quality(name, metric, found[metric], "loss")


def load(model_dir: str) -> Predictor:
    arrays, _ = model.load(model_dir)
    centers = arrays["centers"]

    def predict(rows: Array, verbose: bool) -> Columns:
        closest, distances = pairwise_distances_argmin_min(rows, centers)
        return {
            "closest_cluster": closest.astype(np.float32),
            "distance_to_cluster": distances.astype(np.float32),
        }

    return Predictor(centers.shape[1], "predictions", predict)


ALGORITHM = Algorithm(
    "AWS/KMeansWebscale",
    DECLARED,
    {"train": Accepted(required=True), "test": Accepted()},
    fit,
    inert=("init_method", "mini_batch_size", "epochs", "extra_center_factor"),
)
