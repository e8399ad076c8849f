"""The frameworks' defaults with the real frameworks: what AWS's images answer where the script is silent."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import xgboost
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from tests.unit.toolkit_serve.served import serving

from wildsage.wire.http.messages import Response

SKLEARN = """
import joblib, os
def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.pkl"))
"""


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    numpy.save(stream, array)
    return stream.getvalue()


async def test_sklearn(tmp_path: Path) -> None:
    x, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(x, y)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.pkl").write_bytes(pickle.dumps(model))
    rows = x[[0, 60, 120]]
    expected = model.predict(rows.astype(numpy.float32)).tolist()
    text = "\n".join(",".join(map(str, row)) for row in rows)
    async with serving(tmp_path, "sklearn", SKLEARN) as served:
        answer = await served.invoke(text.encode(), "text/csv", "application/json")
        assert (answer.header("content-type"), json.loads(body_of(answer))) == ("application/json", expected)
        answer = await served.invoke(json.dumps(rows.tolist()).encode(), "application/json", "text/csv")
        assert answer.header("content-type") == "text/csv; charset=utf-8"
        assert body_of(answer) == "".join(f"{label}\n" for label in expected).encode()
        answer = await served.invoke(npy(rows), "application/x-npy", "application/x-npy")
        assert numpy.load(io.BytesIO(body_of(answer))).tolist() == expected
        answer = await served.invoke(text.split("\n")[0].encode(), "text/csv")
        assert json.loads(body_of(answer)) == expected[:1]
        answer = await served.invoke(b"<x/>", "application/xml")
        refusal = json.loads(body_of(answer))
        assert (answer.status, refusal["error"]) == (415, "UnsupportedFormatError")
        assert refusal["error-message"].startswith("Content type application/xml is not supported by this framework.")
        assert (await served.invoke(text.encode(), "text/csv", "application/xml")).status == 406
        assert (await served.invoke(b"1,2", "text/csv")).status == 500


PYTORCH = """
def predict_fn(data, model, context):
    context.system_properties["model_dir"]
    return model(data) * 10
"""


@pytest.mark.filterwarnings("ignore:`torch.jit")  # TorchScript is what AWS's image loads
@pytest.mark.parametrize("script", [None, PYTORCH])
async def test_pytorch(tmp_path: Path, script: str | None) -> None:
    (tmp_path / "model").mkdir()
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(1.0)
    traced: Any = torch.jit.trace(layer, torch.zeros(1, 2))  # type: ignore[no-untyped-call]
    traced.save(str(tmp_path / "model" / "any.pth"))
    factor = 1 if script is None else 10
    async with serving(tmp_path, "pytorch", script) as served:
        answer = await served.invoke(b"[[1, 2]]", "application/json")
        assert (answer.header("content-type"), json.loads(body_of(answer))) == ("application/json", [[7.0 * factor]])
        answer = await served.invoke(npy(numpy.array([[1.0, 2.0]], numpy.float32)), "application/x-npy", "text/csv")
        assert float(body_of(answer)) == 7.0 * factor
        answer = await served.invoke(b"[[1, 2, 3]]", "application/json")
        assert answer.status == 500
        assert b"Traceback (most recent call last):" in body_of(answer)
        answer = await served.invoke(b"x", "text/html")
        assert answer.status == 500
        assert body_of(answer).startswith(b"Content type text/html is not supported by this framework.")


async def test_pytorch_without_a_model_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(AssertionError, match=r"Exactly one \.pth or \.pt file is required for PyTorch models: \[\]"):
        async with serving(tmp_path, "pytorch", None):
            pass


@pytest.mark.parametrize("kind", ["pickle", "json", "ubj"])
async def test_the_xgboost_algorithm(tmp_path: Path, kind: str) -> None:
    x, y = load_iris(return_X_y=True)
    booster = xgboost.train({"objective": "reg:squarederror", "nthread": 1}, xgboost.DMatrix(x, y), 5)
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "xgboost-model"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(booster))
    else:
        path.write_bytes(bytes(booster.save_raw(kind)))
    expected = booster.predict(xgboost.DMatrix(x[:2])).tolist()
    async with serving(tmp_path, "xgboost", None, WILDSAGE_ALGORITHM="xgboost") as served:
        text = "\n".join(",".join(map(str, row)) for row in x[:2]).encode()
        answer = await served.invoke(text + b"\n", "text/csv")
        assert answer.header("content-type") == "text/csv; charset=utf-8"
        assert [float(line) for line in body_of(answer).split()] == pytest.approx(expected)
        answer = await served.invoke(text, "text/csv; charset=utf-8", "application/json")
        scores = [row["score"] for row in json.loads(body_of(answer))["predictions"]]
        assert scores == pytest.approx(expected)
        rows = "\n".join("0 " + " ".join(f"{i}:{value}" for i, value in enumerate(row)) for row in x[:2])
        answer = await served.invoke(rows.encode(), "text/libsvm", "application/jsonlines")
        assert [json.loads(line)["score"] for line in body_of(answer).splitlines()] == pytest.approx(expected)
        assert (await served.invoke(b"", "text/csv")).status == 204
        answer = await served.invoke(b"<x/>", "application/xml")
        assert (answer.status, body_of(answer)) == (
            415,
            b"application/xml is not an accepted ContentType: csv, libsvm, parquet, recordio-protobuf, text/csv, "
            b"text/libsvm, text/x-libsvm, application/x-parquet, application/x-recordio-protobuf.",
        )
        assert (await served.invoke(text, "text/csv", "image/png")).status == 406


XGBOOST = """
import xgboost
def model_fn(model_dir):
    model = xgboost.Booster()
    model.load_model(model_dir + "/model.json")
    return model
"""


async def test_xgboost_with_a_script(tmp_path: Path) -> None:
    x, y = load_iris(return_X_y=True)
    booster = xgboost.train({"objective": "reg:squarederror", "nthread": 1}, xgboost.DMatrix(x, y), 5)
    (tmp_path / "model").mkdir()
    booster.save_model(tmp_path / "model" / "model.json")
    async with serving(tmp_path, "xgboost", XGBOOST) as served:
        answer = await served.invoke(b"5.1,3.5,1.4,0.2", "text/csv", "text/csv")
        assert float(body_of(answer)) == pytest.approx(float(booster.predict(xgboost.DMatrix(x[:1]))[0]))


async def test_xgboost_with_a_script_but_no_model_fn(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(AssertionError, match=r"Please provide a model_fn implementation\."):
        async with serving(tmp_path, "xgboost", "x = 1"):
            pass
