"""XGBoost's hyperparameters, checked in the image's order and words: unknown, missing, type, range, dependencies."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .errors import UserError

MAXIMIZED = (  # noqa: SIM905
    "accuracy auc aucpr balanced_accuracy f1 f1_binary f1_macro map ndcg precision r2 recall precision_macro "
    "precision_micro recall_macro recall_micro"
).split()
MINIMIZED = (  # noqa: SIM905
    "aft-nloglik cox-nloglik error gamma-deviance gamma-nloglik interval-regression-accuracy logloss mae mape merror "
    "mlogloss mphe mse poisson-nloglik rmse rmsle tweedie-nloglik"
).split()
METRICS = (*MAXIMIZED, *MINIMIZED)

_OBJECTIVES = (  # noqa: SIM905
    "aft_loss_distribution binary:logistic binary:logitraw binary:hinge count:poisson multi:softmax multi:softprob "
    "rank:pairwise rank:ndcg rank:map reg:linear reg:squarederror reg:logistic reg:gamma reg:pseudohubererror "
    "reg:squaredlogerror reg:absoluteerror reg:tweedie survival:aft survival:cox"
).split()
_UPDATERS = (  # noqa: SIM905
    "grow_colmaker distcol grow_histmaker grow_skmaker sync refresh prune grow_quantile_histmaker shotgun coord_descent"
).split()
_ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}


class Span(NamedTuple):
    """An interval, written as mathematicians do; None: without end."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def __str__(self) -> str:
        left = "(-inf" if self.low is None else f"{'(' if self.open_low else '['}{self.low}"
        right = "+inf)" if self.high is None else f"{self.high}{')' if self.open_high else ']'}"
        return f"{left}, {right}"

    def holds(self, value: float) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.open_low)
        below = self.high is None or value < self.high or (value == self.high and not self.open_high)
        return above and below


class _Declared(NamedTuple):
    parse: Callable[[str], Any]
    check: Callable[[str, Any], None]


def _within(span: Span) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if not span.holds(value):
            raise UserError(f"Hyperparameter {name}: {value} is not in {span}")

    return check


def _one_of(choices: list[str]) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if value not in choices:
            raise UserError(f"Hyperparameter {name}: {value} is not in {choices}")

    return check


def _each_of(choices: list[Any]) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if any(each not in choices for each in value):
            raise UserError(f"Hyperparameter {name}: value {value} not in range {choices}")

    return check


def _metrics(name: str, value: list[str]) -> None:
    for metric in value:
        if "@" in metric:
            base, _, threshold = (part.strip() for part in metric.partition("@"))
            if base not in ("error", "ndcg", "map"):
                raise UserError(
                    f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized threshold should be "
                    "one of these options: 'error', 'ndcg', 'map'."
                )
            try:
                float(threshold)
            except ValueError:
                raise UserError(f"Threshold value 't' in '{base}@t' expects float input.") from None
        elif metric not in METRICS:
            raise UserError(f"Hyperparameter {name}: value {value} not in range {list(METRICS)}")


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError) as error:
        raise ValueError(text) from error


def _nested(name: str, value: Any) -> None:
    if any(each < 1 for group in value for each in group):
        raise UserError(f"Hyperparameter {name}: value {value} not in range {Span(1)}")


def _integer(low: float | None = None, high: float | None = None, **more: bool) -> _Declared:
    return _Declared(int, _within(Span(low, high, **more)))


def _real(low: float | None = None, high: float | None = None, **more: bool) -> _Declared:
    return _Declared(float, _within(Span(low, high, **more)))


def _word(*choices: str) -> _Declared:
    return _Declared(str, _one_of(list(choices)))


def _words(check: Callable[[str, Any], None]) -> _Declared:
    return _Declared(lambda text: text.split(","), check)


_FRACTION = _real(0, 1, open_low=True)
_DECLARED = {
    "num_round": _integer(1),
    "csv_weights": _integer(0, 1),
    "early_stopping_rounds": _integer(1),
    "booster": _word("gbtree", "gblinear", "dart"),
    "verbosity": _integer(0, 3),
    "nthread": _integer(1),
    "eta": _real(0, 1),
    "gamma": _real(0),
    "max_depth": _integer(0),
    "min_child_weight": _real(0),
    "max_delta_step": _real(0),
    "subsample": _FRACTION,
    "colsample_bytree": _FRACTION,
    "colsample_bylevel": _FRACTION,
    "colsample_bynode": _FRACTION,
    "lambda": _real(0),
    "alpha": _real(0),
    "tree_method": _word("auto", "exact", "approx", "hist", "gpu_hist"),
    "sketch_eps": _real(0, 1, open_low=True, open_high=True),
    "scale_pos_weight": _real(0, open_low=True),
    "updater": _words(_each_of(_UPDATERS)),
    "dsplit": _word("row", "col"),
    "refresh_leaf": _integer(0, 1),
    "process_type": _word("default", "update"),
    "grow_policy": _word("depthwise", "lossguide"),
    "max_leaves": _integer(0),
    "max_bin": _integer(0),
    "predictor": _word("auto", "cpu_predictor", "gpu_predictor"),
    "monotone_constraints": _Declared(_literal, _each_of([-1, 0, 1])),
    "interaction_constraints": _Declared(_literal, _nested),
    "sample_type": _word("uniform", "weighted"),
    "normalize_type": _word("tree", "forest"),
    "rate_drop": _real(0, 1),
    "one_drop": _integer(0, 1),
    "skip_drop": _real(0, 1),
    "lambda_bias": _real(0, 1),
    "tweedie_variance_power": _real(1, 2, open_low=True, open_high=True),
    "objective": _word(*_OBJECTIVES),
    "num_class": _integer(2),
    "base_score": _real(0),
    "_kfold": _integer(2),
    "_num_cv_round": _integer(1),
    "_tuning_objective_metric": _word(*(f"validation:{name}" for name in METRICS)),
    "eval_metric": _words(_metrics),
    "seed": _integer(-(2**31), 2**31 - 1, open_low=True, open_high=True),
    "num_parallel_tree": _integer(1),
    "save_model_on_termination": _word("true", "false"),
    "aft_loss_distribution": _word("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _real(0),
    "deterministic_histogram": _word("true", "false"),
    "sampling_method": _word("uniform", "gradient_based"),
    "prob_buffer_row": _integer(1, open_low=True),
    "use_dask_gpu_training": _word("true", "false"),
}
_OLD = {"silent": _integer(0, 1)}
"""What images before XGBoost 1.0 take besides."""


def check(given: Mapping[str, str], version: str = "") -> dict[str, Any]:
    """Name → value of what was given. ``version``: the image's. Raises UserError."""
    old = version in ("1", "latest") or version.startswith("0.")
    declared = {**_DECLARED, **(_OLD if old else {})}
    named = {_ALIASES.get(name, name): value for name, value in given.items()}
    if "num_round" not in named:
        raise UserError("Missing required hyperparameter: num_round")
    found: dict[str, Any] = {}
    for name, text in named.items():
        if name not in declared:
            raise UserError(f"Extraneous hyperparameter found: {name}")
        try:
            found[name] = declared[name].parse(str(text))
        except ValueError as error:
            raise UserError(
                f"Hyperparameter {name}: could not parse value (caused by {type(error).__name__})"
            ) from error
    for name, value in found.items():
        declared[name].check(name, value)
    _check_together(found)
    return found


def _check_together(found: Mapping[str, Any]) -> None:
    objective = found.get("objective")
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in found:
        raise UserError("Require input for parameter 'num_class' for multi-classification")
    metrics = found.get("eval_metric", [])
    if "auc" in metrics and not str(objective).startswith(("binary:", "rank:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")
    method = found.get("tree_method")
    if "monotone_constraints" in found and method not in ("exact", "hist"):
        raise UserError(
            "monotone_constraints can be used only when the tree_method parameter is set to either 'exact' or 'hist'."
        )
    if "interaction_constraints" in found and method not in ("exact", "hist", "approx"):
        raise UserError(
            "interaction_constraints can be used only when the tree_method parameter is set to either 'exact', 'hist' "
            "or 'approx'."
        )
    if "updater" in found:
        _check_updaters(found)


def _check_updaters(found: Mapping[str, Any]) -> None:
    given = found["updater"]
    if found.get("booster") == "gblinear":
        if len(given) != 1 or given[0] not in ("shotgun", "coord_descent"):
            raise UserError("Linear updater should be one of these options: 'shotgun', 'coord_descent'.")
    elif found.get("process_type") == "update":
        if any(each not in ("refresh", "prune") for each in given):
            raise UserError("process_type 'update' can only be used with updater 'refresh' and 'prune'")
    elif any(each in ("shotgun", "coord_descent") for each in given):
        raise UserError(
            "Tree updater should be selected from these options: 'grow_colmaker', 'distcol', 'grow_histmaker', "
            "'grow_skmaker', 'grow_quantile_histmaker', 'sync', 'refresh', 'prune', 'shortgun', 'coord_descent'."
        )
    elif sum(each.startswith("grow_") or each == "distcol" for each in given) > 1:
        raise UserError(
            "Only one tree grow plugin can be selected. Choose one from thefollowing: 'grow_colmaker', 'distcol', "
            "'grow_histmaker', 'grow_skmaker'"
        )
