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

_HUB, _LIBRARY = "docker.io/", "library/"


class Framework(StrEnum):
    """What an image is for; the value is part of setting names (WILDSAGE_PYTHON_<FRAMEWORK>)."""

    SKLEARN = "sklearn"
    XGBOOST = "xgboost"
    PYTORCH = "pytorch"
    TENSORFLOW = "tensorflow"
    HUGGINGFACE = "huggingface"
    ALGORITHMS = "algorithms"
    SPARK = "spark"
    LAMBDA = "lambda"
    TRITON = "triton"


class Role(StrEnum):
    """What an image can do."""

    TRAINING = "training"
    INFERENCE = "inference"
    BOTH = "both"
    PROCESSING = "processing"


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


# NVIDIA's own image has SageMaker's ``serve`` as well.
NVIDIA_TRITON = "nvcr.io/nvidia/tritonserver"
_REPOSITORIES = {
    "sagemaker-scikit-learn": (Framework.SKLEARN, Role.BOTH),
    "sagemaker-xgboost": (Framework.XGBOOST, Role.BOTH),
    "sagemaker-pytorch": (Framework.PYTORCH, Role.BOTH),
    "pytorch-training": (Framework.PYTORCH, Role.TRAINING),
    "pytorch-inference": (Framework.PYTORCH, Role.INFERENCE),
    "pytorch-inference-graviton": (Framework.PYTORCH, Role.INFERENCE),
    "sagemaker-tensorflow-scriptmode": (Framework.TENSORFLOW, Role.TRAINING),
    "sagemaker-tensorflow-serving": (Framework.TENSORFLOW, Role.INFERENCE),
    "tensorflow-training": (Framework.TENSORFLOW, Role.TRAINING),
    "tensorflow-inference": (Framework.TENSORFLOW, Role.INFERENCE),
    "tensorflow-inference-graviton": (Framework.TENSORFLOW, Role.INFERENCE),
    "huggingface-pytorch-training": (Framework.HUGGINGFACE, Role.TRAINING),
    "huggingface-pytorch-inference": (Framework.HUGGINGFACE, Role.INFERENCE),
    "sagemaker-spark-processing": (Framework.SPARK, Role.PROCESSING),
    "sagemaker-tritonserver": (Framework.TRITON, Role.INFERENCE),
    NVIDIA_TRITON: (Framework.TRITON, Role.INFERENCE),
    "kmeans": (Framework.ALGORITHMS, Role.BOTH),
    "knn": (Framework.ALGORITHMS, Role.BOTH),
    "linear-learner": (Framework.ALGORITHMS, Role.BOTH),
    "pca": (Framework.ALGORITHMS, Role.BOTH),
    "randomcutforest": (Framework.ALGORITHMS, Role.BOTH),
    "xgboost": (Framework.XGBOOST, Role.BOTH),
}
_INSTEAD = "is not part of Wildsage: use huggingface-pytorch-inference."
# Images that no Python environment stands in for: their repositories → why, and what to use instead.
_REFUSED = (
    (".+-eia", "AWS retired Elastic Inference in April 2023: use the framework's own inference image."),
    (".+-neuronx?", "It is for AWS's Trainium and Inferentia chips: use the framework's image for CPUs or GPUs."),
    (".+-trcomp-training", "AWS retired the Training Compiler: use the framework's own training image."),
    ("huggingface-pytorch-tgi-inference", f"Text Generation Inference {_INSTEAD}"),
    ("huggingface-tensorflow-.+", "transformers gave TensorFlow up: use the huggingface-pytorch image of its kind."),
    ("huggingface-vllm-.+", f"vLLM {_INSTEAD}"),
    ("djl-inference", f"The Deep Java Library {_INSTEAD}"),
    ("tei(-cpu)?", f"Text Embeddings Inference {_INSTEAD}"),
    ("(sagemaker-)?mxnet(-.+)?", "Apache MXNet was given up in 2023; no Python in use here has a release of it."),
    ("sagemaker-chainer", "Chainer was given up in 2019; no Python in use here has a release of it."),
    ("sagemaker-tensorflow", "It is TensorFlow for Python 2: use tensorflow-training or tensorflow-inference."),
)
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


def repository_of(uri: str) -> str:
    """``uri`` without its tag or digest."""
    path, location = uri.partition("@")[0], locate(uri)
    return path.removesuffix(f":{location.tag}") if location.tag else path


def common_name(uri: str) -> str:
    """``repository_of`` as most people write it: names of Docker's hub do without what Podman begins them with."""
    return repository_of(uri).removeprefix(_HUB).removeprefix(_LIBRARY)


def framework_image(uri: str) -> FrameworkImage | None:
    """What ``uri`` asks for if it names an AWS framework image; None if it does not."""
    location = locate(uri)
    known_here = location.account or location.repository == NVIDIA_TRITON
    if not known_here or location.repository not in _REPOSITORIES:
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


def repositories(framework: Framework) -> list[str]:
    """The repositories of one framework's images."""
    return sorted(name for name, (each, _) in _REPOSITORIES.items() if each is framework)


def why_refused(uri: str) -> str:
    """For an image of AWS's that is known and cannot be run: why, and what to use instead. Empty for all others."""
    location = locate(uri)
    if not location.account or location.repository in _REPOSITORIES:
        return ""
    return next((words for pattern, words in _REFUSED if re.fullmatch(pattern, location.repository)), "")
