"""k-nearest neighbors (Developer Guide, "K-Nearest Neighbors (k-NN) Algorithm").

The search is exact whatever ``index_type`` asks for: AWS's other indexes approximate it. Reduction of dimensions is by
random projection: ``sign`` with entries of ±1, ``fjlt`` with scikit-learn's sparse one.
"""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.random_projection import SparseRandomProjection

from .channels import Accepted
from .errors import CustomerError
from .formats.tables import Array
from .hosting import model
from .hosting.model import Predictor
from .hosting.responses import Columns
from .hyperparameters import choice, integer
from .training import Algorithm, Training

DECLARED = {
    "feature_dim": integer(required=True),
    "k": integer(required=True),
    "predictor_type": choice(None, "classifier", "regressor", required=True),
    "sample_size": integer(required=True),
    "dimension_reduction_target": integer(),
    "dimension_reduction_type": choice(None, "sign", "fjlt"),
    "mini_batch_size": integer("5000"),
    "index_type": choice("faiss.Flat", "faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"),
    "index_metric": choice("L2", "L2", "INNER_PRODUCT", "COSINE"),
    "faiss_index_ivf_nlists": integer("auto", auto=True),
    "faiss_index_pq_m": integer(),
}


def fit(training: Training) -> None:
    values = training.values
    rows, labels = training.labelled("train")
    random = np.random.default_rng(0)
    if values["sample_size"] < len(rows):
        chosen = np.sort(random.choice(len(rows), values["sample_size"], replace=False))
        rows, labels = rows[chosen], labels[chosen]
    if len(rows) < values["k"]:
        raise CustomerError(f"k ({values['k']}) is greater than the number of sampled records ({len(rows)}).")
    if values["predictor_type"] == "classifier" and not np.array_equal(labels, np.floor(labels)):
        raise CustomerError(
            "Labels of a classifier must be integers. Set predictor_type to regressor for other labels."
        )
    projection = _projection(training, rows)
    index = rows @ projection if projection.size else rows
    settings = {"k": values["k"], "predictor_type": values["predictor_type"], "index_metric": values["index_metric"]}
    arrays = {"index": index.astype(np.float32), "labels": labels, "projection": projection}
    model.save(training.job.model_file, arrays, feature_dim=rows.shape[1], **settings)
    if "test" in training.data:
        _score(training, *training.labelled("test"))


def _projection(training: Training, rows: Array) -> Array:
    """Columns to multiply with; empty for none."""
    kind, target = training.values["dimension_reduction_type"], training.values["dimension_reduction_target"]
    if kind is None:
        return np.empty((0, 0), np.float32)
    width = rows.shape[1]
    if target is None or not 0 < target < width:
        raise CustomerError(
            f"dimension_reduction_target ({target}) must be greater than 0 and less than feature_dim ({width})."
        )
    if kind == "sign":
        signs = np.random.default_rng(0).integers(0, 2, (width, target)) * 2 - 1
        return np.asarray(signs / np.sqrt(target), np.float32)
    fitted = SparseRandomProjection(target, dense_output=True, random_state=0).fit(rows)
    return np.asarray(fitted.components_.todense(), np.float32).T


def _score(training: Training, rows: Array, labels: Array) -> None:
    found = load(training.job.model_dir).predict(rows, False)["predicted_label"]
    if training.values["predictor_type"] == "classifier":
        training.log.quality("test", "accuracy", float((found == labels).mean()), "score")
    else:
        training.log.quality("test", "mse", float(((found - labels) ** 2).mean()), "loss")


def load(model_dir: str) -> Predictor:
    arrays, settings = model.load(model_dir)
    index, labels, projection = arrays["index"], arrays["labels"], arrays["projection"]
    classes, codes = np.unique(labels, return_inverse=True)
    search = _Search(index, settings["k"], settings["index_metric"])

    def predict(rows: Array, verbose: bool) -> Columns:
        distances, neighbors = search(rows @ projection if projection.size else rows)
        if settings["predictor_type"] == "classifier":
            votes = np.zeros((len(rows), len(classes)), np.int32)
            np.add.at(votes, (np.arange(len(rows))[:, None], codes[neighbors]), 1)
            predicted = classes[votes.argmax(axis=1)]
        else:
            predicted = labels[neighbors].mean(axis=1)
        columns = {"predicted_label": predicted.astype(np.float32)}
        if verbose:
            columns.update(distances=distances.astype(np.float32), labels=labels[neighbors])
        return columns

    return Predictor(settings["feature_dim"], "predictions", predict)


class _Search:
    """The k nearest of ``index``, distances ascending; the nearest by inner product have the largest, negated."""

    def __init__(self, index: Array, k: int, metric: str) -> None:
        self._index, self._k, self._inner = index, k, metric == "INNER_PRODUCT"
        names = {"L2": "euclidean", "COSINE": "cosine", "INNER_PRODUCT": "euclidean"}
        self._neighbors = NearestNeighbors(n_neighbors=k, metric=names[metric]).fit(index)

    def __call__(self, rows: Array) -> tuple[Array, Array]:
        if not self._inner:
            distances, neighbors = self._neighbors.kneighbors(rows)
            return distances, neighbors
        products = -(rows @ self._index.T)
        neighbors = np.argsort(products, axis=1, kind="stable")[:, : self._k]
        return np.take_along_axis(products, neighbors, axis=1), neighbors


ALGORITHM = Algorithm(
    "AWS/KNN",
    DECLARED,
    {"train": Accepted(required=True), "test": Accepted()},
    fit,
    inert=("mini_batch_size", "faiss_index_ivf_nlists", "faiss_index_pq_m"),
)
