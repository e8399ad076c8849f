"""TensorFlow's image: the JSON of its predict call; and a real model, in the environment of ``make tensorflow``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.sdk.session import interpreter
from tests.unit.toolkit_serve.served import serving

from wildsage.toolkit.serving.formats import UnsupportedFormatError
from wildsage.toolkit.serving.frameworks import tensorflow
from wildsage.wire.http.messages import Response

_MAKE = """
import sys, tensorflow as tf
class Sum(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": tf.reduce_sum(x, axis=1)}
model = Sum()
tf.saved_model.save(model, sys.argv[1], signatures=model.__call__)
"""
_SCRIPT = """
import json
def input_handler(data, context):
    assert context.request_content_type == "text/plain" and context.model_version == "1"
    return json.dumps({"instances": [[float(word) for word in data.read().decode().split()]]})

def output_handler(response, context):
    return "the sum is %g" % response.json()["predictions"][0], "text/plain"
"""


def test_bodies() -> None:
    assert tensorflow.parse(b'{"inputs": [1]}', "application/json") == {"inputs": [1]}
    assert tensorflow.parse(b"[[1, 2]]", "application/json; charset=utf-8") == {"instances": [[1, 2]]}
    assert tensorflow.parse(b'{"x": 1}', "application/json") == {"instances": [{"x": 1}]}
    assert tensorflow.parse(b"[1]\n[2]\n", "application/jsonlines") == {"instances": [[1], [2]]}
    assert tensorflow.parse(b"1,2\n3,4\n", "text/csv") == {"instances": [[1.0, 2.0], [3.0, 4.0]]}
    with pytest.raises(UnsupportedFormatError):
        tensorflow.parse(b"", "image/png")


def test_inputs_and_outputs_by_name() -> None:
    assert tensorflow.columns([{"a": 1, "b": 2}], ["a", "b"], True) == {"a": [1], "b": [2]}
    assert tensorflow.columns([[1], [2]], ["x"], True) == {"x": [[1], [2]]}
    assert tensorflow.columns({"a": [1], "b": [2]}, ["a", "b"], False) == {"a": [1], "b": [2]}
    with pytest.raises(ValueError, match="name them"):
        tensorflow.columns([[1]], ["a", "b"], True)
    assert tensorflow.answered({"y": [1, 2]}, True) == {"predictions": [1, 2]}
    assert tensorflow.answered({"y": [1], "z": [2]}, True) == {"predictions": [{"y": 1, "z": 2}]}
    assert tensorflow.answered({"y": [1]}, False) == {"outputs": [1]}


def test_the_newest_version_of_the_model(tmp_path: Path) -> None:
    for version in ("2", "10"):
        (tmp_path / "export" / "Servo" / version).mkdir(parents=True)
        (tmp_path / "export" / "Servo" / version / "saved_model.pb").touch()
    assert tensorflow.find(str(tmp_path)) == str(tmp_path / "export" / "Servo" / "10")
    with pytest.raises(ValueError, match=r"no saved_model\.pb"):
        tensorflow.find(str(tmp_path / "export" / "Servo" / "2" / "none"))


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


async def test_a_saved_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = str(interpreter("tensorflow"))
    making = await asyncio.create_subprocess_exec(python, "-c", _MAKE, str(tmp_path / "model" / "sum" / "1"))
    assert await making.wait() == 0
    monkeypatch.setattr("sys.executable", python)
    async with serving(tmp_path, "tensorflow", None) as served:
        answer = await served.invoke(b'{"instances": [[1, 2], [3, 4]]}', "application/json")
        assert json.loads(body_of(answer)) == {"predictions": [3.0, 7.0]}
        assert json.loads(body_of(await served.invoke(b"1,2\n", "text/csv"))) == {"predictions": [3.0]}
        answer = await served.invoke(b"[[1, 2, 3]]", "application/json")
        assert answer.status == 400 and "error" in json.loads(body_of(answer))
    async with serving(tmp_path, "tensorflow", _SCRIPT) as served:
        assert body_of(await served.invoke(b"1 2.5", "text/plain")) == b"the sum is 3.5"
