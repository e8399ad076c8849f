"""Room on the disk that is kept free of everything but the end of what filled it.

A job that fills the disk can be failed and its folder removed only if the database can still be written.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

SIZE = 4 << 20
_LOOK_EVERY = 5.0  # seconds


class Reserve:
    """A file of SIZE bytes; there is none where the disk has less than three times as much to give."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = False
        self._looked = -_LOOK_EVERY
        self.take()

    def take(self) -> None:
        """Takes the room again if there is enough; looks only every few seconds."""
        now = time.monotonic()
        if self._held or now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < 3 * SIZE:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, SIZE)
            self._held = True
        except OSError:  # somebody was faster with the rest of the disk: later
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def give(self) -> bool:
        """Gives the room to whoever writes next; False if there is none left to give."""
        held, self._held = self._held, False
        self._path.unlink(missing_ok=True)
        return held
