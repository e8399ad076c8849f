"""Amazon's built-in algorithms: the accounts their images come from, and the metrics SageMaker defines for them.

Sources: the SDK's image_uri_config files; DescribeTrainingJob of jobs on AWS; the "Tune a … model" pages of the
Developer Guide.
"""

from __future__ import annotations

ACCOUNTS = frozenset(
    """
    104374241257 106583098589 108575199400 124985052026 174872318107 190319476487 226302683700 237065988967
    249704162688 257386234256 272398656194 286214385809 306986355934 351501993468 382416733822 387376663083
    390948362332 404615174143 433757028032 438346466558 455444449433 469771592824 475088953585 490574956308
    501404015308 544295431143 628508329040 632365934929 644912444149 664544806723 669576153137 680994064768
    685385470294 712309505854 749696950732 765400339828 811284229777 813361260812 825641698319 835164637446
    855470959533 867004704886 898809789911 951798379941 991648021394
    """.split()  # noqa: SIM905
)
"""Of the first algorithms' images in all regions. Their names are everyday words, and anybody may have a ``kmeans``."""

_PROGRESS = {
    "train:progress": r"#progress_metric: host=\S+, completed (\S+) %",
    "train:throughput": r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
}
_CLASSIFIER_SCORES = (
    "binary_classification_accuracy",
    "precision",
    "recall",
    "multiclass_accuracy",
    "macro_precision",
    "macro_recall",
    "dcg",
)
_F_SCORES = {
    "binary_f_beta": "binary_f_",
    "macro_f_beta": "macro_f_",
    "multiclass_top_k_accuracy": "multiclass_top_k_accuracy_",
}
_XGBOOST_MEASURES = (  # noqa: SIM905
    "accuracy auc aucpr balanced_accuracy f1 f1_binary f1_macro map ndcg precision r2 recall precision_macro "
    "precision_micro recall_macro recall_micro aft-nloglik cox-nloglik error gamma-deviance gamma-nloglik "
    "interval-regression-accuracy logloss mae mape merror mlogloss mphe mse poisson-nloglik rmse rmsle tweedie-nloglik"
).split()


def _quality(data: str, name: str, kind: str) -> str:
    return rf"#quality_metric: host=\S+, {data} {name} <{kind}>=(\S+)"


def _linear_learner() -> dict[str, str]:
    found = dict(_PROGRESS)
    for data in ("train", "validation", "test"):
        for name in _CLASSIFIER_SCORES:
            found[f"{data}:{name}"] = _quality(data, name, "score")
        for name, prefix in _F_SCORES.items():
            found[f"{data}:{name}"] = _quality(data, rf"{prefix}\S+", "score")
        for name in ("mse", "absolute_loss"):
            found[f"{data}:{name}"] = _quality(data, name, "loss")
        objective = _quality(data, r"\S+_objective", "loss")
        if data == "test":
            found["test:objective_loss"] = objective
            continue
        found[f"{data}:objective_loss"] = rf"#quality_metric: host=\S+, epoch=\S+, {data} \S+_objective <loss>=(\S+)"
        found[f"{data}:objective_loss:final"] = objective
    return found


def _xgboost() -> dict[str, str]:
    number = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
    return {
        f"{data}:{name}": rf".*\[[0-9]+\].*#011{data}-{name}:{number}.*"
        for data in ("train", "validation")
        for name in _XGBOOST_MEASURES
    }


_METRICS = {
    "kmeans": {
        **_PROGRESS,
        **{f"{data}:{name}": _quality(data, name, "loss") for data in ("train", "test") for name in ("msd", "ssd")},
    },
    "knn": {
        **_PROGRESS,
        "test:accuracy": _quality("test", "accuracy", "score"),
        "test:mse": _quality("test", "mse", "loss"),
    },
    "linear-learner": _linear_learner(),
    "pca": _PROGRESS,
    "randomcutforest": {
        **_PROGRESS,
        **{f"test:{name}": _quality("test", name, "score") for name in ("accuracy", "precision", "recall", "f1")},
    },
    "xgboost": _xgboost(),
}


def metric_definitions(algorithm: str) -> list[dict[str, str]]:
    """AlgorithmSpecification.MetricDefinitions as SageMaker fills it in. ``algorithm``: FrameworkImage.algorithm."""
    return [{"Name": name, "Regex": regex} for name, regex in _METRICS[algorithm].items()]
