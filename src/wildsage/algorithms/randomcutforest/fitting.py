"""The training job of a random cut forest."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from ..errors import CustomerError
from ..formats.tables import Array
from ..hosting import model
from ..hyperparameters import choices_of, integer
from ..training import Training
from . import forest

DECLARED = {
    "feature_dim": integer(high=10_000, required=True),
    "num_trees": integer("100", 50, 1000),
    "num_samples_per_tree": integer("256", 1, 2048),
    "eval_metrics": choices_of('["accuracy", "precision_recall_fscore"]', "accuracy", "precision_recall_fscore"),
    "mini_batch_size": integer("1000"),
    "epochs": integer("1"),
}

_SIGMAS = 3.0  # scores this far above the mean count as anomalies ("How RCF works")


def fit(training: Training) -> None:
    values, rows = training.values, training.train.features
    if not np.isfinite(rows).all():
        raise CustomerError("The data of channel 'train' contain NaN or infinity, which cannot be cut.")
    trees = values["num_trees"]
    each = min(values["num_samples_per_tree"], len(rows) // trees)
    if each < 1:
        raise CustomerError(
            f"There are {len(rows)} records for num_trees={trees}: each tree gets records of its own, so at least as "
            "many records as trees are needed."
        )
    training.log.line("Sampling training data...")
    random = np.random.default_rng(0)
    # Each record is in one tree at most: AWS samples trees × num_samples_per_tree records and deals them out.
    dealt = random.permutation(len(rows))[: trees * each].reshape(trees, each)
    training.log.line(f"{trees * each} samples gathered")
    training.log.line("Building Random Cut Forest...")
    built = forest.build([rows[numbers] for numbers in dealt], random)
    training.log.line(
        f"Random Cut Forest built: \n\nForestInfo{{num_trees: {trees}, num_samples_in_forest: {trees * each}, "
        f"num_samples_per_tree: {each}, sample_dim: {rows.shape[1]}}}"
    )
    model.save(training.job.model_file, built._asdict())
    if "test" in training.data:
        _test(training, built)


def _test(training: Training, built: forest.Forest) -> None:
    rows, labels = training.data["test"]
    if labels is None:
        training.log.line("The test data have no labels; they are not scored.", "WARNING")
        return
    reached: Array = forest.score(built, rows)
    found = (reached > reached.mean() + _SIGMAS * reached.std()).astype(int)
    true = labels.astype(int)
    scores = {"accuracy": accuracy_score(true, found)}
    if "precision_recall_fscore" in training.values["eval_metrics"]:
        options = {"zero_division": 0}
        scores["precision"] = precision_score(true, found, **options)
        scores["recall"] = recall_score(true, found, **options)
        scores["f1"] = f1_score(true, found, **options)
    if "accuracy" not in training.values["eval_metrics"]:
        del scores["accuracy"]
    for name, value in scores.items():
        training.log.line(f"#test_score (algo-1) : ('{name}', {float(value)!r})")
        training.log.quality("test", name, value, "score")
