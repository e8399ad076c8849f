"""Image URIs as the SDK makes them."""

from __future__ import annotations

import pytest

from wildsage.core.errors import ClientFault, SettingsError
from wildsage.images.recipes import every, named, notice, recipe_for
from wildsage.images.uris import Framework, Role, framework_image, known, locate

_DLC = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("uri", "framework", "role", "version", "python", "gpu"),
    [
        (
            "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            *(Framework.SKLEARN, Role.BOTH, "1.2-1", "py3", False),
        ),
        (
            "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-scikit-learn:0.20.0-cpu-py3",
            *(Framework.SKLEARN, Role.BOTH, "0.20.0", "py3", False),
        ),
        (
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            *(Framework.XGBOOST, Role.BOTH, "1.7-1", "", False),
        ),
        (f"{_DLC}/pytorch-training:2.3-cpu-py311", Framework.PYTORCH, Role.TRAINING, "2.3", "py311", False),
        (f"{_DLC}/pytorch-inference:1.4.0-gpu-py3", Framework.PYTORCH, Role.INFERENCE, "1.4.0", "py3", True),
        (
            f"{_DLC}/pytorch-training:2.8.0-gpu-py312-cu129-ubuntu22.04-sagemaker",
            *(Framework.PYTORCH, Role.TRAINING, "2.8.0", "py312", True),
        ),
        (
            f"{_DLC}/sagemaker-tritonserver:25.09-py3-cpu",
            *(Framework.TRITON, Role.INFERENCE, "25.09", "py3", False),
        ),
        ("nvcr.io/nvidia/tritonserver:23.02-py3", Framework.TRITON, Role.INFERENCE, "23.02", "py3", False),
        (f"{_DLC}/tensorflow-training:2.14-cpu-py310", Framework.TENSORFLOW, Role.TRAINING, "2.14", "py310", False),
    ],
)
def test_framework_images(uri: str, framework: Framework, role: Role, version: str, python: str, gpu: bool) -> None:
    image = framework_image(uri)
    assert image is not None
    assert (image.framework, image.role, image.version) == (framework, role, version)
    assert (image.python, image.gpu) == (python, gpu)


def test_hugging_face() -> None:
    image = framework_image(f"{_DLC}/huggingface-pytorch-training:2.0.0-transformers4.28.1-gpu-py310-cu118-ubuntu20.04")
    assert image is not None
    assert (image.framework, image.version, image.transformers) == (Framework.HUGGINGFACE, "2.0.0", "4.28.1")


@pytest.mark.parametrize(
    "uri",
    [
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/kmeans:1",
        "busybox",
        "sagemaker-scikit-learn:1.2-1",
        "a/b@sha256:0",
    ],
)
def test_other_images_are_refused_with_what_to_do(uri: str) -> None:
    assert framework_image(uri) is None
    with pytest.raises(ClientFault, match="wildsage images") as caught:
        recipe_for(uri, Role.TRAINING)
    assert all(repository in str(caught.value) for repository in known())


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("mxnet-training:1.9.0-cpu-py38", "MXNet"),
        ("tensorflow-inference-eia:2.3.0-cpu", "Elastic Inference"),
        ("huggingface-pytorch-inference-neuronx:2.1.2-transformers4.43.2-neuronx-py310", "Trainium"),
        ("huggingface-pytorch-tgi-inference:2.4.0-tgi3.3.6-gpu-py311", "huggingface-pytorch-inference"),
        ("huggingface-tensorflow-inference:2.11.0-transformers4.26.0-cpu-py39", "gave TensorFlow up"),
        ("tei-cpu:2.0.1-tei1.8.2-cpu-py310", "Text Embeddings"),
    ],
)
def test_images_that_nothing_stands_in_for(repository: str, words: str) -> None:
    with pytest.raises(ClientFault, match=words):
        recipe_for(f"{_DLC}/{repository}", Role.INFERENCE)


def test_every_recipe_says_which_version_it_builds() -> None:
    assert all(recipe.version for recipe in every())
    assert {named(framework).framework for framework in Framework} == set(Framework)
    with pytest.raises(SettingsError, match="sklearn, xgboost"):
        named("caffe")


def test_an_image_for_the_other_role() -> None:
    with pytest.raises(ClientFault, match="for inference, not for training"):
        recipe_for(f"{_DLC}/pytorch-inference:2.3-cpu-py311", Role.TRAINING)


def test_locate() -> None:
    assert locate("localhost:5000/a/b").tag == "latest"
    assert locate("localhost:5000/a/b:3").repository == "localhost:5000/a/b"
    digest = locate("123456789012.dkr.ecr.us-east-1.amazonaws.com/mine@sha256:abc")
    assert (digest.account, digest.region, digest.repository, digest.tag) == ("123456789012", "us-east-1", "mine", "")
    assert digest.digest == "sha256:abc"


def test_the_notice_names_both_versions() -> None:
    image, recipe = recipe_for("141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1", Role.TRAINING)
    assert notice(image, recipe, {"xgboost-cpu": "3.0.1", "python": "3.11.7"}) == (
        "[wildsage] The image asks for XGBoost 1.7-1; what runs is xgboost-cpu 3.0.1 on Python 3.11.7, "
        "from this machine."
    )
