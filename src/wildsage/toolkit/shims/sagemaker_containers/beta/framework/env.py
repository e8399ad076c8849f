"""The environment of a job, by the names of its variables."""

from __future__ import annotations

import importlib
from typing import Any

TrainingEnv: Any = importlib.import_module("sagemaker_training.environment").Environment


def training_env() -> Any:
    """That of the running job: ``hosts``, ``hyperparameters`` and so on."""
    return TrainingEnv()
