"""What stands in for each framework's image: the Python distributions it needs, and the variables its image sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wildsage.core.errors import ClientFault, SettingsError
from wildsage.images import uris
from wildsage.images.uris import Framework, FrameworkImage, Role


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to have a framework as a Python environment.

    ``main``: distributions any one of which is the framework itself, the usual one first (``xgboost-cpu`` is XGBoost
    without its half gigabyte of CUDA). ``needs``: distributions without which it is not complete. ``builds``: what pip
    installs where there is none yet, the main one in the version that is known to work. ``slim``: one of these that is
    installed first and by itself where WILDSAGE_TORCH_INDEX names an index that may have it without CUDA. ``module``:
    AWS's name for the framework's training entry, SM_FRAMEWORK_MODULE. ``sets``: variables of its containers.
    ``modules``: what scripts import of it, for processes that are kept ready. ``programs``: what the machine must have
    beside Python → how to get it.
    """

    framework: Framework
    title: str
    main: tuple[str, ...]
    needs: tuple[str, ...]
    builds: tuple[str, ...]
    slim: str = ""
    module: str = ""
    sets: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Of the framework, where it is built here."""
        return next(each.partition("==")[2] for each in self.builds if "==" in each)


_TORCH = "torch==2.13.0"
_SKLEARN = "scikit-learn==1.9.1"

_SKLEARN_MODULES = (
    *("numpy", "scipy.sparse", "scipy.special", "scipy.stats", "joblib", "pandas", "sklearn"),
    *(f"sklearn.{each}" for each in ("compose", "ensemble", "impute", "linear_model", "neighbors", "pipeline")),
    *(f"sklearn.{each}" for each in ("preprocessing", "svm", "tree")),
)

_RECIPES = {
    Framework.SKLEARN: Recipe(
        Framework.SKLEARN,
        "scikit-learn",
        ("scikit-learn",),
        ("numpy", "joblib", "pandas"),
        (_SKLEARN, "pandas"),
        module="sagemaker_sklearn_container.training:main",
        modules=_SKLEARN_MODULES,
    ),
    Framework.XGBOOST: Recipe(
        Framework.XGBOOST,
        "XGBoost",
        ("xgboost", "xgboost-cpu"),
        ("numpy",),
        ("xgboost-cpu==3.2.0", "scikit-learn", "pandas", "pyarrow"),
        module="sagemaker_xgboost_container.training:main",
        modules=("xgboost", *_SKLEARN_MODULES),
    ),
    Framework.PYTORCH: Recipe(
        Framework.PYTORCH,
        "PyTorch",
        ("torch",),
        ("numpy",),
        (_TORCH, "numpy"),
        slim=_TORCH,
        module="sagemaker_pytorch_container.training:main",
        modules=("numpy", "torch"),
    ),
    Framework.HUGGINGFACE: Recipe(
        Framework.HUGGINGFACE,
        "Hugging Face Transformers",
        ("transformers",),
        ("torch", "numpy"),
        ("transformers==5.23.0", "datasets", "accelerate", _TORCH, "numpy"),
        slim=_TORCH,
        module="sagemaker_pytorch_container.training:main",
    ),
    Framework.TENSORFLOW: Recipe(
        Framework.TENSORFLOW,
        "TensorFlow",
        ("tensorflow-cpu", "tensorflow"),
        ("numpy",),
        ("tensorflow-cpu==2.21.0",),
        module="sagemaker_tensorflow_container.training:main",
        sets={"TF_CPP_MIN_LOG_LEVEL": "2"},
    ),
    Framework.ALGORITHMS: Recipe(
        Framework.ALGORITHMS,
        "the built-in algorithms",
        ("scikit-learn",),
        ("numpy", "scipy"),
        (_SKLEARN,),
    ),
    # The newest Spark that SageMaker has an image of; Spark 4 changes what SQL means (ANSI mode).
    Framework.SPARK: Recipe(
        Framework.SPARK,
        "Spark",
        ("pyspark",),
        ("numpy",),
        ("pyspark==3.5.9", "pandas<3", "pyarrow", "numpy", "setuptools<81"),
        programs={"java": "Spark runs on Java 17, 11 or 8, say: apt-get install openjdk-17-jre-headless"},
    ),
    # No image of SageMaker's: what Lambda's Python runtimes have, the client of its Runtime API and boto3.
    Framework.LAMBDA: Recipe(
        Framework.LAMBDA,
        "Lambda functions in Python",
        ("awslambdaric",),
        ("boto3",),
        ("awslambdaric==4.2.2", "boto3"),
    ),
    # NVIDIA's own server runs where nvidia-pytriton is in the environment, too, and WILDSAGE_TRITON_ENGINE asks for it.
    Framework.TRITON: Recipe(
        Framework.TRITON,
        "Triton Inference Server",
        ("onnxruntime",),
        ("numpy",),
        ("onnxruntime==1.31.1", "numpy"),
    ),
}


def every() -> list[Recipe]:
    """All recipes."""
    return list(_RECIPES.values())


def named(name: str) -> Recipe:
    """The recipe of a framework; raises SettingsError."""
    if name not in list(Framework):
        raise SettingsError(f"{name} is not among the environments known here: {', '.join(Framework)}.")
    return _RECIPES[Framework(name)]


def recipe_for(uri: str, role: Role) -> tuple[FrameworkImage, Recipe]:
    """The framework image that ``uri`` names and its recipe.

    ``role``: what it is to be used for, TRAINING, INFERENCE or PROCESSING. Raises ClientFault, with what is known
    and what to do.
    """
    image = uris.framework_image(uri)
    if image is None:
        if words := uris.why_refused(uri):
            raise ClientFault(f"ClientError: The image {uri} cannot be run here. {words}")
        raise ClientFault(
            f"ClientError: The image {uri} is none of AWS's framework and algorithm images that need no container "
            f"engine, in any region and version ('wildsage images' shows what they run): {', '.join(uris.known())}."
        )
    # Any image can run a script: processing jobs take those for training and for inference as well.
    if role is not Role.PROCESSING and image.role not in (role, Role.BOTH):
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
        **recipe.sets,
    }
