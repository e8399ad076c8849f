"""Where botocore lies, whose data files are read here. To import it would cost more than to read most of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def _folder() -> Path:
    found = find_spec("botocore")
    if found is None or found.origin is None:
        raise ImportError("Wildsage reads AWS's service models from the package botocore. Install it with pip.")
    return Path(found.origin).parent


BOTOCORE = _folder()
