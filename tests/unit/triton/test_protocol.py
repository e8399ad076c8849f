"""Requests and answers of the V2 protocol, as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from wildsage.toolkit.serving.triton.batching import Scheduler
from wildsage.toolkit.serving.triton.config import read as configured
from wildsage.toolkit.serving.triton.protocol import BadRequest, Output, read, write
from wildsage.toolkit.serving.triton.repository import Version
from wildsage.toolkit.serving.triton.tensors import TensorError, from_bytes, from_json, to_bytes

_CONFIG = """
max_batch_size: 4
input { name: "X" data_type: TYPE_FP32 dims: 4 reshape { shape: [ 2, 2 ] } }
input { name: "N" data_type: TYPE_STRING dims: -1 }
output { name: "Y" data_type: TYPE_FP32 dims: 3 }
output { name: "Z" data_type: TYPE_INT64 dims: 1 reshape { } }
"""


def made(text: str, labels: dict[str, list[str]] | None = None) -> Version:
    config = configured(text, "config.pbtxt", "m")
    scheduler = Scheduler(config._replace(instances=1), lambda names, feeds: [], lambda found: None)
    scheduler.close()
    return Version(3, config, scheduler, labels or {})


@pytest.fixture
def version() -> Iterator[Version]:
    yield made(_CONFIG, {"Y": ["zero", "one"]})


def document(**changes: Any) -> dict[str, Any]:
    x = {"name": "X", "datatype": "FP32", "shape": [2, 4], "data": [[1, 2, 3, 4], [5, 6, 7, 8]]}
    n = {"name": "N", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "ü"]}
    return {"id": "7", "inputs": [x, n], **changes}


def body(**changes: Any) -> bytes:
    return json.dumps(document(**changes)).encode()


def test_json(version: Version) -> None:
    asked = read(version, body(), None)
    assert (asked.id, asked.rows) == ("7", 2)
    assert asked.feeds["X"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert asked.feeds["X"].dtype == np.float32
    assert asked.feeds["N"].tolist() == [["a"], ["ü"]]
    assert asked.outputs == [Output("Y", False, 0), Output("Z", False, 0)]


def test_binary(version: Version) -> None:
    x = np.arange(8, dtype="<f4").tobytes()
    n = b"\x01\0\0\0a" + b"\x02\0\0\0" + "ü".encode()
    inputs = [
        {"name": "X", "datatype": "FP32", "shape": [2, 4], "parameters": {"binary_data_size": len(x)}},
        {"name": "N", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": len(n)}},
    ]
    wanted = [{"name": "Z"}, {"name": "Y", "parameters": {"classification": 2}}]
    head = body(inputs=inputs, outputs=wanted, parameters={"binary_data_output": True})
    asked = read(version, head + x + n, len(head))
    assert asked.feeds["X"].ravel().tolist() == list(range(8))
    assert asked.feeds["N"].tolist() == [["a"], ["ü"]]
    assert asked.outputs == [Output("Z", True, 0), Output("Y", True, 2)]

    arrays = {"Z": np.array([5, 6]), "Y": np.array([[0.5, 0.25, 1], [3, 2, 1]], "f4")}
    head, rest = write(version, asked, arrays, "m")
    found = json.loads(head)
    assert (found["id"], found["model_name"], found["model_version"]) == ("7", "m", "3")
    z, y = found["outputs"]
    assert (z["shape"], z["datatype"], z["parameters"]) == ([2, 1], "INT64", {"binary_data_size": 16})
    assert (y["shape"], y["datatype"]) == ([2, 2], "BYTES")
    assert rest[:16] == np.array([5, 6]).tobytes()
    classes = from_bytes("Y", "BYTES", [4], memoryview(rest[16:])).tolist()
    assert classes == ["1.000000:2", "0.500000:0:zero", "3.000000:0:zero", "2.000000:1:one"]


def test_the_bytes_of_the_only_input() -> None:
    version = made(
        'input { name: "X" data_type: TYPE_INT16 dims: [ 2, -1 ] } output { name: "Y" data_type: 7 dims: -1 }'
    )
    asked = read(version, np.arange(6, dtype="<i2").tobytes(), 0)
    assert asked.feeds["X"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert asked.outputs == [Output("Y", True, 0)]
    with pytest.raises(BadRequest, match="byte size mismatch"):
        read(version, b"12345", 0)


def test_the_same_head_again(version: Version) -> None:
    """It is not read a second time, and its bytes are as carefully."""
    inputs = [{"name": "X", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}]
    inputs += [{"name": "N", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": 5}}]
    head = body(inputs=inputs, id="")
    for number in range(3):
        sent = head + np.full(4, number, "<f4").tobytes() + b"\x01\0\0\0" + b"abc"[number : number + 1]
        asked = read(version, sent, len(head))
        assert asked.feeds["X"].tolist() == [[[number] * 2] * 2]
        assert asked.feeds["N"].tolist() == [["abc"[number]]]
        assert (asked.rows, [each.name for each in asked.outputs]) == (1, ["Y", "Z"])
    assert len(version.plans) == 1
    for wrong in (head + bytes(16) + b"\x02\0\0\0a", head + bytes(16) + b"\x01\0\0\0", head + bytes(22)):
        with pytest.raises(BadRequest):
            read(version, wrong, len(head))


def changed(number: int, **changes: Any) -> dict[str, Any]:
    inputs = document()["inputs"]
    inputs[number] = {name: value for name, value in {**inputs[number], **changes}.items() if value is not None}
    return {"inputs": inputs}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": None}, "Unable to parse 'inputs'"),
        (
            {"inputs": document()["inputs"][:1]},
            "expected 2 inputs but got 1 inputs for model 'm'. Got input(s) ['X'], but",
        ),
        ({"inputs": document()["inputs"][:1] * 2}, "input 'X' already exists"),
        ({"outputs": [{"name": "W"}]}, "unexpected inference output 'W' for model 'm'"),
        (changed(0, name="W"), "unexpected inference input 'W' for model 'm'"),
        (changed(0, datatype="FP64"), "inference input 'X' data-type is 'FP64', but model 'm' expects 'FP32'"),
        (changed(0, shape=[2, 5]), "unexpected shape for input 'X' for model 'm'. Expected [-1,4], got [2,5]. NOTE"),
        (changed(0, shape=[2, -4]), "Unable to parse 'shape'"),
        (changed(0, shape=[1, 4], data=[1, 2, 3, 4]), "input 'N' batch size does not match other inputs"),
        (changed(0, data=[1, 2]), "8 elements expected, 2 found"),
        (changed(0, data=[[1], [2, 3]]), "is not regular"),
        (changed(0, data=["1"] * 8), "has values of another type"),
        (changed(0, data=None), "Unable to parse 'data'"),
        (changed(1, data=["a", 3]), "needs strings, not 3"),
        (
            changed(0, data=None, parameters={"binary_data_size": 32}),
            "must specify valid 'Infer-Header-Content-Length'",
        ),
        (changed(0, parameters={"shared_memory_region": "r"}), "there is no shared memory"),
        (changed(0, parameters={"binary_data_size": -1}), "Unable to parse 'binary_data_size'"),
    ],
)
def test_bad_requests(version: Version, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(version, body(**changes), None)
    assert str(caught.value).startswith("[request id: 7] ")
    assert words in str(caught.value)


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"{}", b"3", b"[" * 100_000, b'{"inputs": {}}', b'{"inputs": [3]}'])
def test_no_documents(version: Version, sent: bytes) -> None:
    with pytest.raises(BadRequest):
        read(version, sent, None)


def test_batches_beyond_the_most(version: Version) -> None:
    x = {"name": "X", "datatype": "FP32", "shape": [5, 4], "data": [0] * 20}
    n = {"name": "N", "datatype": "BYTES", "shape": [5, 1], "data": ["a"] * 5}
    with pytest.raises(BadRequest, match="batch-size must be between 1 and 4 for 'm', got 5"):
        read(version, body(inputs=[x, n]), None)


def test_binary_data_that_is_too_short_or_too_long(version: Version) -> None:
    inputs = [{"name": "X", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}]
    inputs += [{"name": "N", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": 5}}]
    head = body(inputs=inputs)
    whole = head + bytes(16) + b"\x01\0\0\0a"
    assert read(version, whole, len(head)).rows == 1
    with pytest.raises(BadRequest, match="unexpected size for input 'N', expecting 1 additional bytes"):
        read(version, whole[:-1], len(head))
    with pytest.raises(BadRequest, match="unexpected additional input data"):
        read(version, whole + b"1", len(head))


@pytest.mark.parametrize(
    ("datatype", "data"),
    [("INT8", [128]), ("UINT8", [-1]), ("INT32", [1.5]), ("BOOL", [1]), ("INT16", [True]), ("FP16", [1.0])],
)
def test_nothing_is_rounded_or_wrapped_around(datatype: str, data: list[Any]) -> None:
    with pytest.raises(TensorError):
        from_json("X", datatype, [1], data)


@pytest.mark.parametrize("data", [b"\x02\0\0\0a", b"\x01\0\0", b"\x01\0\0\0ab", b"\x01\0\0\0\xff", b"\xff\xff\xff\xff"])
def test_strings_that_are_none(data: bytes) -> None:
    with pytest.raises(TensorError):
        from_bytes("X", "BYTES", [1], memoryview(data))


def test_bytes_of_every_type() -> None:
    for datatype, values in {
        "BOOL": [True, False],
        "UINT64": [2**64 - 1, 0],
        "FP16": [0.5, 2],
        "BYTES": ["", "é"],
    }.items():
        array = np.array(values, {"BOOL": "?", "UINT64": "<u8", "FP16": "<f2", "BYTES": "O"}[datatype])
        data = to_bytes(datatype, array)
        assert from_bytes("X", datatype, [2], memoryview(data)).tolist() == array.tolist()
