"""Requests and responses to the letter of each algorithm's "response formats" page."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wildsage.algorithms.formats import recordio, records

from .box import Box, Channel, csv, labelled, protobuf

X = np.array([[0, 0], [0, 1], [10, 10], [10, 11]], np.float32)
Y = np.array([0, 0, 1, 1])


@pytest.fixture
def kmeans(tmp_path: Path) -> Box:
    box = Box(tmp_path, "kmeans")
    assert box.train({"k": 2, "feature_dim": 2}, {"train": Channel(protobuf(X))}) == 0
    return box


@pytest.fixture
def knn(tmp_path: Path) -> Box:
    box = Box(tmp_path, "knn")
    hyperparameters = {"k": 3, "sample_size": 4, "feature_dim": 2, "predictor_type": "classifier"}
    assert box.train(hyperparameters, {"train": labelled(X, Y)}) == 0
    return box


def labels_of(body: bytes) -> list[dict[str, list[float]]]:
    found = [records.decode(each) for each in recordio.read(io.BytesIO(body))]
    assert all(not record.features for record in found)
    return [{name: tensor.values.tolist() for name, tensor in record.label.items()} for record in found]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"0,0\n10,10\n"),
        ("text/csv; label_size=1", b"7,0,0\n7,10,10"),
        ("application/json", b'{"instances": [{"features": [0, 0]}, {"data": {"features": {"values": [10, 10]}}}]}'),
        (
            "application/json",
            b'{"instances": [{"data": {"features": {"keys": [], "shape": [2], "values": [0, 0]}}}, '
            b'{"features": {"keys": [1, 0], "shape": [2], "values": [10, 10]}}]}',
        ),
        ("application/jsonlines", b'{"features": [0, 0]}\n{"data": {"features": {"values": [10.0, 10.0]}}}\n'),
        ("application/x-recordio-protobuf", protobuf(X[[0, 2]])),
    ],
)
def test_requests(kmeans: Box, content_type: str, body: bytes) -> None:
    status, kind, answer = kmeans.ask(body, content_type)
    assert (status, kind) == (200, "application/json"), answer
    found = json.loads(answer)["predictions"]
    assert [list(each) for each in found] == [["closest_cluster", "distance_to_cluster"]] * 2
    assert [each["distance_to_cluster"] for each in found] == [0.5, 0.5]
    assert {each["closest_cluster"] for each in found} == {0.0, 1.0}


def test_kmeans_responses(kmeans: Box) -> None:
    first = json.loads(kmeans.ask(b"0,0")[2])["predictions"][0]["closest_cluster"]
    expected = {"closest_cluster": first, "distance_to_cluster": 0.5}
    assert kmeans.ask(b"0,0")[2] == json.dumps({"predictions": [expected]}).encode()
    assert kmeans.ask(b"0,0", accept="application/jsonlines")[1:] == (
        "application/jsonlines",
        json.dumps(expected).encode() + b"\n",
    )
    assert kmeans.ask(b"0,0", accept="text/csv")[2] == f"{first},0.5\n".encode()
    status, kind, body = kmeans.ask(b"0,0", accept="application/x-recordio-protobuf")
    assert (status, kind) == (200, "application/x-recordio-protobuf")
    assert labels_of(body) == [{"closest_cluster": [first], "distance_to_cluster": [0.5]}]


def test_knn_responses(knn: Box) -> None:
    assert knn.ask(b"0,0.25\n10,10", accept="application/jsonlines")[2] == (
        b'{"predicted_label": 0.0}\n{"predicted_label": 1.0}\n'
    )
    assert json.loads(knn.ask(b"0,0.25", accept="application/json; verbose=true")[2]) == {
        "predictions": [
            {
                "predicted_label": 0.0,
                "distances": [0.25, 0.75, pytest.approx(np.hypot(10, 9.75), abs=1e-3)],
                "labels": [0.0, 0.0, 1.0],
            }
        ]
    }
    (found,) = labels_of(knn.ask(b"10,10", accept="application/x-recordio-protobuf; verbose=true")[2])
    assert found["predicted_label"] == [1.0]
    assert found["labels"] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("hyperparameters", "expected"),
    [
        ({"predictor_type": "binary_classifier"}, {"score": float, "predicted_label": int}),
        ({"predictor_type": "multiclass_classifier", "num_classes": 3}, {"score": list, "predicted_label": int}),
        ({"predictor_type": "regressor"}, {"score": float}),
    ],
)
def test_linear_learner_responses(tmp_path: Path, hyperparameters: dict[str, Any], expected: dict[str, type]) -> None:
    box = Box(tmp_path, "linear-learner")
    assert box.train(hyperparameters, {"train": labelled(X, Y)}) == 0
    (first, *_) = json.loads(box.ask(csv(X))[2])["predictions"]
    assert {name: type(value) for name, value in first.items()} == expected
    written = labels_of(box.ask(csv(X), accept="application/x-recordio-protobuf")[2])
    assert list(written[0]) == list(expected)


def test_pca_and_forest_responses(tmp_path: Path) -> None:
    box = Box(tmp_path / "pca", "pca")
    channel = Channel(csv(X), "text/csv;label_size=0", "ShardedByS3Key")
    assert box.train({"num_components": 1, "feature_dim": 2, "mini_batch_size": 4}, {"train": channel}) == 0
    (name, rows), *_ = json.loads(box.ask(csv(X))[2]).items()
    assert (name, list(rows[0]), len(rows[0]["projection"])) == ("projections", ["projection"], 1)
    box = Box(tmp_path / "rcf", "randomcutforest")
    many = Channel(csv(np.tile(X, (40, 1))), "text/csv;label_size=0", "ShardedByS3Key")
    assert box.train({"feature_dim": 2, "num_trees": 50}, {"train": many}) == 0
    assert list(json.loads(box.ask(csv(X))[2])) == ["scores"]
    assert json.loads(box.ask(b"0,0", accept="application/jsonlines")[2]).keys() == {"score"}


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "words"),
    [
        (b"0,0", "image/png", "*/*", 415, "Content-type image/png is not supported"),
        (b"0,0", "text/csv", "image/png", 406, "Accept type image/png is not supported"),
        (b"0,0,0", "text/csv", "", 400, "has 3 features for each instance, but the model was trained with 2"),
        (b"a,b", "text/csv", "", 400, "Unable to parse data as text/csv"),
        (b"", "text/csv", "", 400, "there is no record in the request"),
        (b"{}", "application/json", "", 400, "Unable to parse data as application/json"),
        (b"[" * 100_000, "application/json", "", 400, "RecursionError"),
        (
            b'{"instances": [{"features": {"keys": [9], "shape": [2], "values": [1]}}]}',
            "application/json",
            "",
            400,
            "9",
        ),
        (b'{"instances": 3}', "application/json", "", 400, "Unable to parse data as application/json"),
        (b'{"instances": [{"features": [[1, 2]]}]}', "application/json", "", 400, "must be a list of numbers"),
        (b"nonsense", "application/x-recordio-protobuf", "", 400, "valid magic number"),
    ],
)
def test_what_cannot_be_answered(
    kmeans: Box, body: bytes, content_type: str, accept: str, status: int, words: str
) -> None:
    found = kmeans.ask(body, content_type, accept)
    assert found[0] == status
    assert words in found[2].decode()


def test_the_first_type_of_accept_that_can_be_written(kmeans: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kmeans.ask(b"0,0", accept="image/png, application/jsonlines;q=0.5")[1] == "application/jsonlines"
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    assert kmeans.ask(b"0,0", accept="*/*")[1] == "text/csv"


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(FileNotFoundError, match="Was this model trained by this algorithm"):
        Box(tmp_path, "kmeans").ask(b"0,0")


def test_xgboost_selected_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(tmp_path, "xgboost")
    hyperparameters = {"num_round": 5, "objective": "binary:logistic", "min_child_weight": 0}
    assert box.train(hyperparameters, {"train": labelled(X, Y)}) == 0
    monkeypatch.setenv("SAGEMAKER_INFERENCE_OUTPUT", "predicted_label, probabilities,predicted_score")
    (low, high) = json.loads(box.ask(b"0,0\n10,10")[2])["predictions"]
    assert [each["predicted_label"] for each in (low, high)] == [0, 1]
    assert sum(high["probabilities"]) == pytest.approx(1)
    assert np.isnan(low["predicted_score"])
    line = box.ask(b"10,10", accept="text/csv")[2].decode()
    assert line == f'1,"{high["probabilities"]}",nan'
    (found,) = labels_of(box.ask(b"10,10", accept="application/x-recordio-protobuf")[2])
    assert found["probabilities"] == pytest.approx(high["probabilities"])


@pytest.mark.parametrize("kept", [b"binf" + bytes(200), b"\x80\x03cxgboost.core\nBooster\nno more"])
def test_xgboost_says_what_to_do_with_a_model_that_it_cannot_read(tmp_path: Path, kept: bytes) -> None:
    box = Box(tmp_path, "xgboost")
    box.model.mkdir()
    (box.model / "xgboost-model").write_bytes(kept)
    with pytest.raises(RuntimeError, match="cannot be loaded") as failed:
        box.ask(b"0,0")
    words = str(failed.value)
    assert "Stack trace" not in words
    assert words.endswith("save it as JSON: booster.save_model('xgboost-model.json').")


def test_xgboost_in_a_batch_transform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(tmp_path, "xgboost")
    assert box.train({"num_round": 2}, {"train": labelled(X, Y)}) == 0
    assert box.ask(b"")[0] == 204
    assert box.ask(b"0,0", accept="application/x-recordio-protobuf")[0] == 406
    assert box.ask(b"0,,\nb", "text/csv")[0] == 415
    monkeypatch.setenv("SAGEMAKER_BATCH", "True")
    assert box.ask(b"0,0\n1,1", accept="text/csv")[2].count(b"\n") == 2
