"""What CreateTrainingJob knows of Amazon's built-in algorithms."""

from __future__ import annotations

import re
from typing import Any

import pytest

from wildsage.images.algorithms import metric_definitions
from wildsage.images.uris import framework_image
from wildsage.runtimes.base import Inspection, Phase
from wildsage.services.sagemaker.instance import reasons
from wildsage.services.sagemaker.training import rules

_KMEANS = "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"
_XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


@pytest.mark.parametrize(
    ("image", "more", "algorithm"),
    [
        (_KMEANS, {}, "kmeans"),
        ("387376663083.dkr.ecr.cn-northwest-1.amazonaws.com.cn/linear-learner:1", {}, "linear-learner"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", {}, "xgboost"),
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com/kmeans:1", {}, ""),
        (_XGBOOST, {}, "xgboost"),
        (_XGBOOST, {"HyperParameters": {"sagemaker_program": '"train.py"'}}, ""),
        (_XGBOOST, {"Environment": {"SAGEMAKER_PROGRAM": "train.py"}}, ""),
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1", {}, ""),
    ],
)
def test_which_jobs_run_a_built_in_algorithm(image: str, more: dict[str, Any], algorithm: str) -> None:
    assert rules.built_in({"AlgorithmSpecification": {"TrainingImage": image}, **more}) == algorithm


def test_an_entry_point_of_ones_own_is_no_built_in_algorithm() -> None:
    specification = {"TrainingImage": _XGBOOST, "ContainerEntrypoint": ["python", "train.py"]}
    assert rules.built_in({"AlgorithmSpecification": specification}) == ""


def test_the_version_is_known() -> None:
    image = framework_image(_XGBOOST)
    assert image is not None
    assert (image.algorithm, image.version) == ("xgboost", "1.7-1")


@pytest.mark.parametrize("algorithm", ["kmeans", "knn", "linear-learner", "pca", "randomcutforest", "xgboost"])
def test_metric_definitions_are_what_the_api_takes(algorithm: str) -> None:
    found = metric_definitions(algorithm)
    assert len({each["Name"] for each in found}) == len(found)
    for each in found:
        assert re.compile(each["Regex"]).groups == 1
        assert len(each["Name"]) <= 255
        assert len(each["Regex"]) <= 500


@pytest.mark.parametrize(
    ("failure", "code", "reason"),
    [
        ("ClientError: no such thing", 2, "ClientError: no such thing, exit code: 2"),
        ("ClientError: of one's own", 1, "AlgorithmError: ClientError: of one's own, exit code: 1"),
        ("it broke", 2, "AlgorithmError: it broke, exit code: 2"),
    ],
)
def test_who_is_at_fault(failure: str, code: int, reason: str) -> None:
    found = Inspection(Phase.EXITED, code)
    assert reasons.of_container(found, failure, [], "ml.m5.large", "training") == reason
