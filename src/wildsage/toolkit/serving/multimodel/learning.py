"""What models import: the front imports it too, once, and every model after that finds it in memory."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import sysconfig
from collections.abc import Iterable


def learned(before: int) -> list[str]:
    """The modules of the environment (not the user's own) that were imported since there were ``before``, in order.

    Only these are looked at: whatever a forked process touches, it copies.
    """
    places = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("purelib", "platlib", "stdlib")})
    names = list(itertools.islice(reversed(sys.modules), max(len(sys.modules) - before, 0)))
    files = ((name, getattr(sys.modules[name], "__file__", None) or "") for name in reversed(names))
    return [name for name, file in files if file.startswith(places)]


def learn(names: Iterable[str]) -> int:
    """Imports what is not imported yet; how many that were. What cannot be imported by itself is left to the models."""
    count = 0
    for name in names:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except Exception:  # a module may only work where the user's code imported another before
            continue
        count += 1
    return count
