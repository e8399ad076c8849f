"""Hyperparameters of the linear learner (Developer Guide, "Linear learner hyperparameters")."""

from __future__ import annotations

from ..hyperparameters import boolean, choice, integer, number

BINARY, MULTICLASS, REGRESSOR = "binary_classifier", "multiclass_classifier", "regressor"

LOSSES = {
    BINARY: ("logistic", "hinge_loss"),
    MULTICLASS: ("softmax_loss",),
    REGRESSOR: (
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ),
}
"""For each predictor_type; the first is what "auto" means."""

CRITERIA = (
    "accuracy",
    "f1",
    "f_beta",
    "precision_at_target_recall",
    "recall_at_target_precision",
    "cross_entropy_loss",
    "loss_function",
)

_AUTO = {"auto": True}
_FRACTION = {"low": 0, "high": 1, "open_low": True, "open_high": True}

DECLARED = {
    "feature_dim": integer("auto", auto=True),
    "predictor_type": choice(None, BINARY, MULTICLASS, REGRESSOR, required=True),
    "num_classes": integer(None, 3, 1_000_000),
    "accuracy_top_k": integer("3"),
    "balance_multiclass_weights": boolean("false"),
    "beta_1": number("auto", 0, 1, open_high=True, **_AUTO),
    "beta_2": number("auto", 0, 1, open_high=True, **_AUTO),
    "bias_lr_mult": number("auto", 0, open_low=True, **_AUTO),
    "bias_wd_mult": number("auto", 0, **_AUTO),
    "binary_classifier_model_selection_criteria": choice("accuracy", *CRITERIA),
    "early_stopping_patience": integer("3"),
    "early_stopping_tolerance": number("0.001", 0, open_low=True),
    "epochs": integer("15"),
    "f_beta": number("1.0", 0, open_low=True),
    "huber_delta": number("1.0", 0),
    "init_bias": number("0"),
    "init_method": choice("uniform", "uniform", "normal"),
    "init_scale": number("0.07", 0, open_low=True),
    "init_sigma": number("0.01", 0, open_low=True),
    "l1": number("auto", 0, **_AUTO),
    "learning_rate": number("auto", 0, open_low=True, **_AUTO),
    "loss": choice("auto", *sorted({name for names in LOSSES.values() for name in names}), auto=True),
    "loss_insensitivity": number("0.01", 0, open_low=True),
    "lr_scheduler_factor": number("auto", 0, 1, open_low=True, open_high=True, **_AUTO),
    "lr_scheduler_minimum_lr": number("auto", 0, open_low=True, **_AUTO),
    "lr_scheduler_step": integer("auto", **_AUTO),
    "margin": number("1.0", 0),
    "mini_batch_size": integer("1000"),
    "momentum": number("auto", 0, 1, open_high=True, **_AUTO),
    "normalize_data": boolean("true", **_AUTO),
    "normalize_label": boolean("auto", **_AUTO),
    "num_calibration_samples": integer("10000000"),
    "num_models": integer("auto", **_AUTO),
    "num_point_for_scaler": integer("10000"),
    "optimizer": choice("auto", "sgd", "adam", "rmsprop", auto=True),
    "positive_example_weight_mult": number("1.0", 0, open_low=True, choices=("balanced",), **_AUTO),
    "quantile": number("0.5", **_FRACTION),
    "target_precision": number("0.8", **_FRACTION),
    "target_recall": number("0.8", **_FRACTION),
    "unbias_data": boolean("auto", **_AUTO),
    "unbias_label": boolean("auto", **_AUTO),
    "use_bias": boolean("true"),
    "use_lr_scheduler": boolean("true"),
    "wd": number("auto", 0, **_AUTO),
}

INERT = (
    "beta_1",
    "beta_2",
    "bias_lr_mult",
    "bias_wd_mult",
    "early_stopping_patience",
    "early_stopping_tolerance",
    "epochs",
    "init_bias",
    "init_method",
    "init_scale",
    "init_sigma",
    "learning_rate",
    "lr_scheduler_factor",
    "lr_scheduler_minimum_lr",
    "lr_scheduler_step",
    "mini_batch_size",
    "momentum",
    "num_calibration_samples",
    "num_point_for_scaler",
    "optimizer",
    "use_lr_scheduler",
)
"""How to descend: without consequence for a solver that goes to the minimum."""
