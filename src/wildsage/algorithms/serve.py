"""Answers requests for the model of a built-in algorithm; called by the toolkit's model server.

load(name, model_dir) → answer(body, headers) → (status, content type, body)
"""

from __future__ import annotations

from . import catalogue
from .hosting import model
from .hosting.model import Answer


def load(name: str, model_dir: str) -> Answer:
    """``name``: that of the image's repository, or xgboost. Raises what keeps the model from being loaded."""
    if name == catalogue.XGBOOST:
        answer: Answer = catalogue.xgboost("serving").load(model_dir)
        return answer
    return model.answering(catalogue.module(name).load(model_dir))
