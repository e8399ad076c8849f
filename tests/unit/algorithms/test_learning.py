"""What the algorithms learn from real data, beside the libraries called directly."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wildsage.images.algorithms import metric_definitions

from .box import Box, Channel, csv, labelled, protobuf


def split(load: Any) -> tuple[Any, Any, Any, Any]:
    x, y = load(return_X_y=True)
    return tuple(train_test_split(x, y, random_state=0))


def metrics(algorithm: str, log: str) -> dict[str, float]:
    """The last value of each of the algorithm's own metrics, found as SageMaker finds them."""
    found = {}
    for each in metric_definitions(algorithm):
        values = [float(match[1]) for line in log.splitlines() if (match := re.search(each["Regex"], line))]
        if values:
            found[each["Name"]] = values[-1]
    return found


def column(rows: list[dict[str, Any]], name: str) -> Any:
    return np.array([row[name] for row in rows])


def test_kmeans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, test, _, _ = split(load_digits)
    box = Box(tmp_path, "kmeans")
    channels = {
        "train": Channel(protobuf(x), "application/x-recordio-protobuf", "ShardedByS3Key"),
        "test": Channel(csv(test), "text/csv;label_size=0"),
    }
    hyperparameters = {"k": 10, "feature_dim": 64, "eval_metrics": '["msd","ssd"]', "mini_batch_size": 100}
    assert box.train(hyperparameters, channels) == 0
    said = capsys.readouterr().out
    found = metrics("kmeans", said)
    direct = KMeans(10, n_init=10, random_state=0).fit(x)
    assert found["train:ssd"] == pytest.approx(direct.inertia_, rel=0.02)
    assert found["train:msd"] == pytest.approx(found["train:ssd"] / len(x))
    assert {"test:msd", "test:ssd", "train:throughput"} <= set(found)
    assert found["train:progress"] == 100
    assert "these change nothing here: mini_batch_size." in said
    rows = box.predictions(test)
    assert column(rows, "distance_to_cluster") ** 2 @ np.ones(len(test)) == pytest.approx(found["test:ssd"], rel=1e-4)


def test_pca(tmp_path: Path) -> None:
    x, test, _, _ = split(load_breast_cancer)
    direct = PCA(3).fit(x)
    for mode in ("regular", "randomized"):
        box = Box(tmp_path / mode, "pca")
        hyperparameters = {"num_components": 3, "feature_dim": 30, "mini_batch_size": 200, "algorithm_mode": mode}
        assert box.train(hyperparameters, {"train": Channel(csv(x), "text/csv;label_size=0")}) == 0
        with np.load(box.model / "model_algo-1") as model:
            np.testing.assert_allclose(model["s"][::-1], direct.singular_values_, rtol=1e-3)
            assert model["v"].shape == (30, 3)
        projections = column(box.predictions(test, "projections"), "projection")[:, ::-1]
        np.testing.assert_allclose(np.abs(projections), np.abs(direct.transform(test)), rtol=1e-2, atol=0.5)


def test_knn_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, test, y, labels = split(load_digits)
    box = Box(tmp_path, "knn")
    hyperparameters = {"k": 3, "sample_size": 5000, "feature_dim": 64, "predictor_type": "classifier"}
    assert box.train(hyperparameters, {"train": labelled(x, y), "test": labelled(test, labels)}) == 0
    direct = KNeighborsClassifier(3).fit(x, y).score(test, labels)
    assert metrics("knn", capsys.readouterr().out)["test:accuracy"] == pytest.approx(direct, abs=0.005)
    assert (column(box.predictions(test), "predicted_label") == labels).mean() == pytest.approx(direct, abs=0.005)


@pytest.mark.parametrize("metric", ["L2", "COSINE", "INNER_PRODUCT"])
@pytest.mark.parametrize("reduction", [None, "sign", "fjlt"])
def test_knn_regressor(tmp_path: Path, capsys: pytest.CaptureFixture[str], metric: str, reduction: str | None) -> None:
    x, test, y, labels = split(load_diabetes)
    box = Box(tmp_path, "knn")
    hyperparameters = {"k": 10, "sample_size": 300, "feature_dim": 10, "predictor_type": "regressor"}
    more = {"dimension_reduction_type": reduction, "dimension_reduction_target": 8} if reduction else {}
    channels = {"train": labelled(x, y), "test": labelled(test, labels)}
    assert box.train({**hyperparameters, **more, "index_metric": metric}, channels) == 0
    found = metrics("knn", capsys.readouterr().out)["test:mse"]
    if metric != "INNER_PRODUCT":
        assert found < labels.var()
    if metric == "L2" and not reduction:
        direct = KNeighborsRegressor(10).fit(x, y).predict(test)
        assert found == pytest.approx(((direct - labels) ** 2).mean(), rel=0.1)


def test_linear_learner_binary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, test, y, labels = split(load_breast_cancer)
    box = Box(tmp_path, "linear-learner")
    channels = {"train": labelled(x, y), "test": labelled(test, labels)}
    assert box.train({"predictor_type": "binary_classifier"}, channels) == 0
    found = metrics("linear-learner", capsys.readouterr().out)
    direct = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    assert found["test:binary_classification_accuracy"] >= direct.score(test, labels) - 0.015
    assert found["train:objective_loss"] == found["train:objective_loss:final"]
    rows = box.predictions(test)
    # As scikit-learn's, whose regularization the default is.
    np.testing.assert_allclose(column(rows, "score"), direct.predict_proba(test)[:, 1], atol=2e-2)
    assert (column(rows, "predicted_label") == labels).mean() == found["test:binary_classification_accuracy"]


@pytest.mark.parametrize("criterion", ["precision_at_target_recall", "recall_at_target_precision", "f1", "f_beta"])
def test_linear_learner_thresholds(tmp_path: Path, capsys: pytest.CaptureFixture[str], criterion: str) -> None:
    x, test, y, labels = split(load_breast_cancer)
    channels = {"train": labelled(x, y), "validation": labelled(test, labels)}
    hyperparameters = {
        "predictor_type": "binary_classifier",
        "binary_classifier_model_selection_criteria": criterion,
        "target_recall": 0.9,
        "target_precision": 0.99,
        "positive_example_weight_mult": "balanced",
        "l1": 0.01,
    }
    assert Box(tmp_path, "linear-learner").train(hyperparameters, channels) == 0
    found = metrics("linear-learner", capsys.readouterr().out)
    if criterion == "precision_at_target_recall":
        assert found["validation:recall"] >= 0.9
        assert found["validation:precision"] == 1
    elif criterion == "recall_at_target_precision":
        assert found["validation:precision"] >= 0.99
    else:
        assert found["validation:binary_f_beta"] > 0.97


def test_linear_learner_multiclass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, test, y, labels = split(load_digits)
    box = Box(tmp_path, "linear-learner")
    channels = {"train": Channel(protobuf(x, y)), "test": labelled(test, labels)}
    hyperparameters = {"predictor_type": "multiclass_classifier", "num_classes": 11, "accuracy_top_k": 2}
    assert box.train(hyperparameters, channels) == 0
    found = metrics("linear-learner", capsys.readouterr().out)
    direct = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y).score(test, labels)
    assert found["test:multiclass_accuracy"] == pytest.approx(direct, abs=0.015)
    assert found["test:multiclass_top_k_accuracy"] > found["test:multiclass_accuracy"]
    assert {"test:macro_recall", "test:macro_precision", "test:macro_f_beta", "test:dcg"} <= set(found)
    scores = column(box.predictions(test[:5]), "score")
    assert scores.shape == (5, 11)
    assert scores.sum(axis=1) == pytest.approx(np.ones(5))
    assert scores[:, 10].max() < 1e-20, "a class that was never seen"


@pytest.mark.parametrize("l1", [0, 0.001])
@pytest.mark.parametrize(
    "loss",
    [
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ],
)
def test_linear_learner_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str], loss: str, l1: float) -> None:
    x, test, y, labels = split(load_diabetes)
    box = Box(tmp_path, "linear-learner")
    channels = {"train": labelled(x, y), "test": labelled(test, labels)}
    assert box.train({"predictor_type": "regressor", "loss": loss, "l1": l1}, channels) == 0
    found = metrics("linear-learner", capsys.readouterr().out)
    direct = make_pipeline(StandardScaler(), Ridge(1.0)).fit(x, y).predict(test)
    assert found["test:mse"] < ((direct - labels) ** 2).mean() * 1.15
    assert "test:objective_loss" in found
    np.testing.assert_allclose(
        ((column(box.predictions(test), "score") - labels) ** 2).mean(), found["test:mse"], rtol=1e-3
    )


def test_random_cut_forest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One kind of tumor as the usual, and a few of the other among them."""
    x, y = load_breast_cancer(return_X_y=True)
    usual, strange = x[y == 1], x[y == 0][:10] * 2
    box = Box(tmp_path, "randomcutforest")
    mixed, labels = np.vstack([usual, strange]), np.repeat([0, 1], [len(usual), len(strange)])
    channels = {
        "train": Channel(csv(usual), "text/csv;label_size=0", "ShardedByS3Key"),
        "test": labelled(mixed, labels),
    }
    assert box.train({"feature_dim": 30, "num_trees": 50, "num_samples_per_tree": 7}, channels) == 0
    assert metrics("randomcutforest", capsys.readouterr().out)["test:f1"] > 0.8
    scores = column(box.predictions(mixed, "scores"), "score")
    assert scores[labels == 1].min() > np.median(scores[labels == 0])


@pytest.mark.parametrize("kind", ["csv", "libsvm", "recordio"])
def test_xgboost(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    x, test, y, labels = split(load_breast_cancer)

    def channel(rows: Any, targets: Any) -> Channel:
        if kind == "csv":
            return Channel(csv(targets, rows), "text/csv; label_size=1")
        if kind == "recordio":
            return Channel(protobuf(rows, targets), "application/x-recordio-protobuf")
        lines = [
            f"{target} " + " ".join(f"{i}:{value:.9g}" for i, value in enumerate(row))
            for row, target in zip(rows, targets, strict=True)
        ]
        return Channel("\n".join(lines).encode())

    box = Box(tmp_path, "xgboost")
    hyperparameters = {"num_round": 20, "objective": "binary:logistic", "eval_metric": "auc,logloss,accuracy"}
    assert box.train(hyperparameters, {"train": channel(x, y), "validation": channel(test, labels)}) == 0
    found = metrics("xgboost", capsys.readouterr().out)
    settings = {"objective": "binary:logistic"}
    direct = xgboost.train(settings, xgboost.DMatrix(x.astype(np.float32), label=y), 20)
    expected = direct.predict(xgboost.DMatrix(test.astype(np.float32)))
    assert found["validation:accuracy"] == pytest.approx(((expected > 0.5) == labels).mean(), abs=1e-4)
    assert found["validation:auc"] > 0.99
    stock = xgboost.Booster()
    stock.load_model(bytearray((box.model / "xgboost-model").read_bytes()))
    np.testing.assert_allclose(stock.predict(xgboost.DMatrix(test.astype(np.float32))), expected, atol=1e-5)
    status, kind_of, body = box.ask(csv(test), accept="text/csv")
    assert (status, kind_of) == (200, "text/csv; charset=utf-8")
    np.testing.assert_allclose([float(line) for line in body.split()], expected, atol=1e-5)


def test_xgboost_cross_validation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, _, y, _ = split(load_iris)
    box = Box(tmp_path, "xgboost")
    hyperparameters = {"num_round": 4, "objective": "multi:softprob", "num_class": 3, "_kfold": 3}
    assert box.train(hyperparameters, {"train": labelled(x, y)}) == 0
    assert sorted(path.name for path in box.model.iterdir()) == [f"xgboost-model-{fold}" for fold in range(3)]
    rows = np.loadtxt(tmp_path / "output" / "data" / "predictions.csv", delimiter=",")
    assert rows.shape == (len(x), 3)
    assert (rows[:, 0] == rows[:, 2]).mean() > 0.9
    assert "[4]#011train-mlogloss:" in capsys.readouterr().out
    answer = json.loads(box.ask(csv(x[:2]))[2])  # the three of them together
    assert len(answer["predictions"][0]["score"]) == 3


def test_xgboost_resumes_from_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, _, y, _ = split(load_diabetes)
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    checkpoints = tmp_path / "checkpoints"
    (config / "checkpointconfig.json").write_text(json.dumps({"LocalPath": str(checkpoints)}))
    box = Box(tmp_path, "xgboost")
    assert box.train({"num_round": 3}, {"train": labelled(x, y)}) == 0
    assert sorted(path.name for path in checkpoints.iterdir()) == [f"xgboost-checkpoint.{n}" for n in range(3)]
    capsys.readouterr()
    assert box.train({"num_round": 5}, {"train": labelled(x, y)}) == 0
    said = capsys.readouterr().out
    assert "Resuming from iteration 3" in said
    assert "[2]#011" not in said
    assert "[4]#011train-rmse" in said
    booster = xgboost.Booster()
    booster.load_model(bytearray((box.model / "xgboost-model").read_bytes()))
    assert booster.num_boosted_rounds() == 5


def test_a_model_survives_its_archive(tmp_path: Path) -> None:
    """model.tar.gz holds one file, by the images' name, that numpy reads."""
    x, _, _, _ = split(load_iris)
    box = Box(tmp_path, "kmeans")
    assert box.train({"k": 3, "feature_dim": 4}, {"train": Channel(protobuf(x))}) == 0
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(box.model, "")
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        assert [member.name for member in archive if member.isfile()] == ["model_algo-1"]
