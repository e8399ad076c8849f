"""How a native image is run: the commands, mounts and variables of a container made from an environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import wildsage
from wildsage.core.errors import InternalFault
from wildsage.images.environments import Environment
from wildsage.images.recipes import Recipe, variables
from wildsage.images.uris import Framework, FrameworkImage
from wildsage.runtimes.base import Inside, Mount


def toolkit_mounts() -> tuple[Mount, ...]:
    """What of Wildsage such a container runs under its own interpreter: the toolkit, the built-in algorithms."""
    package = Path(wildsage.__file__).parent
    return (
        Mount(package / "toolkit", Inside.TOOLKIT, read_only=True),
        Mount(package / "algorithms", Inside.ALGORITHMS, read_only=True),
    )


def train_command(environment: Environment) -> tuple[str, ...]:
    """What an image's ``train`` does."""
    return (str(environment.python), f"{Inside.TOOLKIT}/train.py")


def serve_command(environment: Environment) -> tuple[str, ...]:
    """What an image's ``serve`` does."""
    return (str(environment.python), f"{Inside.TOOLKIT}/serve.py")


def preload(recipe: Recipe) -> tuple[str, ...]:
    """What a model server of that framework imports before it comes to the user's code (``LaunchSpec.preload``)."""
    script = Path(wildsage.__file__).parent / "toolkit" / "serve.py"
    return (*recipe.modules, f"{script}={Inside.TOOLKIT}") if recipe.modules else ()


def environment_variables(image: FrameworkImage, recipe: Recipe, environment: Environment) -> dict[str, str]:
    """What the image itself sets; the job's own variables go on top."""
    programs = f"{Inside.TOOLKIT}/bin:" if recipe.framework is Framework.SPARK else ""
    path = f"{programs}{environment.path}"
    return {**variables(image, recipe), "PATH": path, "PYTHONPATH": f"{Inside.TOOLKIT}/shims"}


def check_programs(recipe: Recipe) -> None:
    """Raises InternalFault for what the machine lacks beside Python."""
    for program, remedy in recipe.programs.items():
        if shutil.which(program) is None:
            raise InternalFault(
                f"InternalServerError: {recipe.title} needs {program}, which this machine does not have. {remedy}"
            )
