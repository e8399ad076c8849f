"""Whether a process that has loaded a model may be forked, and what each fork must do before it works."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Iterable


def sockets() -> frozenset[str]:
    """The sockets that this process has open, as the kernel names them."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the listing's own
            continue
        if target.startswith("socket:"):
            found.add(target)
    return frozenset(found)


def obstacle(before: Iterable[str]) -> str:
    """Why this process cannot be forked; empty if it can. ``before``: the sockets it had before the model was loaded.

    A fork has one thread alone: what others hold stays locked for ever. A connection that several processes read and
    write is of no use to any of them, nor is a context on a GPU.
    """
    threads = len(os.listdir("/proc/self/task")) - 1
    if threads:
        return f"{threads} thread(s) of its own run once it is loaded"
    if opened := sockets() - frozenset(before):
        return f"{len(opened)} connection(s) stay open once it is loaded"
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is not None and cuda.is_initialized():
        return "it is on a GPU"
    return ""


def settle() -> None:
    """In the process to be forked: what lives now stays, so the collector need not touch, hence copy, it."""
    gc.collect()
    gc.freeze()


def reseed() -> None:
    """In a fork: or all of them would draw the same random numbers."""
    random.seed()
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and "numpy.random" in sys.modules:
        numpy.random.seed(int.from_bytes(os.urandom(4), "little"))
    if torch is not None:
        torch.seed()
