"""Whether there is memory for one more model: what models hold by themselves, against what the container may use.

WILDSAGE_MEMORY_BYTES  what the container may use; without it, models are not counted by their memory
WILDSAGE_MOST_MODELS   how many models may be loaded at once, whatever they hold
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from .model import Model, private_bytes

_SPARED = 0.1  # of the memory: requests need some, and beyond the limit the whole container is killed
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Memory:
    """What one container may use."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._limit = _number(environ, "WILDSAGE_MEMORY_BYTES") * (1 - _SPARED)
        self._most = _number(environ, "WILDSAGE_MOST_MODELS")
        self._turn = 0

    def has_room(self, models: Iterable[Model]) -> bool:
        """Whether another as large as the largest may be tried; the first always may."""
        known = list(models)
        if self._most and len(known) >= self._most:
            return False
        if not self._limit or not known:
            return True
        if self._used(known) > self._limit / 2:
            self._look_again(known)
        largest = max(each.private for each in known)
        loading = sum(1 for each in known if not each.loaded)
        return self._used(known) + largest * (1 + loading) <= self._limit

    def exceeded(self, models: Iterable[Model]) -> bool:
        return bool(self._limit) and self._used(models) > self._limit

    def _look_again(self, known: list[Model]) -> None:
        """Models grow while they answer; one of them is measured each time another wants in, which is not cheap."""
        self._turn += 1
        each = known[self._turn % len(known)]
        if each.loaded:
            each.private = private_bytes(each.pid)

    def _used(self, models: Iterable[Model]) -> int:
        return _resident() + sum(each.private for each in models)


def _resident() -> int:
    """Of this process, which models share."""
    with open("/proc/self/statm", encoding="ascii") as numbers:
        return int(numbers.read().split()[1]) * _PAGE


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isdigit() else 0
