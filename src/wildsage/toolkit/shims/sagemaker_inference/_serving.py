"""The model server's own modules, which live in the folder beside this one's parent."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType

_SERVING = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "serving")
_NAME = "_wildsage_serving"


def module(name: str) -> ModuleType:
    """The server's own one in a model server; elsewhere, say in a training script, one that is loaded now."""
    if _NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            _NAME, os.path.join(_SERVING, "__init__.py"), submodule_search_locations=[_SERVING]
        )
        assert spec is not None
        sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{_NAME}.{name}")
