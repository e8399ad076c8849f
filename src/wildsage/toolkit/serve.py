"""Serves a model as AWS's framework images do: ``python serve.py``, run by its path under the user's interpreter.

Standard library only.  The parts are in ``serving/`` beside this file; they are loaded under a name of their own, and
this folder leaves ``sys.path``, so that nothing here can hide a module of the user's.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

_NAME = "_wildsage_serving"


def main() -> int:
    """Runs the model server; returns the exit status."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    if _NAME not in sys.modules:
        _load(folder)
    status: int = importlib.import_module(f"{_NAME}.server").main()
    return status


def preload(inside: str) -> None:
    """Imports all parts beforehand, in a process whose forks find this folder at ``inside``."""
    folder = os.path.dirname(os.path.abspath(__file__))
    _load(folder)
    for base, _, names in os.walk(os.path.join(folder, "serving")):
        package = os.path.relpath(base, folder).replace(os.sep, ".").replace("serving", _NAME, 1)
        for name in sorted(names):
            if name.endswith(".py") and name != "__init__.py":
                importlib.import_module(f"{package}.{name[:-3]}")
    sys.modules[_NAME].__path__[:] = [os.path.join(inside, "serving")]


def _load(folder: str) -> None:
    place = os.path.join(folder, "serving")
    spec = importlib.util.spec_from_file_location(
        _NAME, os.path.join(place, "__init__.py"), submodule_search_locations=[place]
    )
    assert spec is not None
    sys.modules[_NAME] = importlib.util.module_from_spec(spec)


if __name__ == "__main__":
    sys.exit(main())
