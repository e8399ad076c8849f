"""Whose turn it is to write the SQLite file, among processes.

SQLite's own wait for its write lock is a series of sleeps of up to 100 ms, so a process that writes all the time
starves any other.  A lock of the kernel's wakes who waits as soon as it is free, and a process that is killed gives up
its own.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Turn:
    """A lock beside the database at ``path``. A context manager that waits for it, or ``take`` and ``give``."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path.with_suffix(".turn"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, wait: bool = True) -> bool:
        """False if it is another's and ``wait`` is not wanted."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def give(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: object) -> None:
        self.give()
