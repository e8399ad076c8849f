"""An inference request and its answer as the V2 protocol has them, with Triton's extensions.

JSON, or JSON with the bytes of tensors after it (docs/protocol/extension_binary_data.md and
extension_classification.md there). A body without any JSON is the only input's bytes.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import tensors
from .config import Tensor
from .repository import Version
from .tensors import Array, TensorError

_np: Any = importlib.import_module("numpy")

_MOST_PLANS, _MOST_HEAD = 64, 4096
_NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)


class BadRequest(Exception):
    """In words for the client."""


class Output(NamedTuple):
    """``classes``: of the classification extension, 0 for the tensor itself."""

    name: str
    binary: bool
    classes: int


class Asked(NamedTuple):
    """``feeds``: arrays as the model takes them; ``rows``: of the batch, 1 for models without."""

    id: str
    feeds: dict[str, Array]
    rows: int
    outputs: list[Output]


def read(version: Version, body: bytes, length: int | None) -> Asked:
    """``length``: of the JSON before binary data; None: it is all JSON. Raises BadRequest."""
    if length == 0:
        return _raw(version, body)
    head = body if length is None else body[:length]
    if (plan := version.plans.get(head)) is not None and plan.size == len(body):
        return _planned(plan, memoryview(body))
    try:
        document = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"failed to parse the request JSON buffer: {error}") from None
    if not isinstance(document, dict) or "inputs" not in document:
        raise BadRequest("Unable to parse 'inputs': the JSON has no 'inputs'")
    identity = document.get("id", "")
    if not isinstance(identity, str):
        raise BadRequest("Unable to parse 'id': it is not a string")
    rest = memoryview(body)[len(head) :]
    try:
        feeds, rows = _inputs(version, document["inputs"], rest, length is not None)
        outputs = _outputs(version, document)
        if rest and not identity:
            _remember(version, head, Asked("", feeds, rows, outputs), document["inputs"], len(body))
        return Asked(identity, feeds, rows, outputs)
    except (BadRequest, TensorError) as error:
        raise BadRequest(f"[request id: {identity or '<id_unknown>'}] {error}") from None


class _Part(NamedTuple):
    name: str
    datatype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class _Plan(NamedTuple):
    """How to read a request whose JSON was read before: clients send the same one again and again."""

    size: int
    parts: list[_Part]
    rows: int
    outputs: list[Output]


def _remember(version: Version, head: bytes, asked: Asked, inputs: list[dict[str, Any]], size: int) -> None:
    """Of requests all of whose inputs are bytes."""
    at, parts = len(head), []
    for each in inputs:
        length = _parameters(each).get("binary_data_size")
        if length is None or len(head) > _MOST_HEAD:
            return
        name = each["name"]
        parts.append(_Part(name, version.inputs[name].datatype, asked.feeds[name].shape, at, at + length))
        at += length
    if len(version.plans) >= _MOST_PLANS:
        version.plans.clear()
    version.plans[head] = _Plan(size, parts, asked.rows, asked.outputs)


def _planned(plan: _Plan, body: memoryview) -> Asked:
    try:
        feeds = {
            each.name: tensors.from_bytes(each.name, each.datatype, each.shape, body[each.begin : each.end])
            for each in plan.parts
        }
    except TensorError as error:
        raise BadRequest(f"[request id: <id_unknown>] {error}") from None
    return Asked("", feeds, plan.rows, plan.outputs)


def _inputs(version: Version, given: Any, rest: memoryview, binary: bool) -> tuple[dict[str, Array], int]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise BadRequest("Unable to parse 'inputs': attempt to access JSON non-array as array")
    name, rows = version.config.name, 0
    batches = bool(version.config.max_batch_size)
    feeds: dict[str, Array] = {}
    for each in given:
        tensor, shape, size = _described(version, each)
        if tensor.name in feeds:
            raise BadRequest(f"input '{tensor.name}' already exists in request")
        if batches and feeds and shape[0] != rows:
            raise BadRequest(f"input '{tensor.name}' batch size does not match other inputs for '{name}'")
        rows = shape[0] if batches else 1
        if size is None:
            array = tensors.from_json(tensor.name, tensor.datatype, shape, each.get("data"))
        elif not binary or size > len(rest):
            raise BadRequest(_short(tensor.name, name, size - len(rest), binary))
        else:
            array = tensors.from_bytes(tensor.name, tensor.datatype, shape, rest[:size])
            rest = rest[size:]
        feeds[tensor.name] = array if tensor.reshape is None else _inside(tensor, array, batches)
    if rest:
        raise BadRequest(f"unexpected additional input data for model '{name}'")
    if len(feeds) != len(version.inputs):
        raise BadRequest(_missing(version, feeds))
    most = version.config.max_batch_size or 1
    if not 1 <= rows <= most:
        raise BadRequest(f"inference request batch-size must be between 1 and {most} for '{name}', got {rows}")
    return feeds, rows


def _short(tensor: str, model: str, missing: int, binary: bool) -> str:
    if binary:
        return f"unexpected size for input '{tensor}', expecting {missing} additional bytes for model '{model}'"
    return (
        "must specify valid 'Infer-Header-Content-Length' in request header and 'binary_data_size' when passing inputs "
        "in binary data format"
    )


def _described(version: Version, given: dict[str, Any]) -> tuple[Tensor, list[int], int | None]:
    """The tensor that a part of the request stands for, its shape, and how many bytes it has after the JSON."""
    model = version.config.name
    name = given.get("name", "")
    tensor = version.inputs.get(name) if isinstance(name, str) else None
    if tensor is None:
        raise BadRequest(f"unexpected inference input '{name!s:.200}' for model '{model}'")
    datatype, shape = given.get("datatype"), given.get("shape")
    if datatype != tensor.datatype:
        raise BadRequest(
            f"inference input '{tensor.name}' data-type is '{datatype!s:.200}', but model '{model}' expects "
            f"'{tensor.datatype}'"
        )
    if not isinstance(shape, list) or not all(type(each) is int and each >= 0 for each in shape):
        raise BadRequest(f"Unable to parse 'shape' of input '{tensor.name}'")
    wanted = (-1, *tensor.dims) if version.config.max_batch_size else tensor.dims
    fits = all(want in (-1, have) for want, have in zip(wanted, shape))  # noqa: B905 - Python 3.9
    if len(shape) != len(wanted) or not fits:
        note = f" {_NOTE}" if version.config.max_batch_size else ""
        raise BadRequest(
            f"unexpected shape for input '{tensor.name}' for model '{model}'. Expected {_show(wanted)}, got "
            f"{_show(shape)}.{note}"
        )
    parameters = _parameters(given)
    if "shared_memory_region" in parameters:
        raise BadRequest(f"input '{tensor.name}': there is no shared memory with clients here")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise BadRequest("Unable to parse 'binary_data_size'")
    return tensor, shape, size


def _missing(version: Version, feeds: dict[str, Array]) -> str:
    quoted = [f"'{name}'" for name in version.inputs if name not in feeds]
    got = ",".join(f"'{name}'" for name in feeds)
    return (
        f"expected {len(version.inputs)} inputs but got {len(feeds)} inputs for model '{version.config.name}'. Got "
        f"input(s) [{got}], but missing required input(s) [{','.join(quoted)}]. Please provide all required input(s)."
    )


def _outputs(version: Version, document: dict[str, Any]) -> list[Output]:
    """Those that are asked for; without any, all."""
    always = _parameters(document).get("binary_data_output", False) is True
    given = document.get("outputs")
    if not given:
        return [Output(name, always, 0) for name in version.outputs]
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise BadRequest("Unable to parse 'outputs': attempt to access JSON non-array as array")
    found = []
    for each in given:
        name = each.get("name", "")
        if not isinstance(name, str) or name not in version.outputs:
            raise BadRequest(f"unexpected inference output '{name!s:.200}' for model '{version.config.name}'")
        parameters = _parameters(each)
        if "shared_memory_region" in parameters:
            raise BadRequest(f"output '{name}': there is no shared memory with clients here")
        classes = parameters.get("classification", 0)
        if type(classes) is not int or classes < 0:
            raise BadRequest("Unable to set 'classification'")
        found.append(Output(name, parameters.get("binary_data", always) is True, classes))
    return found


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    found = given.get("parameters") or {}
    if not isinstance(found, dict):
        raise BadRequest("Unable to parse 'parameters': attempt to access JSON non-object as object")
    return found


def _raw(version: Version, body: bytes) -> Asked:
    """The raw binary request: nothing but the bytes of the only input, whose shape follows from how many they are."""
    if len(version.inputs) != 1:
        raise BadRequest(f"Raw request must only have 1 input to be deduced but got {len(version.inputs)} inputs")
    (tensor,) = version.inputs.values()
    if tensor.datatype == "BYTES":
        raise BadRequest("Raw requests of BYTES are not read here: send the JSON form")
    if tensor.dims.count(-1) > 1:
        raise BadRequest(
            f"The shape of the raw input '{tensor.name}' can not be deduced because there are more than one "
            "variable-sized dimension"
        )
    flat = _np.frombuffer(body, "u1")
    known = tensors.DTYPES[tensor.datatype].itemsize
    for each in tensor.dims:
        known *= each if each > 0 else 1
    if len(flat) % known or (-1 not in tensor.dims and len(flat) != known):
        raise BadRequest(f"input byte size mismatch for input '{tensor.name}'. Expected {known}, got {len(flat)}")
    batches = bool(version.config.max_batch_size)
    shape = [len(flat) // known if each < 0 else each for each in tensor.dims]
    array = tensors.from_bytes(tensor.name, tensor.datatype, [1, *shape] if batches else shape, memoryview(body))
    feed = array if tensor.reshape is None else _inside(tensor, array, batches)
    return Asked("", {tensor.name: feed}, 1, [Output(name, True, 0) for name in version.outputs])


def _inside(tensor: Tensor, array: Array, batches: bool) -> Array:
    """From the dimensions that clients use to those of the model."""
    return _reshaped(array, tensor.dims, tensor.inside, batches)


def _reshaped(array: Array, have: Sequence[int], want: Sequence[int], batches: bool) -> Array:
    """A variable dimension keeps its size; there are as many on either side."""
    first = int(batches)
    sizes = iter([array.shape[first + at] for at, each in enumerate(have) if each == -1])
    shape = [next(sizes) if each == -1 else each for each in want]
    return array.reshape([*array.shape[:first], *shape])


def write(version: Version, asked: Asked, arrays: dict[str, Array], name: str) -> tuple[bytes, bytes]:
    """The JSON of an answer, and the bytes after it; ``name``: of the model. Raises TensorError."""
    config = version.config
    batches = bool(config.max_batch_size)
    document: dict[str, Any] = {"id": asked.id} if asked.id else {}
    document["model_name"], document["model_version"] = name, version.number
    shown = document["outputs"] = []
    parts = []
    for output in asked.outputs:
        tensor, array = version.outputs[output.name], arrays[output.name]
        datatype = tensor.datatype
        if tensor.reshape is not None:
            array = _reshaped(array, tensor.inside, tensor.dims, batches)
        if output.classes:
            array = _classified(array, output.classes, version.labels.get(output.name, []), batches)
            datatype = "BYTES"
        each: dict[str, Any] = {"name": output.name, "datatype": datatype, "shape": list(array.shape)}
        if output.binary:
            data = tensors.to_bytes(datatype, array)
            parts.append(data)
            each["parameters"] = {"binary_data_size": len(data)}
        else:
            each["data"] = tensors.to_json(output.name, datatype, array)
        shown.append(each)
    return json.dumps(document, separators=(",", ":")).encode(), b"".join(parts)


def _classified(array: Array, most: int, labels: list[str], batches: bool) -> Array:
    """``value:index[:label]`` of the highest values, highest first."""
    if array.dtype.kind not in "iuf":
        raise TensorError("class result not available for output due to unsupported type")
    rows = array.reshape(len(array), -1) if batches else array.reshape(1, -1)
    found = []
    for row in rows:
        for index in _np.argsort(-row.astype("f8"), kind="stable")[:most].tolist():
            value = f"{row[index]:f}" if array.dtype.kind == "f" else str(row[index])
            label = f":{labels[index]}" if index < len(labels) else ""
            found.append(f"{value}:{index}{label}")
    each = min(most, rows.shape[1])
    return _np.array(found, object).reshape([len(rows), each] if batches else [each])


def _show(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
