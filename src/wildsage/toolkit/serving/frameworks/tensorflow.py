"""aws/sagemaker-tensorflow-serving-container: a SavedModel behind the JSON of TensorFlow Serving's predict call.

``tfs_utils.py`` and ``python_service.py`` there; for the JSON https://www.tensorflow.org/tfx/serving/api_rest. There is
no TensorFlow Serving here: TensorFlow itself loads the model and runs its signature.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from .. import formats
from ..http import Answer, Handle, Request

_JSON_LINES = ("application/jsonlines", "application/jsons")


class Context(NamedTuple):
    """What the script's handlers are told; there is no server to call, so its addresses are empty."""

    model_name: str
    model_version: str
    method: str
    rest_uri: str
    grpc_uri: str
    custom_attributes: str
    request_content_type: str
    accept_header: str
    content_length: int


class Predicted:
    """What TensorFlow Serving would have answered, as ``requests`` shows it to an output_handler."""

    def __init__(self, status_code: int, content: bytes) -> None:
        self.status_code = status_code
        self.content = content

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


def load(script: ModuleType | None, model_dir: str) -> Handle:
    """Raises ValueError for a script that wants TensorFlow Serving itself, or a folder without a SavedModel."""
    before, after = getattr(script, "input_handler", None), getattr(script, "output_handler", None)
    if script is not None and not (before and after):
        raise ValueError(
            "The script must have an input_handler and an output_handler. A handler that calls TensorFlow Serving by "
            "itself cannot run here, for there is none."
        )
    folder = find(model_dir)
    predict = _predictor(folder)
    name, version = os.path.basename(os.path.dirname(folder)), os.path.basename(folder)

    def handle(request: Request) -> Answer:
        headers = request.headers
        content_type = headers.get("content-type") or formats.JSON
        accept = headers.get("accept") or formats.JSON
        attributes = headers.get("x-amzn-sagemaker-custom-attributes", "")
        context = Context(name, version, "predict", "", "", attributes, content_type, accept, len(request.body))
        try:
            if before is None or after is None:
                found = predict(parse(request.body, content_type))
                return Answer(found.status_code, formats.JSON, found.content)
            asked = before(io.BytesIO(request.body), context)
            body, kind = after(predict(json.loads(asked)), context)
            return Answer(200, kind, body.encode() if isinstance(body, str) else body)
        except Exception as error:
            print(traceback.format_exc(), file=sys.stderr, end="", flush=True)
            return Answer(500, formats.JSON, json.dumps({"error": str(error)}).encode())

    return handle


def find(model_dir: str) -> str:
    """The folder of the newest version of the first SavedModel; raises ValueError."""
    found = [parent for parent, _, names in os.walk(model_dir) if "saved_model.pb" in names]
    if not found:
        raise ValueError(f"There is no saved_model.pb below {model_dir}: it should be MODEL/VERSION/saved_model.pb.")
    numbered = [path for path in found if os.path.basename(path).isdigit()] or found
    first = min(os.path.dirname(path) for path in numbered)
    same = [path for path in numbered if os.path.dirname(path) == first]
    return max(same, key=lambda path: int(os.path.basename(path)) if os.path.basename(path).isdigit() else 0)


def parse(body: bytes, content_type: str) -> Any:
    """The predict call that a body stands for; raises UnsupportedFormatError, ValueError."""
    media_type = content_type.partition(";")[0].strip()
    text = body.decode()
    if media_type == formats.JSON:
        value = json.loads(text)
        return value if isinstance(value, dict) and ("instances" in value or "inputs" in value) else _instances(value)
    if media_type in _JSON_LINES:
        return {"instances": [json.loads(line) for line in text.splitlines() if line.strip()]}
    if media_type == formats.CSV:
        return {"instances": [[float(cell) for cell in row] for row in csv.reader(io.StringIO(text)) if row]}
    raise formats.UnsupportedFormatError(media_type)


def _instances(value: Any) -> dict[str, Any]:
    return {"instances": value if isinstance(value, list) else [value]}


def _predictor(folder: str) -> Callable[[Any], Predicted]:
    tf = importlib.import_module("tensorflow")
    model = tf.saved_model.load(folder)  # kept, or its variables go with it

    def predict(call: Any) -> Predicted:
        try:
            signature = model.signatures[call.get("signature_name") or "serving_default"]
            wanted = signature.structured_input_signature[1]
            by_row = "instances" in call
            given = columns(call["instances"] if by_row else call["inputs"], list(wanted), by_row)
            made = {name: tf.constant(given[name], dtype=spec.dtype) for name, spec in wanted.items()}
            for name, spec in wanted.items():
                if not spec.shape.is_compatible_with(made[name].shape):
                    raise ValueError(f"the input {name} must have the shape {spec.shape}, not {made[name].shape}")
            outputs = {name: tensor.numpy().tolist() for name, tensor in signature(**made).items()}
        except (KeyError, TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            return Predicted(400, json.dumps({"error": str(error)}).encode())
        return Predicted(200, json.dumps(answered(outputs, by_row), default=_text).encode())

    return predict


def columns(value: Any, names: list[str], by_row: bool) -> dict[str, Any]:
    """Input name → its values. Unnamed values are those of the only input."""
    if by_row and value and isinstance(value[0], dict) and set(value[0]) <= set(names):
        return {name: [row[name] for row in value] for name in names}
    if not by_row and isinstance(value, dict):
        return value
    if len(names) != 1:
        raise ValueError(f"the model has the inputs {', '.join(names)}: name them")
    return {names[0]: value}


def answered(outputs: dict[str, Any], by_row: bool) -> dict[str, Any]:
    """The answer's JSON: of a model with one output its values alone."""
    if not by_row:
        return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    count = len(next(iter(outputs.values())))
    return {"predictions": [{name: values[row] for name, values in outputs.items()} for row in range(count)]}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
