"""A training container from its start to its exit status."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping

from . import catalogue, errors, job, logs, training
from .errors import CustomerError


def main(environ: Mapping[str, str]) -> int:
    """Trains, and writes the failure file if that fails; returns the exit status."""
    base = environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
    name = environ["WILDSAGE_ALGORITHM"]
    found = job.read(base)
    for folder in (found.model_dir, found.output_data_dir):
        os.makedirs(folder, exist_ok=True)
    if name == catalogue.XGBOOST:
        status: int = catalogue.xgboost("container").main(found, environ)
        return status
    logs.entrypoint_called()
    try:
        training.run(catalogue.module(name).ALGORITHM, found)
    except CustomerError as error:
        logs.Log(found.host, name).line(f"Customer Error: {error.message}", "ERROR")
        write_failure(base, f"ClientError: {error.message}")
        return errors.CUSTOMER
    except Exception as error:
        logs.Log(found.host, name).line(f"Algorithm Error: {traceback.format_exc()}", "ERROR")
        write_failure(base, f"Internal Server Error: {type(error).__name__}: {error}")
        return errors.ALGORITHM
    return 0


def write_failure(base: str, words: str) -> None:
    """/opt/ml/output/failure; SageMaker makes FailureReason of it."""
    os.makedirs(os.path.join(base, "output"), exist_ok=True)
    with open(os.path.join(base, "output", "failure"), "w", encoding="utf-8") as file:
        file.write(words)
