"""Hyperparameters are refused as the images refuse them, in their words."""

from __future__ import annotations

from typing import Any

import pytest

from wildsage.algorithms import catalogue
from wildsage.algorithms.errors import CustomerError
from wildsage.algorithms.hyperparameters import check
from wildsage.algorithms.xgboost import parameters
from wildsage.algorithms.xgboost.errors import UserError

_REQUIRED = {
    "kmeans": {"k": "3", "feature_dim": "4"},
    "knn": {"k": "3", "feature_dim": "4", "sample_size": "10", "predictor_type": "classifier"},
    "linear-learner": {"predictor_type": "regressor"},
    "pca": {"num_components": "2", "feature_dim": "4", "mini_batch_size": "10"},
    "randomcutforest": {"feature_dim": "4"},
}


def declared(name: str) -> Any:
    return catalogue.module(name).ALGORITHM.declared


@pytest.mark.parametrize("name", _REQUIRED)
def test_what_is_required_suffices_and_is_required(name: str) -> None:
    check(declared(name), _REQUIRED[name])
    for missing in _REQUIRED[name]:
        given = {key: value for key, value in _REQUIRED[name].items() if key != missing}
        words = rf"No value\(s\) were specified for '{missing}' which are required hyperparameter\(s\) \(caused by "
        with pytest.raises(CustomerError, match=words):
            check(declared(name), given)


@pytest.mark.parametrize("name", _REQUIRED)
def test_unknown_names(name: str) -> None:
    with pytest.raises(CustomerError) as caught:
        check(declared(name), {**_REQUIRED[name], "learning_rte": "1"})
    assert caught.value.message == (
        "Additional hyperparameters are not allowed ('learning_rte' was unexpected) (caused by ValidationError)\n\n"
        "Caused by: Additional properties are not allowed ('learning_rte' was unexpected)"
    )
    check(declared(name), {**_REQUIRED[name], "_tuning_objective_metric": "test:x", "force_dense": "True"})


@pytest.mark.parametrize(
    ("name", "parameter", "value", "cause"),
    [
        ("kmeans", "k", "0", "0 is less than the minimum of 1"),
        ("kmeans", "k", "three", "'three' is not of type 'integer'"),
        ("kmeans", "k", "2.5", "'2.5' is not of type 'integer'"),
        ("kmeans", "init_method", "best", r"'best' is not one of \['random', 'kmeans\+\+'\]"),
        ("kmeans", "eval_metrics", '["mse"]', r"'\[\"mse\"\]' is not one of \['msd', 'ssd'\]"),
        ("kmeans", "local_lloyd_tol", "nan", "'nan' is not of type 'number'"),
        ("randomcutforest", "num_trees", "1001", "1001 is greater than the maximum of 1000"),
        ("linear-learner", "quantile", "1", "1.0 is greater than or equal to the maximum of 1"),
        ("linear-learner", "use_bias", "maybe", "'maybe' is not of type 'boolean'"),
    ],
)
def test_values_out_of_range(name: str, parameter: str, value: str, cause: str) -> None:
    with pytest.raises(CustomerError, match=cause) as caught:
        check(declared(name), {**_REQUIRED[name], parameter: value})
    assert caught.value.message.startswith(f"The value of hyperparameter '{parameter}' is not valid")


def test_values_get_their_types() -> None:
    given = {**_REQUIRED["linear-learner"], "use_bias": "False", "epochs": "3.0", "wd": "1e-3", "l1": "auto"}
    found = check(declared("linear-learner"), given)
    assert [found[name] for name in ("use_bias", "epochs", "wd", "l1", "target_recall")] == [
        *(False, 3, 0.001, "auto", 0.8)
    ]
    weighted = check(declared("linear-learner"), {**given, "positive_example_weight_mult": "balanced"})
    assert weighted["positive_example_weight_mult"] == "balanced"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        ({"num_round": "1", "depth": "3"}, "Extraneous hyperparameter found: depth"),
        ({"num_round": "ten"}, r"Hyperparameter num_round: could not parse value \(caused by ValueError\)"),
        ({"num_round": "0"}, r"Hyperparameter num_round: 0 is not in \[1, \+inf\)"),
        ({"num_round": "1", "subsample": "0"}, r"Hyperparameter subsample: 0.0 is not in \(0, 1\]"),
        ({"num_round": "1", "learning_rate": "2"}, r"Hyperparameter eta: 2.0 is not in \[0, 1\]"),
        ({"num_round": "1", "booster": "tree"}, r"Hyperparameter booster: tree is not in \['gbtree', 'gblinear'"),
        ({"num_round": "1", "eval_metric": "best"}, "Hyperparameter eval_metric: value .'best'. not in range"),
        ({"num_round": "1", "eval_metric": "auc"}, "Metric 'auc' can only be applied for classification"),
        ({"num_round": "1", "eval_metric": "rmse@2"}, "Parameter 'eval_metric' with customized threshold"),
        ({"num_round": "1", "objective": "multi:softmax"}, "Require input for parameter 'num_class'"),
        ({"num_round": "1", "monotone_constraints": "(1, 0)"}, "monotone_constraints can be used only when"),
        ({"num_round": "1", "updater": "grow_colmaker,grow_histmaker"}, "Only one tree grow plugin"),
        ({"num_round": "1", "silent": "1"}, "Extraneous hyperparameter found: silent"),
    ],
)
def test_xgboost_refuses(given: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        parameters.check(given)


def test_xgboost_takes() -> None:
    given = {"num_round": "10", "reg_lambda": "2", "eval_metric": "auc,error@0.7", "objective": "binary:logistic"}
    assert parameters.check({**given, "interaction_constraints": "[[1,2],[3]]", "tree_method": "hist"}) == {
        "num_round": 10,
        "lambda": 2.0,
        "eval_metric": ["auc", "error@0.7"],
        "objective": "binary:logistic",
        "interaction_constraints": [[1, 2], [3]],
        "tree_method": "hist",
    }
    assert parameters.check({"num_round": "1", "silent": "0"}, version="0.90-2")["silent"] == 0
