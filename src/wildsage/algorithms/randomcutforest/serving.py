"""Answers of a random cut forest (Developer Guide, "RCF response formats")."""

from __future__ import annotations

import numpy as np

from ..channels import Accepted
from ..formats.tables import Array
from ..hosting import model
from ..hosting.model import Predictor
from ..hosting.responses import Columns
from ..training import Algorithm
from . import forest
from .fitting import DECLARED, fit


def load(model_dir: str) -> Predictor:
    arrays, _ = model.load(model_dir)
    trees = forest.Forest(**arrays)

    def predict(rows: Array, verbose: bool) -> Columns:
        return {"score": forest.score(trees, rows).astype(np.float32)}

    return Predictor(trees.width, "scores", predict)


ALGORITHM = Algorithm(
    "RandomCutForest",
    DECLARED,
    {
        "train": Accepted(required=True, label_size=0, distributions=("ShardedByS3Key",)),
        "test": Accepted(distributions=("FullyReplicated",)),
    },
    fit,
    inert=("mini_batch_size", "epochs"),
    resource="default-conf.json",
)
