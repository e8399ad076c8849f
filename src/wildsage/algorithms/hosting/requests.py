"""A request's body as a matrix of features."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import BadRequest, UnsupportedContent
from ..formats import contenttype, tables
from ..formats.contenttype import CSV, JSON, JSONLINES, RECORDIO
from ..formats.records import Tensor
from ..formats.tables import Array

READABLE = (CSV, JSON, JSONLINES, RECORDIO)


def features(body: bytes, content_type: str) -> Array:
    """float32, a row for each instance. Raises UnsupportedContent, BadRequest."""
    asked = contenttype.parse(content_type or CSV)
    if asked.media not in READABLE:
        raise UnsupportedContent(
            415, f"Content-type {content_type} is not supported. Please use one of {', '.join(READABLE)}."
        )
    try:
        found = _read(body, asked)
    except BadRequest:
        raise
    except Exception as error:  # whatever it is, the body is not what it says it is
        raise BadRequest(f"Unable to parse data as {asked.media}: {type(error).__name__}: {error}") from error
    if not found.size:
        raise BadRequest(f"Unable to parse data as {asked.media}: there is no record in the request")
    return found


def _read(body: bytes, asked: contenttype.ContentType) -> Array:
    if asked.media == CSV:
        return tables.from_csv(io.BytesIO(body), int(asked.parameters.get("label_size", 0))).features
    if asked.media == RECORDIO:
        return tables.from_records(io.BytesIO(body)).features
    if asked.media == JSON:
        return _instances(json.loads(body)["instances"])
    return _instances(json.loads(line) for line in body.splitlines() if line.strip())


def _instances(given: Iterable[Any]) -> Array:
    """``{"features": F}`` or ``{"data": {"features": F}}``; F: a list, or values with keys and shape if sparse."""
    vectors = []
    for each in given:
        element = each.get("data", each)["features"]
        if isinstance(element, dict):
            values = np.asarray(element["values"], np.float32)
            vectors.append(Tensor(values, element.get("keys") or (), element.get("shape") or ()))
        else:
            vectors.append(Tensor(np.asarray(element, np.float32), (), ()))
        if vectors[-1].values.ndim != 1:
            raise BadRequest("Unable to parse data: the features of an instance must be a list of numbers")
    return tables.stacked(vectors)
