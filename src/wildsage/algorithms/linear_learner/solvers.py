"""From loss and regularization to the weights of a linear model.

What is minimized is AWS's objective, the mean loss + wd/2·|w|² + l1·|w|₁, told to scikit-learn in its own terms.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, QuantileRegressor, Ridge, SGDClassifier, SGDRegressor
from sklearn.svm import LinearSVC, LinearSVR

from ..formats.tables import Array

_MANY = 10_000  # iterations; solvers stop when they have converged
_TOLERANCE = 1e-6
_INTERCEPT = 10.0  # liblinear regularizes the intercept too; this much less than the weights
_IMPOSSIBLE = -100.0  # the margin of a class that was never seen


class Problem(NamedTuple):
    """Standardized ``rows`` and ``labels``. ``weights``: of the records, or None. ``values``: hyperparameters."""

    rows: Array
    labels: Array
    weights: Array | None
    loss: str
    values: Mapping[str, Any]

    @property
    def intercept(self) -> bool:
        return bool(self.values["use_bias"])


class Linear(NamedTuple):
    """``weights``: features × outputs; ``bias``: outputs."""

    weights: Array
    bias: Array

    def margins(self, rows: Array) -> Array:
        return np.asarray(rows, np.float64) @ self.weights + self.bias


def solve(problem: Problem, wd: float, l1: float) -> Linear:
    """The minimum, or what was reached of it after very many iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if problem.loss in ("logistic", "softmax_loss"):
            return _logistic(problem, wd, l1)
        solver, scale = _solver(problem, wd, l1)
        solver.fit(problem.rows, problem.labels, sample_weight=problem.weights)
    coefficients = np.reshape(solver.coef_, (1, -1)).T * scale
    return Linear(coefficients, np.reshape(solver.intercept_, -1) * scale)


def _logistic(problem: Problem, wd: float, l1: float) -> Linear:
    total = max(wd + l1, 1e-12)
    options: dict[str, Any] = {"C": 1 / (len(problem.rows) * total), "max_iter": _MANY, "tol": _TOLERANCE}
    if l1:
        options.update(solver="saga", l1_ratio=l1 / total, random_state=0)
        if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8):
            options["penalty"] = "elasticnet"
    solver = LogisticRegression(fit_intercept=problem.intercept, **options)
    solver.fit(problem.rows, problem.labels, sample_weight=problem.weights)
    weights, bias = solver.coef_.T, np.atleast_1d(solver.intercept_)
    if problem.loss == "logistic":
        return Linear(weights, bias)
    if weights.shape[1] == 1:  # two of the classes were seen: the margin between them, shared out
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
    classes = problem.values["num_classes"]
    every = Linear(np.zeros((weights.shape[0], classes)), np.full(classes, _IMPOSSIBLE))
    seen = solver.classes_.astype(int)
    every.weights[:, seen], every.bias[seen] = weights, bias
    return every


def _solver(problem: Problem, wd: float, l1: float) -> tuple[Any, float]:
    """The estimator for a loss that is not logistic, and what its coefficients are to be multiplied with."""
    values, count = problem.values, len(problem.rows)
    loss, intercept = problem.loss, problem.intercept
    total = max(wd + l1, 1e-12)
    if loss == "squared_loss":
        if l1:
            return ElasticNet(total, l1_ratio=l1 / total, fit_intercept=intercept, max_iter=_MANY), 1.0
        return Ridge(count * wd, fit_intercept=intercept), 1.0
    if loss == "quantile_loss":
        return QuantileRegressor(quantile=values["quantile"], alpha=l1, fit_intercept=intercept, solver="highs"), 1.0
    descent = {
        "penalty": "elasticnet",
        "alpha": total,
        "l1_ratio": l1 / total,
        "fit_intercept": intercept,
        "max_iter": _MANY,
        "tol": _TOLERANCE,
        "random_state": 0,
    }
    margin = max(values["margin"], 1e-6)
    dual = {"fit_intercept": intercept, "intercept_scaling": _INTERCEPT, "max_iter": _MANY, "random_state": 0}
    if loss == "hinge_loss":
        if l1:
            return SGDClassifier(loss="hinge", **descent), margin
        return LinearSVC(loss="hinge", C=1 / (count * total * margin), **dual), margin
    if loss == "huber_loss":
        return SGDRegressor(loss="huber", epsilon=values["huber_delta"], **descent), 1.0
    name = "squared_epsilon_insensitive" if loss == "eps_insensitive_squared_loss" else "epsilon_insensitive"
    epsilon = 0.0 if loss == "absolute_loss" else values["loss_insensitivity"]
    if l1:
        return SGDRegressor(loss=name, epsilon=epsilon, **descent), 1.0
    return LinearSVR(loss=name, epsilon=epsilon, C=1 / (count * total), **dual), 1.0
