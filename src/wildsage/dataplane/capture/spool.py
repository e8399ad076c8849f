"""Captured records in files of this machine, from where control ships them (``core.captures`` says what they are like).

Everything here blocks: it runs in a thread of its own.
"""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from wildsage.core.captures import MOST_SPOOLED, OPEN, READY
from wildsage.dataplane.capture.records import Record, pieces

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 5.0  # a file is added to
_LARGEST_BYTES = 8 * 1024 * 1024
_LEFT_TO_OTHERS = 256 * 1024 * 1024  # bytes of the disk that captures do not touch
_HOUR = 3600


@dataclass(slots=True)
class Finished:
    """A record of the file that begins with ``origin``: the line, or a large record yet to be made one."""

    origin: bytes
    at: float
    content: bytes | Record

    def pieces(self) -> Iterator[bytes]:
        return iter((self.content,)) if isinstance(self.content, bytes) else pieces(self.content)


class SpoolFull(OSError):
    """There is no room for what is captured."""


class Spool:
    """The files of one router. ``most``: bytes of all files of the folder, of whichever router, that may wait."""

    def __init__(self, folder: Path, most: int = MOST_SPOOLED) -> None:
        self._folder = folder
        self._most = most
        self._files: dict[tuple[bytes, int], _File] = {}
        self._troubled = False

    def write(self, batch: Iterable[Finished]) -> list[Finished]:
        """Appends records and closes files that are old or large enough; returns those that could not be kept."""
        parts: dict[tuple[bytes, int], list[Finished]] = {}
        for each in batch:
            parts.setdefault((each.origin, int(each.at) // _HOUR), []).append(each)
        lost: list[Finished] = []
        trouble: OSError | None = None
        for key, finished in parts.items():
            try:
                file = self._files.get(key)
                if file is not None and file.removed():
                    del self._files[key]
                    file = None
                if file is None:
                    file = self._open(key, finished[0].at)
                file.append(finished)
            except OSError as error:
                lost += finished
                trouble = error
        if trouble is not None and not self._troubled:
            log.warning("requests are not captured: %s", trouble)
        self._troubled = trouble is not None
        self._close(monotonic() - _LONGEST_SECONDS)
        return lost

    def has_open_files(self) -> bool:
        """Whether there are files that are yet to be closed."""
        return bool(self._files)

    def close(self) -> None:
        """Nothing more will come."""
        self._close(float("inf"))

    def _open(self, key: tuple[bytes, int], at: float) -> _File:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        waiting = sum(_size(path) for path in self._folder.iterdir())
        if waiting > self._most:
            raise SpoolFull(f"{waiting} bytes already wait in {self._folder} to be written to S3")
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < _LEFT_TO_OTHERS:
            raise SpoolFull(f"the disk of {self._folder} is nearly full")
        file = _File(self._folder / f"{round(at * 1000)}-{uuid.uuid4()}{OPEN}", key[0])
        self._files[key] = file
        return file

    def _close(self, before: float) -> None:
        for key, file in list(self._files.items()):
            if file.since < before or file.size > _LARGEST_BYTES:
                del self._files[key]
                try:
                    file.finish()
                except OSError as error:  # without its lock it is control's all the same
                    log.warning("a file of captured data is left open: %s", error)


class _File:
    """One that is appended to. It holds a lock, which nobody has any more once this process is gone."""

    def __init__(self, path: Path, origin: bytes) -> None:
        self.since = monotonic()
        self.size = 0
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        # Control leaves a file alone as long as it is empty, so there is nobody else who could have the lock.
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            self._write((origin,))
        except OSError:
            os.close(self._fd)
            path.unlink()
            raise

    def removed(self) -> bool:
        """Whether it was taken away, as everything is when a server is reset."""
        if os.fstat(self._fd).st_nlink:
            return False
        os.close(self._fd)
        return True

    def append(self, finished: Iterable[Finished]) -> None:
        """Adds all or none. Raises OSError."""
        self._write(_gathered(piece for each in finished for piece in each.pieces()))

    def finish(self) -> None:
        try:
            self._path.rename(self._path.with_suffix(READY))
        except FileNotFoundError:
            pass  # the server was reset
        finally:
            os.close(self._fd)

    def _write(self, blocks: Iterable[bytes]) -> None:
        size = self.size
        try:
            for block in blocks:
                left = memoryview(block)
                while left:
                    left = left[os.write(self._fd, left) :]
                size += len(block)
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size = size


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces in blocks: a system call for many records, and none that keeps the interpreter for long."""
    block: list[bytes] = []
    size = 0
    for part in parts:
        block.append(part)
        size += len(part)
        if size >= 64 * 1024:
            yield b"".join(block)
            block, size = [], 0
    if block:
        yield b"".join(block)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # shipped meanwhile
