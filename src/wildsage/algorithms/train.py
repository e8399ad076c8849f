"""Trains a built-in algorithm: ``python train.py``, run by its path under the image's interpreter.

WILDSAGE_ALGORITHM          its name: that of the image's repository, or xgboost
WILDSAGE_ALGORITHM_VERSION  the image's version
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

PACKAGE = "_wildsage_algorithms"


def package() -> ModuleType:
    """This folder as a package of a name of its own; its modules can hide none of the libraries'."""
    found = sys.modules.get(PACKAGE)
    if found is None:
        folder = os.path.dirname(os.path.abspath(__file__))
        sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
        spec = importlib.util.spec_from_file_location(
            PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        if spec is None:
            raise ImportError(f"{folder} cannot be loaded")
        found = sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return found


def main() -> int:
    """Returns the exit status."""
    package()
    status: int = importlib.import_module(f"{PACKAGE}.container").main(os.environ)
    return status


if __name__ == "__main__":
    sys.exit(main())
