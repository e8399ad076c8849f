"""Built-in algorithms: their own package, in the folder beside the toolkit's, answers the requests."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from .http import Answer, Handle, Request

_NAME = "_wildsage_algorithms"


def load(name: str, model_dir: str) -> Handle:
    """Loads the model of algorithm ``name``; raises what keeps it from being loaded."""
    toolkit = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    place = os.path.join(os.path.dirname(toolkit), "algorithms")
    spec = importlib.util.spec_from_file_location(
        _NAME, os.path.join(place, "__init__.py"), submodule_search_locations=[place]
    )
    assert spec is not None
    sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    answer = importlib.import_module(f"{_NAME}.serve").load(name, model_dir)

    def handle(request: Request) -> Answer:
        return Answer(*answer(request.body, request.headers))

    return handle
