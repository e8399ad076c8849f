"""The user's inference script: where it is, what it needs, and its module."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

from .supervisor import log


class Place(NamedTuple):
    """``model``: the folder given to model_fn. ``code``: the script's. ``program``: its file name, or empty."""

    model: str
    code: str
    program: str


def find(environ: Mapping[str, str]) -> Place:
    """SAGEMAKER_PROGRAM in SAGEMAKER_SUBMIT_DIRECTORY (a local path), in the model's ``code``, or in /opt/ml/code.

    Without a program, ``inference.py`` is taken where it exists.
    """
    base = environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
    model = environ.get("SM_MODEL_DIR", f"{base}/model")
    given = environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "").removeprefix("file://")
    program = environ.get("SAGEMAKER_PROGRAM", "")
    folders = [folder for folder in (given, f"{model}/code", f"{base}/code") if folder and os.path.isdir(folder)]
    for folder in folders:
        if os.path.isfile(os.path.join(folder, program or "inference.py")):
            return Place(model, folder, program or "inference.py")
    return Place(model, folders[0] if folders else f"{model}/code", program)


def install(place: Place) -> int:
    """Installs the code's requirements.txt, if there is one; returns pip's exit status."""
    if not os.path.isfile(f"{place.code}/requirements.txt"):
        return 0
    log("Installing dependencies from requirements.txt")
    command = [sys.executable, "-m", "pip", "install", "-r", f"{place.code}/requirements.txt"]
    status = os.spawnv(os.P_WAIT, sys.executable, command)
    if status:
        log(
            "pip could not install requirements.txt. Without internet access, set PIP_INDEX_URL or PIP_FIND_LINKS "
            "in the model's Environment, or put the packages into the model's code folder."
        )
    return status


def load(place: Place) -> ModuleType | None:
    """Imports the script; None if there is none. Raises whatever the script raises."""
    if not place.program:
        return None
    path = os.path.join(place.code, place.program)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"SAGEMAKER_PROGRAM names {place.program}, which is not in {place.code}")
    for folder in (place.code, os.path.dirname(path)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return importlib.import_module(os.path.splitext(os.path.basename(path))[0])
