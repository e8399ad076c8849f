"""What stands in for each framework's image: the Python distributions it needs, and the variables its image sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core.errors import ClientFault
from wildsage.images import uris
from wildsage.images.uris import Framework, FrameworkImage, Role


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to have a framework as a Python environment.

    ``main``: distributions any one of which is the framework itself, the usual one first (``xgboost-cpu`` is XGBoost
    without its half gigabyte of CUDA). ``needs``: distributions without which it is not complete. ``builds``: what pip
    installs where there is none yet. ``index``: a package index to prefer for the build. ``module``: AWS's name for the
    framework's training entry, SM_FRAMEWORK_MODULE.
    """

    framework: Framework
    title: str
    main: tuple[str, ...]
    needs: tuple[str, ...]
    builds: tuple[str, ...]
    index: str = ""
    module: str = ""


_TORCH_WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu"

_RECIPES = {
    Framework.SKLEARN: Recipe(
        Framework.SKLEARN,
        "scikit-learn",
        ("scikit-learn",),
        ("numpy", "joblib"),
        ("scikit-learn", "pandas"),
        module="sagemaker_sklearn_container.training:main",
    ),
    Framework.XGBOOST: Recipe(
        Framework.XGBOOST,
        "XGBoost",
        ("xgboost", "xgboost-cpu"),
        ("numpy",),
        ("xgboost-cpu", "scikit-learn", "pandas", "pyarrow"),
        module="sagemaker_xgboost_container.training:main",
    ),
    Framework.PYTORCH: Recipe(
        Framework.PYTORCH,
        "PyTorch",
        ("torch",),
        ("numpy",),
        ("torch", "numpy"),
        index=_TORCH_WITHOUT_CUDA,
        module="sagemaker_pytorch_container.training:main",
    ),
    Framework.HUGGINGFACE: Recipe(
        Framework.HUGGINGFACE,
        "Hugging Face Transformers",
        ("transformers",),
        ("torch", "numpy"),
        ("transformers", "datasets", "accelerate", "torch", "numpy"),
        index=_TORCH_WITHOUT_CUDA,
        module="sagemaker_pytorch_container.training:main",
    ),
    Framework.TENSORFLOW: Recipe(
        Framework.TENSORFLOW,
        "TensorFlow",
        ("tensorflow", "tensorflow-cpu"),
        ("numpy",),
        ("tensorflow-cpu",),
        module="sagemaker_tensorflow_container.training:main",
    ),
    Framework.ALGORITHMS: Recipe(
        Framework.ALGORITHMS,
        "the built-in algorithms",
        ("scikit-learn",),
        ("numpy", "scipy"),
        ("scikit-learn",),
    ),
}


def recipe_for(uri: str, role: Role) -> tuple[FrameworkImage, Recipe]:
    """The framework image that ``uri`` names and its recipe.

    ``role``: what it is to be used for, TRAINING or INFERENCE. Raises ClientFault, with what is known and what to do.
    """
    image = uris.framework_image(uri)
    if image is None:
        raise ClientFault(
            f"ClientError: The image {uri} cannot be run without a container engine. Images known here are AWS's "
            f"framework and algorithm images, in any region and version: {', '.join(uris.known())}. Use one of them as "
            "sagemaker.image_uris.retrieve gives it, or see 'wildsage doctor' for how to run any image with an engine."
        )
    if image.role not in (role, Role.BOTH):
        raise ClientFault(f"ClientError: The image {uri} is for {image.role}, not for {role}.")
    return image, _RECIPES[image.framework]


def notice(image: FrameworkImage, recipe: Recipe, versions: Mapping[str, str]) -> str:
    """The sentence for a job's log: which version was asked for and which really runs.

    ``versions``: versions of the environment's distributions by their names, and Python's own as ``python``.
    """
    main = next((name for name in recipe.main if name in versions), recipe.main[0])
    if image.framework is Framework.ALGORITHMS:
        return (
            f"[wildsage] The image asks for Amazon's built-in algorithm {image.algorithm}; what runs is Wildsage's on "
            f"{main} {versions.get(main, 'of an unknown version')} and Python {versions['python']}, from this machine."
        )
    asked = image.transformers or image.version
    device = " for GPUs" if image.gpu else ""
    return (
        f"[wildsage] The image asks for {recipe.title} {asked}{device}; what runs is {main} "
        f"{versions.get(main, 'of an unknown version')} on Python {versions['python']}, from this machine."
    )


def variables(image: FrameworkImage, recipe: Recipe) -> dict[str, str]:
    """What the framework's own image sets for the processes in it."""
    algorithm = {"WILDSAGE_ALGORITHM": image.algorithm, "WILDSAGE_ALGORITHM_VERSION": image.version}
    return {
        **(algorithm if image.algorithm else {}),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "SAGEMAKER_TRAINING_MODULE": recipe.module,
        "WILDSAGE_FRAMEWORK": recipe.framework.value,
    }
