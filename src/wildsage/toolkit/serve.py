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
    place = os.path.join(folder, "serving")
    spec = importlib.util.spec_from_file_location(
        _NAME, os.path.join(place, "__init__.py"), submodule_search_locations=[place]
    )
    assert spec is not None
    sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    status: int = importlib.import_module(f"{_NAME}.server").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
