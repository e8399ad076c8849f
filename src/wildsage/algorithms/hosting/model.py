"""What answers the requests for a model."""

from __future__ import annotations

import io
import json
import os
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import BadRequest, UnsupportedContent
from ..formats.tables import Array
from . import requests, responses
from .responses import Columns

_FILES = "model_algo"

Response = tuple[int, str, bytes]
"""Status, content type, body."""

Answer = Callable[[bytes, Mapping[str, str]], Response]
"""Body and headers (names in lower case) of a POST to /invocations → the response."""


class Predictor(NamedTuple):
    """A loaded model. ``width``: features it expects. ``key``: the member of the JSON document that holds records.

    ``predict(features, verbose)``: ``verbose`` is what the Accept header's parameter of that name asks for.
    """

    width: int
    key: str
    predict: Callable[[Array, bool], Columns]


def answering(predictor: Predictor) -> Answer:
    """The whole of /invocations."""
    default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")

    def answer(body: bytes, headers: Mapping[str, str]) -> Response:
        try:
            accept = responses.chosen(headers.get("accept", ""), default)
            rows = requests.features(body, headers.get("content-type", ""))
            if rows.shape[1] != predictor.width:
                raise BadRequest(
                    f"The request has {rows.shape[1]} features for each instance, but the model was trained with "
                    f"{predictor.width}."
                )
            columns = predictor.predict(rows, accept.parameters.get("verbose", "").lower() == "true")
        except UnsupportedContent as error:
            return error.status, "text/plain", str(error).encode()
        except BadRequest as error:
            return 400, "text/plain", str(error).encode()
        except Exception:
            traceback.print_exc()
            return 500, "text/plain", b"Internal Server Error"
        return 200, accept.media, responses.written(columns, predictor.key, accept.media)

    return answer


def save(path: str, arrays: Mapping[str, Array], **settings: Any) -> None:
    """A numpy archive (``numpy.load`` reads it): ``arrays``, and ``settings`` as JSON under that name.

    The images keep an archive of MXNet under the same name, ``model_algo-1``.
    """
    buffer = io.BytesIO()
    np.savez(buffer, settings=np.array(json.dumps(settings)), **dict(arrays))  # type: ignore[arg-type]
    with open(path, "wb") as file:
        file.write(buffer.getvalue())


def load(model_dir: str) -> tuple[Mapping[str, Array], dict[str, Any]]:
    """Arrays and settings of the model in ``model_dir``. Raises FileNotFoundError, ValueError."""
    names = sorted(name for name in os.listdir(model_dir) if name.startswith(_FILES))
    if not names:
        raise FileNotFoundError(f"There is no {_FILES}-1 in {model_dir}. Was this model trained by this algorithm?")
    with np.load(os.path.join(model_dir, names[0]), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, json.loads(str(arrays.pop("settings")))
