"""Whatever is sent or written, it is refused in words."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.triton.test_protocol import document, made

from wildsage.toolkit.serving.triton.config import ConfigError, read
from wildsage.toolkit.serving.triton.protocol import BadRequest
from wildsage.toolkit.serving.triton.protocol import read as asked

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=5,
)
_FIELDS = ("name", "datatype", "shape", "data", "parameters")
_TEXT = st.sampled_from(
    [
        *('name: "m"', "max_batch_size: 4", "input", "output", "{", "}", "[", "]", "<", ">", ":", ",", "data_type:"),
        *("TYPE_FP32", "dims:", "-1", "0x1f", "08", "1e5", '"x"', "'", "#", "\n", "reshape", "dynamic_batching {"),
        *("instance_group", "count:", "99999999999999999999", "version_policy", "specific", '"\\x4"', '"\\q"', "\x00"),
    ]
)
_VERSION = made(
    """
    max_batch_size: 4
    input { name: "X" data_type: TYPE_FP32 dims: 4 reshape { shape: [ 2, 2 ] } }
    input { name: "N" data_type: TYPE_STRING dims: -1 }
    output { name: "Y" data_type: TYPE_FP32 dims: 3 }
    """
)


@given(st.data())
@settings(max_examples=200)
def test_requests(data: st.DataObject) -> None:
    """A request in which something is something else."""
    changed: dict[str, Any] = copy.deepcopy(document())
    where = data.draw(st.sampled_from(["inputs", "outputs", "parameters", "id", "input", "output", "parameter"]))
    value = data.draw(_JSON)
    if where == "input":
        changed["inputs"][data.draw(st.integers(0, 1))][data.draw(st.sampled_from(_FIELDS))] = value
    elif where == "output":
        changed["outputs"] = [{"name": "Y", data.draw(st.sampled_from(("name", "parameters"))): value}]
    elif where == "parameter":
        name = data.draw(st.sampled_from(("binary_data_size", "classification", "binary_data", "shared_memory_region")))
        changed["inputs"][0]["parameters"] = {name: value}
        changed["outputs"] = [{"name": "Y", "parameters": {name: value}}]
    else:
        changed[where] = value
    body = json.dumps(changed).encode()
    with contextlib.suppress(BadRequest):
        asked(_VERSION, body, data.draw(st.sampled_from([None, len(body)])))


@given(st.binary(max_size=40), st.none() | st.integers(0, 40))
@settings(max_examples=100)
def test_bytes(body: bytes, length: int | None) -> None:
    with contextlib.suppress(BadRequest):
        asked(_VERSION, body, length)


@given(st.lists(_TEXT, max_size=14))
@settings(max_examples=200)
def test_configurations(words: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        read(" ".join(words), "config.pbtxt", "m")
