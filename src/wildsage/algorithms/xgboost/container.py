"""A training container of the XGBoost image in built-in mode."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping
from typing import Any

from ..job import Job
from . import channels, fitting, matrices, parameters
from .errors import UserError
from .together import together

_FAILED = 1


def main(job: Job, environ: Mapping[str, str]) -> int:
    """Trains, and writes the failure file if that fails; returns the exit status."""
    _log("Imported framework sagemaker_xgboost_container.training")
    _log("Running XGBoost Sagemaker in algorithm mode")
    try:
        _train(job, environ.get("WILDSAGE_ALGORITHM_VERSION", ""))
    except Exception as error:
        words = f"framework error: \n{traceback.format_exc()}\n{error}"
        _log("Reporting training FAILURE", "ERROR")
        _log(words, "ERROR")
        with open(os.path.join(job.base, "output", "failure"), "w", encoding="utf-8") as file:
            file.write(words)
        return _FAILED
    _log("Reporting training SUCCESS")
    return 0


def _train(job: Job, version: str) -> None:
    given = {name: value for name, value in job.hyperparameters.items() if not name.startswith("sagemaker_")}
    config = parameters.check(given, version)
    kind = channels.check(job.channels)
    if len(job.hosts) > 1 and "_kfold" in config:
        raise UserError("Cross validation (_kfold) runs on one instance: its folds are parts of one matrix.")
    folders = fitting.Folders(job.model_dir, job.output_data_dir, job.checkpoints)
    with together(job):
        fitting.train(config, _data(job, kind, config), folders)


def _data(job: Job, kind: str, config: Mapping[str, Any]) -> fitting.Data:
    weighted = bool(config.get("csv_weights"))
    train, validation = job.channels["train"], job.channels.get("validation")
    together = [train, validation] if validation is not None and "_kfold" in config else [train]
    matrix = matrices.read(together, kind, weighted)
    if matrix is None:
        raise UserError(f"No data in training channel path {train.path}")
    count = len(job.hosts)
    _log(f"Distributed node training with {count} hosts: {job.hosts}" if count > 1 else "Single node training.")
    _log(f"Train matrix has {matrix.num_row()} rows and {matrix.num_col()} columns")
    if validation is None or len(together) > 1:
        return fitting.Data(matrix, None)
    other = matrices.read([validation], kind, weighted)
    if other is None:
        raise UserError(f"No data in validation channel path {validation.path}")
    _log(f"Validation matrix has {other.num_row()} rows")
    return fitting.Data(matrix, other)


def _log(message: str, level: str = "INFO") -> None:
    """``[2026-11-21:14:00:00:INFO] message``."""
    print(f"[{time.strftime('%Y-%m-%d:%H:%M:%S')}:{level}] {message}", flush=True)
