"""What models import: the front imports it too, once, and every model after that finds it in memory."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable

_MOST = 20000


def learned(before: Iterable[str]) -> list[str]:
    """The modules of the environment (not the user's own) that were imported since ``before``, in order."""
    known = set(before)
    places = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("purelib", "platlib", "stdlib")})
    return [
        name
        for name, module in list(sys.modules.items())[:_MOST]
        if name not in known and (getattr(module, "__file__", None) or "").startswith(places)
    ]


def learn(names: Iterable[str]) -> int:
    """Imports what is not imported yet; how many that were. What cannot be imported by itself is left to the models."""
    count = 0
    for name in names:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except Exception:
            continue
        count += 1
    return count
