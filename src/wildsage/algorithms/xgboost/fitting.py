"""Trains a booster, or one for each fold of a cross validation."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xgboost
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

from . import measures
from .errors import AlgorithmError, UserError
from .parameters import MAXIMIZED
from .together import leads

MODEL = "xgboost-model"
_CHECKPOINT = "xgboost-checkpoint"
# What XGBoost says of data and settings that the caller can cure, in this version and in those of AWS's images.
_CUSTOMER_WORDS = (
    "Target is multiclass but average='binary'",
    "feature_names mismatch",
    "Check failed: preds.size() == info.labels_.size()",
    "the dataset only contains pos or neg samples",
    "base_score must be",
    "base_score` must be",
    "label must be",
    "labels must be",
    "label_correct",
    "Parameter reg_lambda should be greater equal to 0",
)
_LOGISTIC = ("binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic")
# Names that XGBoost no longer has, or never had.
_NOT_XGBOOSTS = ("predictor", "silent", "dsplit", "sketch_eps", "deterministic_histogram", "prob_buffer_row")


class Data(NamedTuple):
    """DMatrixes; ``validation`` None: there is no such channel."""

    train: Any
    validation: Any


class Folders(NamedTuple):
    """``checkpoints`` empty: none are kept."""

    model: str
    output_data: str
    checkpoints: str


class _Plan(NamedTuple):
    """What of the configuration is not for XGBoost itself."""

    rounds: int
    own_metrics: list[str]
    stopping_rounds: int | None
    stopping_metric: str | None
    save_early: bool


def train(config: Mapping[str, Any], data: Data, folders: Folders) -> None:
    """Leaves ``xgboost-model`` in the model folder, or ``xgboost-model-N`` for each fold. Raises UserError."""
    settings = dict(config)
    _check_labels(settings.get("objective"), data)
    folds, repeats = settings.pop("_kfold", None), settings.pop("_num_cv_round", 1)
    plan = _planned(settings)
    try:
        if folds is None:
            booster = _one(settings, plan, data, folders)
            if leads():
                _save(booster, os.path.join(folders.model, MODEL))
        else:
            _cross_validated(settings, plan, data, folders, (folds, repeats))
    except Exception as error:
        said = str(error).partition("\n\nStack trace")[0]
        if any(words in said for words in _CUSTOMER_WORDS):
            raise UserError(said) from None
        raise AlgorithmError(f"XGB train call failed with exception:\n {said}") from error


def _check_labels(objective: str | None, data: Data) -> None:
    """XGBoost would say that base_score, which it guesses from the labels, is wrong."""
    if objective not in _LOGISTIC:
        return
    for matrix in (data.train, data.validation):
        labels = np.zeros(1) if matrix is None else matrix.get_label()
        if labels.min() < 0 or labels.max() > 1:
            raise UserError("label must be in [0,1] for logistic regression")


def _planned(settings: dict[str, Any]) -> _Plan:
    """Takes what is not XGBoost's out of ``settings``."""
    asked = settings.pop("eval_metric", [])
    tuned = settings.pop("_tuning_objective_metric", None)
    tuning = [tuned.split(":")[1]] if tuned else []
    names = sorted({*asked, *tuning}) if tuning else list(asked)
    theirs, own = measures.split(names)
    if theirs:
        settings["eval_metric"] = theirs
    if own and not theirs:
        settings["disable_default_eval_metric"] = 1
    last = (tuning or asked or [None])[-1]
    settings.pop("csv_weights", None)
    settings.pop("use_dask_gpu_training", None)
    for name in _NOT_XGBOOSTS:
        settings.pop(name, None)
    if settings.get("tree_method") == "gpu_hist":
        settings["tree_method"] = "hist"
    if settings.get("objective") == "reg:linear":
        settings["objective"] = "reg:squarederror"
    if isinstance(settings.get("updater"), list):
        settings["updater"] = ",".join(settings["updater"])
    early = settings.pop("save_model_on_termination", "false") == "true"
    return _Plan(settings.pop("num_round"), own, settings.pop("early_stopping_rounds", None), last, early)


def _one(
    settings: dict[str, Any], plan: _Plan, data: Data, folders: Folders, fold: int | None = None, results: Any = None
) -> Any:
    suffix = "" if fold is None else f"-{fold}"
    checkpoints = folders.checkpoints if fold is None else ""
    previous, done = _resumed(checkpoints)
    callbacks: list[Any] = [_Lines(done)] if leads() else []
    if checkpoints and leads():
        callbacks.append(_Saved(os.path.join(checkpoints, _CHECKPOINT), done))
    if plan.save_early:
        if leads():
            callbacks.append(_Saved(os.path.join(folders.model, MODEL + suffix), None))
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if plan.stopping_rounds and plan.stopping_metric and data.validation is not None:
        callbacks.append(
            xgboost.callback.EarlyStopping(
                rounds=plan.stopping_rounds,
                data_name="validation",
                metric_name=plan.stopping_metric,
                maximize=plan.stopping_metric in MAXIMIZED,
                save_best=True,
            )
        )
    watched = [(data.train, "train")] + ([(data.validation, "validation")] if data.validation is not None else [])
    return xgboost.train(
        settings,
        data.train,
        num_boost_round=plan.rounds - done,
        evals=watched,
        custom_metric=measures.measuring(plan.own_metrics, str(settings.get("objective")))
        if plan.own_metrics
        else None,
        callbacks=callbacks,
        evals_result=results,
        xgb_model=previous,
        verbose_eval=False,
    )


def _resumed(folder: str) -> tuple[Any, int]:
    """The booster of the newest checkpoint, or None, and the rounds it has."""
    if not folder or not os.path.isdir(folder):
        return None, 0
    found = [re.fullmatch(rf"{_CHECKPOINT}\.(\d+)", name) for name in os.listdir(folder)]
    rounds = [int(match[1]) for match in found if match]
    if not rounds:
        return None, 0
    path = os.path.join(folder, f"{_CHECKPOINT}.{max(rounds)}")
    print(f"Checkpoint loaded from {path}\nResuming from iteration {max(rounds) + 1}", flush=True)
    booster = xgboost.Booster()
    with open(path, "rb") as file:
        booster.load_model(bytearray(file.read()))
    return booster, max(rounds) + 1


class _Lines(xgboost.callback.TrainingCallback):
    """``[0]#011train-rmse:0.1#011validation-rmse:0.2``: a tab is #011 in CloudWatch, and in the metrics' regexes."""

    def __init__(self, done: int) -> None:
        self._done = done

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        parts = [
            f"{data}-{name}:{values[-1]:.5f}"
            for data, measured in evals_log.items()
            for name, values in measured.items()
        ]
        print("#011".join([f"[{epoch + self._done}]", *parts]), flush=True)
        return False


class _Saved(xgboost.callback.TrainingCallback):
    """Saves the booster after each round. ``done``: rounds of a checkpoint before; None: always the same file."""

    def __init__(self, path: str, done: int | None) -> None:
        self._path, self._done = path, done

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        path = self._path if self._done is None else f"{self._path}.{epoch + self._done}"
        _save(model, path)
        return False


def _save(booster: Any, path: str) -> None:
    """As UBJSON, which XGBoost is told by a suffix that the image's file name does not have."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    draft = os.path.join(folder, f".{name}.ubj")
    booster.save_model(draft)
    os.replace(draft, path)


def _cross_validated(
    settings: dict[str, Any], plan: _Plan, data: Data, folders: Folders, times: tuple[int, int]
) -> None:
    folds, repeats = times
    labels = data.train.get_label()
    classes = bool(settings.get("num_class")) or str(settings.get("objective")).startswith("binary:")
    splitter = (RepeatedStratifiedKFold if classes else RepeatedKFold)(n_splits=folds, n_repeats=repeats)
    predicted: list[list[Any]] = [[] for _ in labels]
    splits = splitter.split(np.zeros(len(labels)), labels if classes else None)
    results: list[dict[str, dict[str, list[float]]]] = []
    for number, (inside, outside) in enumerate(splits):
        print(f"Train cross validation fold {number % folds + 1}", flush=True)
        part = Data(data.train.slice(inside), data.train.slice(outside))
        results.append({})
        booster = _one(settings, plan, part, folders, fold=number, results=results[-1])
        _save(booster, os.path.join(folders.model, f"{MODEL}-{number}"))
        for row, value in zip(outside, booster.predict(part.validation)):  # noqa: B905 - Python 3.9
            predicted[row].append(value)
        if len(results) % folds == 0:
            _print_means(plan.rounds, results[-folds:], f"round {len(results) // folds} cross validation")
    if repeats > 1:
        _print_means(plan.rounds, results, f"{repeats}-round cross validation")
    rows = [_recorded(label, values, classes) for label, values in zip(labels, predicted)]  # noqa: B905
    os.makedirs(folders.output_data, exist_ok=True)
    np.savetxt(os.path.join(folders.output_data, "predictions.csv"), rows, delimiter=",", fmt="%f")


def _print_means(rounds: int, results: list[dict[str, dict[str, list[float]]]], what: str) -> None:
    """The folds' last values, averaged, in the form of a round's line."""
    means = [
        f"{data}-{name}:{np.mean([each[data][name][-1] for each in results]):.5f}"
        for name in results[0]["train"]
        for data in results[0]
    ]
    print(f"The metrics of {what}", "#011".join([f"[{rounds}]", *means]), sep="\n", flush=True)


def _recorded(label: float, predictions: list[Any], classes: bool) -> list[float]:
    """A line of predictions.csv: the label, for classes the mean probability, and the prediction."""
    if not classes:
        return [label, float(np.mean(predictions))]
    found = [
        (int(np.argmax(each)), float(np.max(each))) if np.ndim(each) else (int(each > 0.5), float(each))
        for each in predictions
    ]
    votes = [each for each, _ in found]
    return [label, float(np.mean([probability for _, probability in found])), float(max(set(votes), key=votes.count))]
