"""aws/sagemaker-xgboost-container: ``handler_service.py`` with a script, ``algorithm_mode/serve.py`` without one."""

from __future__ import annotations

import csv
import importlib
import json
import logging
import os
import pickle
from types import ModuleType
from typing import Any

from .. import formats, toolkits
from ..http import Answer, Handle, Request

log = logging.getLogger(__name__)

_LIBSVM = ("text/libsvm", "text/x-libsvm")
_ACCEPTS = (formats.JSON, formats.CSV, "application/jsonlines")


def load(script: ModuleType | None, model_dir: str) -> Handle:
    """With a script, a model_fn is the user's to write; without one this is the built-in algorithm's server."""
    if script is None:
        return _Algorithm(model_dir)
    return toolkits.containers(
        script, toolkits.Functions(toolkits.missing_model_fn, _input_fn, _predict_fn, _output_fn), model_dir
    )


def _input_fn(data: Any, content_type: str) -> Any:
    media_type = content_type.partition(";")[0].strip()
    if media_type == formats.CSV:
        return _csv(data)
    if media_type in _LIBSVM:
        return _libsvm(data)
    raise formats.UnsupportedFormatError(media_type)


def _predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)


def _output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    return formats.encode(prediction, accept), accept


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, (bytes, bytearray)) else str(data)


def _csv(data: Any) -> Any:
    """A DMatrix; the delimiter is guessed from the first line, an empty cell is not a number."""
    lines = _text(data).split("\n")
    guessed = csv.Sniffer().sniff(lines[0][:512]).delimiter
    delimiter = "," if guessed.isalnum() else guessed
    rows = [[cell or "nan" for cell in line.split(delimiter)] for line in lines]
    return importlib.import_module("xgboost").DMatrix(importlib.import_module("numpy").array(rows).astype(float))


def _libsvm(data: Any) -> Any:
    """A DMatrix of ``index:value`` rows; indices from 1 are moved to start at 0."""
    numpy, xgboost = importlib.import_module("numpy"), importlib.import_module("xgboost")
    rows = []
    for line in _text(data).strip().split("\n"):
        pairs = (token.split(":", 1) for token in line.split() if ":" in token)
        rows.append({int(index): float(value) for index, value in pairs})
    indices = [index for row in rows for index in row]
    if not indices:
        return xgboost.DMatrix(numpy.empty((0, 0)))
    offset = 1 if min(indices) >= 1 else 0
    dense = numpy.zeros((len(rows), max(indices) - offset + 1))
    for number, row in enumerate(rows):
        for index, value in row.items():
            dense[number, index - offset] = value
    return xgboost.DMatrix(dense)


class _Algorithm:
    """The built-in algorithm: a pickled or saved booster, CSV and libsvm in, CSV, JSON or JSON lines out."""

    def __init__(self, model_dir: str) -> None:
        self._booster = _booster(model_dir)
        self._accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", formats.CSV)

    def __call__(self, request: Request) -> Answer:
        if not request.body:
            return Answer(204, "", b"")
        given = request.headers.get("content-type", "")
        try:
            data = self._read(request.body, given)
        except Exception as error:
            log.exception("the payload cannot be read")
            return Answer(415, "text/html; charset=utf-8", str(error).encode())
        try:
            predictions = self._booster.predict(data, validate_features=False).tolist()
        except Exception as error:
            log.exception("the payload cannot be evaluated")
            return Answer(400, "text/html; charset=utf-8", f"Unable to evaluate payload provided: {error}".encode())
        accept = request.headers.get("accept", "").partition(";")[0].strip().lower()
        if not accept or accept == formats.ANY:
            accept = self._accept
        if accept not in _ACCEPTS:
            words = f"Accept type {accept} is not supported. Please use supported accept types: {list(_ACCEPTS)}."
            return Answer(406, "text/html; charset=utf-8", words.encode())
        return _written(predictions, accept)

    def _read(self, body: bytes, content_type: str) -> Any:
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type == formats.CSV:
            return self._attempt(_csv, body.strip(), "csv")
        if media_type in _LIBSVM:
            return self._attempt(_libsvm, body.strip(), "libsvm")
        raise RuntimeError(f"Content-type {content_type} is not supported.")

    def _attempt(self, read: toolkits.Function, body: bytes, kind: str) -> Any:
        try:
            return read(body)
        except Exception as error:
            words = f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:"
            raise RuntimeError(f"{words}\n {type(error)}\n {error}") from error


def _booster(model_dir: str) -> Any:
    """The first file of the model folder, as a pickle or as XGBoost saves models (JSON, UBJSON, binary)."""
    files = [name for name in sorted(os.listdir(model_dir)) if not name.startswith(".")]
    paths = [path for path in (os.path.join(model_dir, name) for name in files) if os.path.isfile(path)]
    if not paths:
        raise FileNotFoundError(f"there is no model file in {model_dir}")
    path = paths[0]
    try:
        with open(path, "rb") as file:
            booster = pickle.load(file)
    except Exception as no_pickle:
        booster = importlib.import_module("xgboost").Booster()
        try:
            booster.load_model(path)
        except Exception as no_model:
            raise RuntimeError(
                f"Model {path} cannot be loaded:\nPickle load error={no_pickle}\nXGB load model error={no_model}"
            ) from no_model
    booster.set_param("nthread", 1)
    return booster


def _written(predictions: list[Any], accept: str) -> Answer:
    if accept == formats.JSON:
        body = json.dumps({"predictions": [{"score": score} for score in predictions]}).encode()
    elif accept == formats.CSV:
        body = formats.encode(predictions, accept)
        accept = f"{formats.CSV}; charset=utf-8"
    else:
        body = b"".join(json.dumps({"score": score}).encode() + b"\n" for score in predictions)
    return Answer(200, accept, body)
