"""Answers of XGBoost's built-in mode (``algorithm_mode/serve.py`` and ``serve_utils.py`` of the image).

SAGEMAKER_INFERENCE_OUTPUT    comma-separated: what to answer instead of the score (predicted_label, probabilities, …)
SAGEMAKER_INFERENCE_ENSEMBLE  "false": of several model files only the first counts
SAGEMAKER_BATCH               a batch transform: one line for each record
"""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost

from ..formats import contenttype, tables
from ..formats.contenttype import CSV, JSON, JSONLINES, RECORDIO
from ..formats.tables import Array
from ..hosting.model import Answer, Response
from . import channels, matrices, selected
from .errors import UserError

_ACCEPTED = [JSON, JSONLINES, RECORDIO, CSV]
_TEXT = "text/html; charset=utf-8"
_VOTES = ("multi:softmax", "binary:hinge")


def load(model_dir: str) -> Answer:
    """Raises FileNotFoundError, RuntimeError."""
    return _Server(model_dir).answer


class _Server:
    def __init__(self, model_dir: str) -> None:
        together = os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true"
        paths = _model_files(model_dir)
        self._boosters = [_booster(path) for path in (paths if together else paths[:1])]
        learner = json.loads(self._boosters[0].save_config())["learner"]
        self._objective = str(learner["objective"]["name"])
        self._classes = int(learner["learner_model_param"].get("num_class", 0))
        wanted = os.environ.get("SAGEMAKER_INFERENCE_OUTPUT")
        self._wanted = wanted.replace(" ", "").lower().split(",") if wanted is not None else None
        self._batch = bool(os.environ.get("SAGEMAKER_BATCH"))

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Response:
        if not body:
            return 204, "", b""
        try:
            data = _read(body, headers.get("content-type", ""))
        except Exception as error:
            return _refused(415, str(error))
        try:
            predictions = self._predict(data)
        except Exception as error:
            return _refused(400, f"Unable to evaluate payload provided: {error}")
        accept = _accepted(headers.get("accept", ""))
        if accept not in _ACCEPTED or (accept == RECORDIO and self._wanted is None):
            return _refused(
                406, f"Accept type {accept} is not supported. Please use supported accept types: {_ACCEPTED}."
            )
        if self._wanted is not None:
            try:
                chosen = selected.choose(predictions, self._wanted, self._objective, self._classes)
            except ValueError as error:
                return _refused(500, str(error))
            return 200, _charset(accept), selected.written(chosen, self._wanted, accept, self._batch)
        return 200, _charset(accept), _written(predictions.tolist(), accept, self._batch)

    def _predict(self, data: Any) -> Array:
        found = [np.asarray(each.predict(data, validate_features=False)) for each in self._boosters]
        if len(found) == 1:
            return found[0]
        if self._objective not in _VOTES:
            return np.asarray(np.mean(found, axis=0))
        stacked = np.stack(found)
        votes = np.array([(stacked == value).sum(axis=0) for value in np.unique(stacked)])
        return np.asarray(np.unique(stacked)[votes.argmax(axis=0)])


def _model_files(folder: str) -> list[str]:
    names = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    paths = [path for path in (os.path.join(folder, name) for name in names) if os.path.isfile(path)]
    if not paths:
        raise FileNotFoundError(f"there is no model file in {folder}")
    return paths


def _booster(path: str) -> Any:
    """A pickle, or what XGBoost saves (JSON, UBJSON).

    Models of SageMaker's older images are in a binary format that XGBoost reads no more (since 3.1): what can be done
    is told last, where FailureReason shows it.
    """
    try:
        with open(path, "rb") as file:
            booster = pickle.load(file)
    except Exception as no_pickle:
        booster = xgboost.Booster()
        try:
            with open(path, "rb") as file:
                booster.load_model(bytearray(file.read()))
        except Exception as no_model:
            raise RuntimeError(
                f"Model {path} cannot be loaded:\nPickle load error={_said(no_pickle)}\n"
                f"XGB load model error={_said(no_model)}\n"
                f"XGBoost {xgboost.__version__} reads no binary models and pickles of much older versions. Load it "
                "with the version that wrote it, and save it as JSON: booster.save_model('xgboost-model.json')."
            ) from None
    booster.set_param("nthread", 1)
    return booster


def _said(error: Exception) -> str:
    """Without the addresses of XGBoost's functions."""
    return str(error).partition("\nStack trace:")[0].strip()


def _read(body: bytes, content_type: str) -> Any:
    try:
        kind = channels.format_of(content_type)
    except UserError as error:
        raise RuntimeError(str(error)) from error
    try:
        if kind == channels.CSV:
            return matrices.csv_request(body.decode().strip())
        if kind == channels.LIBSVM:
            return matrices.libsvm_request(body.decode().strip())
        if kind == channels.RECORDIO:
            return xgboost.DMatrix(tables.from_records(io.BytesIO(body)).features)
    except Exception as error:
        raise RuntimeError(
            f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:\n "
            f"{type(error)}\n {error}"
        ) from error
    raise RuntimeError(f"Content-type {content_type} is not supported.")


def _accepted(header: str) -> str:
    accept = contenttype.parse(header).media
    if not accept or accept == "*/*":
        return os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)
    return accept


def _charset(accept: str) -> str:
    return f"{CSV}; charset=utf-8" if accept == CSV else accept


def _refused(status: int, words: str) -> Response:
    traceback.print_exc()
    return status, _TEXT, words.encode()


def _written(predictions: list[Any], accept: str, batch: bool) -> bytes:
    if batch:
        return ("\n".join(map(str, predictions)) + "\n").encode()
    if accept == JSON:
        return json.dumps({"predictions": [{"score": score} for score in predictions]}).encode()
    if accept == JSONLINES:
        return b"".join(json.dumps({"score": score}).encode() + b"\n" for score in predictions)
    text = io.StringIO()
    rows = (each if isinstance(each, list) else [each] for each in predictions)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
