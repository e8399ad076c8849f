"""Built-in algorithms on two instances that have half of the data each: the model is that of one with all of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer
from tests.unit.algorithms.box import Box, Channel, csv
from tests.unit.services.sagemaker.conftest import BUCKET, Server, Training
from tests.unit.services.sagemaker.test_several_instances import of, printed
from tests.unit.services.sagemaker.test_training import contents, left_behind

X, Y = load_breast_cancer(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
HALF = len(X) // 2
ACCOUNT = "382416733822.dkr.ecr.us-east-1.amazonaws.com"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "kmeans": {"k": 2, "feature_dim": 30},
    "pca": {"feature_dim": 30, "num_components": 5, "mini_batch_size": 100},
    "linear-learner": {"predictor_type": "binary_classifier", "feature_dim": 30, "mini_batch_size": 100, "wd": 0.01},
    "knn": {"k": 5, "predictor_type": "classifier", "sample_size": len(X), "feature_dim": 30},
    "randomcutforest": {"feature_dim": 30, "num_trees": 50, "num_samples_per_tree": 128},
    "xgboost": {"num_round": 20, "objective": "binary:logistic", "max_depth": 3, "eval_metric": "logloss,accuracy"},
}
UNLABELLED = ("kmeans", "pca", "randomcutforest")


def table(algorithm: str, rows: slice) -> bytes:
    return csv(X[rows]) if algorithm in UNLABELLED else csv(Y[rows], X[rows])


def content_type(algorithm: str) -> str:
    return "text/csv;label_size=0" if algorithm in UNLABELLED else "text/csv"


async def as_it_is() -> None:
    """Leaves the data alone."""


async def run(
    server: Server,
    training: Training,
    algorithm: str,
    distribution: str,
    change: Callable[[], Awaitable[None]] = as_it_is,
) -> dict[str, Any]:
    """How a job of two instances ends; ``change``: what is done to its data before."""
    for number, rows in enumerate((slice(HALF), slice(HALF, None))):
        await server.put(f"halves/{number}.csv", table(algorithm, rows))
    await change()
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/halves/", "S3DataDistributionType": distribution}
    channel = {
        "ChannelName": "train",
        "ContentType": content_type(algorithm),
        "DataSource": {"S3DataSource": source},
    }
    image = XGBOOST if algorithm == "xgboost" else f"{ACCOUNT}/{algorithm}:1"
    await training.create(
        "together",
        "",
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={name: str(value) for name, value in HYPERPARAMETERS[algorithm].items()},
        InputDataConfig=[channel],
        ResourceConfig=of(2),
    )
    return await training.end("together")


async def together(server: Server, training: Training, algorithm: str, distribution: str) -> dict[str, bytes]:
    """What a job of two instances leaves as its model."""
    job = await run(server, training, algorithm, distribution)
    assert job.get("FailureReason") is None, await printed(server, "together", "algo-2")
    assert await left_behind(server) == []
    return contents(await server.get("out/together/output/model.tar.gz"))


def alone(folder: Path, algorithm: str) -> Path:
    """The model of one instance with all of it."""
    box = Box(folder / "alone", algorithm)
    box.base.mkdir()
    channels = {"train": Channel(table(algorithm, slice(None)), content_type(algorithm), "ShardedByS3Key")}
    assert box.train(HYPERPARAMETERS[algorithm], channels, WILDSAGE_ALGORITHM_VERSION="1.7-1") == 0
    return box.model


@pytest.mark.parametrize("algorithm", ["kmeans", "pca", "linear-learner", "knn", "randomcutforest"])
async def test_two_instances_find_what_one_finds(
    server: Server, training: Training, tmp_path: Path, algorithm: str
) -> None:
    found = await together(server, training, algorithm, "ShardedByS3Key")
    assert list(found) == ["model_algo-1"]
    (tmp_path / "found").write_bytes(found["model_algo-1"])
    ours = np.load(tmp_path / "found")
    theirs = np.load(alone(tmp_path, algorithm) / "model_algo-1")
    assert sorted(ours) == sorted(theirs)
    for name in ours:
        if ours[name].dtype.kind == "f":
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4, err_msg=name)


async def test_replicated_data_are_taken_once(server: Server, training: Training, tmp_path: Path) -> None:
    found = await together(server, training, "kmeans", "FullyReplicated")
    (tmp_path / "found").write_bytes(found["model_algo-1"])
    theirs = np.load(alone(tmp_path, "kmeans") / "model_algo-1")
    np.testing.assert_allclose(np.load(tmp_path / "found")["centers"], theirs["centers"], rtol=1e-3, atol=1e-4)


async def test_xgboost_trains_by_its_own_collective(server: Server, training: Training, tmp_path: Path) -> None:
    found = await together(server, training, "xgboost", "ShardedByS3Key")
    assert list(found) == ["xgboost-model"]
    ours, theirs = xgboost.Booster(), xgboost.Booster()
    ours.load_model(bytearray(found["xgboost-model"]))
    theirs.load_model(bytearray((alone(tmp_path, "xgboost") / "xgboost-model").read_bytes()))
    data = xgboost.DMatrix(X)
    assert np.abs(ours.predict(data) - theirs.predict(data)).mean() < 0.03
    log = await printed(server, "together", "algo-1")
    assert any("Distributed node training with 2 hosts" in line for line in log)
    assert sum(line.startswith("[19]#011train-logloss:") for line in log) == 1
    assert not any(line.startswith("[19]") for line in await printed(server, "together", "algo-2"))


@pytest.mark.parametrize("algorithm", ["kmeans", "xgboost"])
@pytest.mark.parametrize("spoilt", [0, 1], ids=["algo-1", "algo-2"])
async def test_one_instance_that_cannot_read_its_share_ends_the_job(
    server: Server, training: Training, algorithm: str, spoilt: int
) -> None:
    async def spoil() -> None:
        await server.put(f"halves/{spoilt}.csv", b'"no","number"\n"at","all"\n')

    job = await run(server, training, algorithm, "ShardedByS3Key", spoil)
    assert job["TrainingJobStatus"] == "Failed"
    words = "Unable to read data channel 'train'" if algorithm == "kmeans" else "could not convert string"
    assert words in job["FailureReason"]
    assert await left_behind(server) == []
