"""How much of a container's log nobody has taken over yet, for whoever writes it: a keeper, an engine's attendant."""

from __future__ import annotations

import os

TAKEN = "log.taken"
"""Beside the log: the position before which control has all of it (``sandbox.log.release`` writes it)."""
MOST = 1 << 28
"""Bytes that may wait to be taken over; a container that has written more waits until it is half of that."""
_DIGITS = 20


def written(position: int) -> bytes:
    """What the file holds: always as long, so that it is written in one go."""
    return b"%0*d" % (_DIGITS, position)


class Backlog:
    """Of the log that is open as ``log``, in the folder that is open as ``directory``."""

    def __init__(self, directory: int, log: int) -> None:
        self._directory = directory
        self._log = log
        self._taken = 0
        self._full = False
        self._size = 0
        self.grown = 0

    def full(self) -> bool:
        """Whether the container has to wait. ``grown``: by how much the log has grown since the last look."""
        size = os.fstat(self._log).st_size
        self.grown, self._size = size - self._size, size
        most = MOST // 2 if self._full else MOST
        if size - self._taken > most:
            self._taken = self._read()
        self._full = size - self._taken > most
        return self._full

    def _read(self) -> int:
        try:
            file = os.open(TAKEN, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        except OSError:
            return 0  # nothing was taken yet, or the folder is gone
        try:
            return int(os.read(file, _DIGITS) or b"0")
        finally:
            os.close(file)
