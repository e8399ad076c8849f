"""A request's body that did not arrive at once: hashed while it comes, kept while there is room."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from wildsage.dataplane import answers


class Gathering:
    """A ``bulk.Sink``. ``hold`` is told of each byte that is kept, and raises where that is too much.

    ``most``: bytes a body may have; a longer one raises ValidationError. ``held``: bytes counted so far.
    """

    def __init__(self, most: int, hold: Callable[[int], None]) -> None:
        self._most = most
        self._hold = hold
        self._hash = hashlib.sha256()
        self.held = 0

    def room(self, size: int) -> None:
        if self.held + size > self._most:
            raise answers.oversize()
        self.held += size
        self._hold(size)

    def piece(self, data: bytes | memoryview) -> None:
        self._hash.update(data)

    def digest(self) -> str:
        """SHA-256 of what has come, in hexadecimal."""
        return self._hash.hexdigest()
