"""What the pool and its workers know of one another without a word: a page of shared memory."""

from __future__ import annotations

import mmap
import struct
import time

MOST = 200
"""Workers of one pool; no endpoint may have a higher MaxConcurrency."""

IDLE, BUSY, ANSWERING = 0, 1, 2
_HEAD = struct.Struct("<I")
_PLACE = struct.Struct("<Bd")
_WIDTH = 16


class Board:
    """``provisioned``: how many workers are kept; it outlives a template that has to be loaded again."""

    def __init__(self, provisioned: int) -> None:
        self._memory = mmap.mmap(-1, _WIDTH * (MOST + 1))
        self.provisioned = provisioned

    @property
    def provisioned(self) -> int:
        return int(_HEAD.unpack_from(self._memory)[0])

    @provisioned.setter
    def provisioned(self, count: int) -> None:
        _HEAD.pack_into(self._memory, 0, min(count, MOST))

    def note(self, place: int, state: int) -> None:
        """What the worker at ``place`` does from now on."""
        _PLACE.pack_into(self._memory, _WIDTH * (place + 1), state, time.monotonic())

    def seen(self, place: int) -> tuple[int, float]:
        """What it does, and since when (``monotonic``)."""
        state, since = _PLACE.unpack_from(self._memory, _WIDTH * (place + 1))
        return int(state), float(since)
