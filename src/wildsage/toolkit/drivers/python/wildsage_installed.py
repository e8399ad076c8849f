"""Finds the package that a stand-in has the name of, where one is installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder

_HERE = os.path.dirname(os.path.abspath(__file__))


def take_over(name: str, remedy: str) -> None:
    """Puts the real package in the stand-in's place. Raises ModuleNotFoundError, with what to do about it."""
    places = [path for path in sys.path if os.path.abspath(path) != _HERE]
    spec = PathFinder.find_spec(name, places)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}. {remedy}", name=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
