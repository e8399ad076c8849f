"""Image URIs as ``sagemaker.image_uris.retrieve`` gives them, taken apart.

``ACCOUNT.dkr.ecr.REGION.amazonaws.com[.cn]/REPOSITORY:TAG``, the account being one of AWS's own. Repository names and
tags are those of the SDK's image_uri_config files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from wildsage.images import algorithms

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>[a-z0-9.-]+)/(?P<path>.+)"
)


class Framework(StrEnum):
    """What an image is for; the value is part of setting names (WILDSAGE_PYTHON_<FRAMEWORK>)."""

    SKLEARN = "sklearn"
    XGBOOST = "xgboost"
    PYTORCH = "pytorch"
    TENSORFLOW = "tensorflow"
    HUGGINGFACE = "huggingface"
    ALGORITHMS = "algorithms"


class Role(StrEnum):
    """What an image can do."""

    TRAINING = "training"
    INFERENCE = "inference"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Location:
    """An image URI's parts; ``account`` and ``region`` are empty outside of ECR.

    One of ``tag`` and ``digest`` is set.
    """

    account: str
    region: str
    repository: str
    tag: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class FrameworkImage:
    """A framework's image. ``version`` is the framework's (``1.2-1``, ``2.3.0``), ``transformers`` Hugging Face's own.

    ``gpu`` and ``python`` (``py311``) are as the tag says; the last is empty where it does not. ``algorithm``: the
    built-in algorithm that the image runs where no script is given, or empty.
    """

    uri: str
    framework: Framework
    role: Role
    version: str
    python: str = ""
    gpu: bool = False
    transformers: str = ""
    algorithm: str = ""


_REPOSITORIES = {
    "sagemaker-scikit-learn": (Framework.SKLEARN, Role.BOTH),
    "sagemaker-xgboost": (Framework.XGBOOST, Role.BOTH),
    "sagemaker-pytorch": (Framework.PYTORCH, Role.BOTH),
    "pytorch-training": (Framework.PYTORCH, Role.TRAINING),
    "pytorch-inference": (Framework.PYTORCH, Role.INFERENCE),
    "pytorch-inference-graviton": (Framework.PYTORCH, Role.INFERENCE),
    "sagemaker-tensorflow-scriptmode": (Framework.TENSORFLOW, Role.TRAINING),
    "tensorflow-training": (Framework.TENSORFLOW, Role.TRAINING),
    "tensorflow-inference": (Framework.TENSORFLOW, Role.INFERENCE),
    "tensorflow-inference-graviton": (Framework.TENSORFLOW, Role.INFERENCE),
    "huggingface-pytorch-training": (Framework.HUGGINGFACE, Role.TRAINING),
    "huggingface-pytorch-inference": (Framework.HUGGINGFACE, Role.INFERENCE),
    "kmeans": (Framework.ALGORITHMS, Role.BOTH),
    "knn": (Framework.ALGORITHMS, Role.BOTH),
    "linear-learner": (Framework.ALGORITHMS, Role.BOTH),
    "pca": (Framework.ALGORITHMS, Role.BOTH),
    "randomcutforest": (Framework.ALGORITHMS, Role.BOTH),
    "xgboost": (Framework.XGBOOST, Role.BOTH),
}
_ALGORITHMS = ("kmeans", "knn", "linear-learner", "pca", "randomcutforest", "xgboost")


def locate(uri: str) -> Location:
    """``uri`` taken apart; never fails, since an image may be named in many ways."""
    match = _ECR.fullmatch(uri)
    account, region, path = (match["account"], match["region"], match["path"]) if match else ("", "", uri)
    path, _, digest = path.partition("@")
    repository, separator, tag = path.rpartition(":")
    if not separator or "/" in tag:
        repository, tag = path, "" if digest else "latest"
    return Location(account, region, repository, tag, digest)


def framework_image(uri: str) -> FrameworkImage | None:
    """What ``uri`` asks for if it names an AWS framework image; None if it does not."""
    location = locate(uri)
    if not location.account or location.repository not in _REPOSITORIES:
        return None
    framework, role = _REPOSITORIES[location.repository]
    if location.repository in _ALGORITHMS and location.account not in algorithms.ACCOUNTS:
        return None
    version, *rest = location.tag.split("-")
    transformers = ""
    if rest and framework in (Framework.SKLEARN, Framework.XGBOOST) and rest[0].isdigit():
        version = f"{version}-{rest.pop(0)}"
    for part in rest:
        if part.startswith("transformers"):
            transformers = part.removeprefix("transformers")
    python = next((part for part in rest if re.fullmatch(r"py\d+", part)), "")
    algorithm = location.repository if location.repository in _ALGORITHMS else ""
    if framework is Framework.XGBOOST:
        algorithm = "xgboost"
    return FrameworkImage(uri, framework, role, version, python, "gpu" in rest, transformers, algorithm)


def known() -> list[str]:
    """The repositories that are understood, for people to read."""
    return sorted(_REPOSITORIES)
