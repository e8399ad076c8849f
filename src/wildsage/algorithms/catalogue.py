"""The built-in algorithms by the names of their images' repositories."""

from __future__ import annotations

import importlib
from typing import Any

XGBOOST = "xgboost"

_MODULES = {
    "kmeans": "kmeans",
    "knn": "knn",
    "linear-learner": "linear_learner.serving",
    "pca": "pca",
    "randomcutforest": "randomcutforest.serving",
}


def module(name: str) -> Any:
    """The module with ``ALGORITHM`` and ``load``.

    Imported when it is asked for: its libraries take a second, and another image may not have them.
    """
    return importlib.import_module(f".{_MODULES[name]}", __package__)


def xgboost(part: str) -> Any:
    """A module of XGBoost's built-in mode, which is not made like the others."""
    return importlib.import_module(f".xgboost.{part}", __package__)
