"""How training jobs of built-in algorithms fail, and data that come through pipes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

import wildsage.algorithms.train

from .box import Box, Channel, csv, labelled, protobuf

_NOT_INITIALIZED = (
    "ClientError: Unable to initialize the algorithm. Failed to validate input data configuration. (caused by "
    "ValidationError)\n\nCaused by: "
)


@pytest.fixture
def x() -> Any:
    return load_iris(return_X_y=True)[0]


@pytest.mark.parametrize(
    ("algorithm", "hyperparameters", "channels", "words"),
    [
        ("kmeans", {}, {}, f"{_NOT_INITIALIZED}'train' is a required property"),
        (
            "kmeans",
            {},
            {"train": Channel(b""), "training": Channel(b"")},
            f"{_NOT_INITIALIZED}Additional properties are not allowed ('training' was unexpected)",
        ),
        (
            "kmeans",
            {},
            {"train": Channel(b"", "text/plain")},
            f"{_NOT_INITIALIZED}'text/plain' is not one of ['application/x-recordio-protobuf', 'text/csv']",
        ),
        (
            "randomcutforest",
            {},
            {"train": Channel(b"")},
            f"{_NOT_INITIALIZED}'FullyReplicated' is not one of ['ShardedByS3Key']",
        ),
        (
            "kmeans",
            {},
            {"train": Channel(b"1,2\n")},
            "ClientError: Unable to read data channel 'train'. Requested content-type is "
            "'application/x-recordio-protobuf'. Please verify the data matches the requested content-type. (caused by "
            "MXNetError)\n\nCaused by: (Input Error) The MXNet RecordIO record at position 0 in the dataset is cut",
        ),
        (
            "kmeans",
            {},
            {"train": Channel(b"")},
            "ClientError: Unable to read data channel 'train'. Found missing channel or empty files. Please check that "
            "the channel has data.",
        ),
        (
            "kmeans",
            {},
            {"train": Channel(b"1,2,3,4\n", "text/csv")},
            "ClientError: The number of features in the data of channel 'train' (3) does not match the hyperparameter "
            "feature_dim (4). If the data are CSV without labels, set the content type to 'text/csv;label_size=0'.",
        ),
        (
            "kmeans",
            {},
            {"train": Channel(b"1,2,3,4\n", "text/csv;label_size=0")},
            "ClientError: There are 1 records to be put into k=3 clusters.",
        ),
        (
            "linear-learner",
            {"predictor_type": "binary_classifier"},
            {"train": Channel(b"2,1,1\n0,1,1\n", "text/csv")},
            "ClientError: Labels of a binary_classifier must be 0 or 1, and some of channel 'train' are not.",
        ),
        (
            "linear-learner",
            {"predictor_type": "binary_classifier"},
            {"train": Channel(b"1,1,1\n1,1,1\n", "text/csv")},
            "ClientError: The labels of channel 'train' are all the same; a classifier needs two or more classes.",
        ),
        (
            "linear-learner",
            {"predictor_type": "regressor", "loss": "logistic"},
            {"train": Channel(b"1,1,1\n1,1,1\n", "text/csv")},
            "ClientError: loss 'logistic' cannot be used with predictor_type 'regressor'; use one of ['squared_loss', ",
        ),
        (
            "linear-learner",
            {"predictor_type": "multiclass_classifier"},
            {"train": Channel(b"1,1,1\n0,1,1\n", "text/csv")},
            "ClientError: No value(s) were specified for 'num_classes' which are required hyperparameter(s)",
        ),
        (
            "linear-learner",
            {"predictor_type": "regressor"},
            {"train": Channel(protobuf(np.ones((2, 2))))},
            "ClientError: The records of channel 'train' have no label, which this algorithm needs.",
        ),
    ],
)
def test_what_the_caller_can_cure(
    tmp_path: Path, algorithm: str, hyperparameters: dict[str, Any], channels: dict[str, Channel], words: str
) -> None:
    """Exit status 2, and a failure file from which FailureReason begins with ClientError."""
    usual = {"kmeans": {"k": 3, "feature_dim": 4}, "randomcutforest": {"feature_dim": 4}}.get(algorithm, {})
    box = Box(tmp_path, algorithm)
    assert box.train({**usual, **hyperparameters}, channels) == 2
    assert box.failure.startswith(words), box.failure
    assert list(box.model.iterdir()) == []


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "words"),
    [
        ({"num_round": 1, "depth": 2}, {}, "Extraneous hyperparameter found: depth"),
        ({"num_round": 1}, {}, "Missing required channel: train"),
        ({"num_round": 1}, {"train": Channel(b""), "test": Channel(b"")}, "Extraneous channel found: test"),
        ({"num_round": 1}, {"train": Channel(b"", "image/png")}, "image/png is not an accepted ContentType: csv, "),
        ({"num_round": 1}, {"train": Channel(b"", "text/csv;label_size=2")}, "label_size must be equal to 1"),
        ({"num_round": 1}, {"train": Channel(b"", "text/csv")}, "No data in training channel path"),
        ({"num_round": 1}, {"train": Channel(b"1,2,3\n")}, "is not 'LIBSVM' format"),
        ({"num_round": 1}, {"train": Channel(b"a,b\n1,2\n", "csv")}, "Failed to load csv data with exception"),
        (
            {"num_round": 1},
            {"train": Channel(b"1,2\n", "csv", mode="Pipe")},
            "Pipe mode for CSV is no longer supported",
        ),
        (
            {"num_round": 1, "objective": "binary:logistic"},
            {"train": Channel(b"7,2\n1,2\n", "csv")},
            "label must be in [0,1] for logistic regression",
        ),
        ({"num_round": 1}, {"train": Channel(b"PAR1", "application/x-parquet")}, "Failed to load parquet data"),
    ],
)
def test_xgboost_fails_as_its_framework_does(
    tmp_path: Path, hyperparameters: dict[str, Any], channels: dict[str, Channel], words: str
) -> None:
    box = Box(tmp_path, "xgboost")
    assert box.train(hyperparameters, channels) == 1
    assert box.failure.startswith("framework error: \n")
    assert words in box.failure


def test_what_a_container_runs_fails_in_words(tmp_path: Path, x: Any) -> None:
    box = Box(tmp_path, "kmeans")
    assert box.train({"k": 3, "feature_dim": 4}, {"train": Channel(protobuf(x))}) == 0
    (tmp_path / "input" / "config" / "hyperparameters.json").write_text('{"feature_dim": "4"}')
    environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path), "WILDSAGE_ALGORITHM": "kmeans"}
    # As a container runs it: by its path, under an interpreter that does not know the package.
    program = wildsage.algorithms.train.__file__
    done = subprocess.run([sys.executable, "-I", program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "'k' is a required property" in box.failure


@pytest.mark.parametrize("kind", ["recordio", "csv"])
def test_pipe_mode(tmp_path: Path, x: Any, kind: str) -> None:
    y = load_iris(return_X_y=True)[1]
    folder = tmp_path / "input" / "data"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "train_0")
    content = protobuf(x, y) if kind == "recordio" else labelled(x, y).content
    feeder = threading.Thread(target=(folder / "train_0").write_bytes, args=(content,), daemon=True)
    feeder.start()
    content_type = "" if kind == "recordio" else "text/csv"
    channel = Channel(b"", content_type, mode="Pipe")
    box = Box(tmp_path, "knn")
    hyperparameters = {"k": 3, "sample_size": 200, "feature_dim": 4, "predictor_type": "classifier"}
    assert box.train(hyperparameters, {"train": channel}) == 0, box.failure
    feeder.join(60)
    found = [row["predicted_label"] for row in box.predictions(x)]
    assert (np.array(found) == y).mean() > 0.95


def test_hidden_files_and_several_files(tmp_path: Path, x: Any) -> None:
    folder = tmp_path / "input" / "data" / "train"
    (folder / "deeper").mkdir(parents=True)
    (folder / ".amazon.manifest").write_text("[]")
    (folder / "_SUCCESS").write_text("")
    (folder / "deeper" / "part-1").write_bytes(csv(x[75:]))
    box = Box(tmp_path, "kmeans")
    channel = Channel(csv(x[:75]), "text/csv;label_size=0")
    assert box.train({"k": 3, "feature_dim": 4}, {"train": channel}) == 0
    assert len({row["closest_cluster"] for row in box.predictions(x)}) == 3
