"""Reading a growing log file, line by line, without missing or inventing one."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wildsage.core.clock import Clock
from wildsage.runtimes.base import Inspection, LogLine
from wildsage.runtimes.sandbox.changes import Changes
from wildsage.runtimes.sandbox.keeper import backlog

_CHUNK = 1 << 18
LONGEST = 1 << 18
"""Bytes of the longest line; what is longer comes in pieces (CloudWatch's largest event is 256 KiB)."""

_KEPT = 1 << 18  # bytes before what was released that stay
_BLOCK = 4096
_HOLE_OF_THE_SAME_SIZE = 0x3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_NO_HOLES = (errno.EOPNOTSUPP, errno.ENOSYS)
_libc = ctypes.CDLL(None, use_errno=True)


class Lines:
    """Cuts the bytes of a file into lines, from ``offset`` on."""

    def __init__(self, file: int, offset: int, clock: Clock) -> None:
        self._file = file
        self._position = offset  # of the first byte of ``_rest``
        self._rest = b""
        self._clock = clock

    async def more(self) -> list[LogLine] | None:
        """The lines of the next piece of the file, maybe none yet; None at its present end."""
        # What was written a moment ago is in memory: copying a piece takes less than waking a thread for it.
        data = os.pread(self._file, _CHUNK, self._position + len(self._rest))
        if not data:
            return None
        if len(data) == _CHUNK:
            await asyncio.sleep(0)  # others have their turn between the pieces of a long log
        *whole, self._rest = (self._rest + data).split(b"\n")
        now = self._clock.now()
        lines: list[LogLine] = []
        for text in whole:
            if len(text) <= LONGEST:
                self._position += len(text) + 1
                lines.append(LogLine(now, text.decode("utf-8", "replace").rstrip("\r"), self._position))
            else:
                lines += self._cut(text, now, 1)
        while len(self._rest) >= LONGEST:
            piece, self._rest = self._rest[:LONGEST], self._rest[LONGEST:]
            lines += self._cut(piece, now, 0)
        return lines

    def last(self) -> list[LogLine]:
        """What stands after the last line end; to be asked when nothing more will be written."""
        rest, self._rest = self._rest, b""
        return self._cut(rest, self._clock.now(), 0) if rest else []

    def _cut(self, text: bytes, now: float, end: int) -> list[LogLine]:
        pieces = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)] or [b""]
        lines = []
        for number, piece in enumerate(pieces, 1):
            self._position += len(piece) + (end if number == len(pieces) else 0)
            lines.append(LogLine(now, piece.decode("utf-8", "replace").rstrip("\r"), self._position))
        return lines


def release(directory: Path, offset: int) -> None:
    """Gives back the room of what stands in the log before ``offset``, where the file system can, and says so to its
    writer. The container may have gone meanwhile."""
    try:
        file = os.open(directory / "log", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        end = (offset - _KEPT) // _BLOCK * _BLOCK
        if end > 0 and _libc.fallocate(file, _HOLE_OF_THE_SAME_SIZE, ctypes.c_long(0), ctypes.c_long(end)) < 0:
            number = ctypes.get_errno()
            if number not in _NO_HOLES:
                raise OSError(number, os.strerror(number), str(directory / "log"))
        taken = os.open(directory / backlog.TAKEN, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(taken, backlog.written(offset), 0)
        finally:
            os.close(taken)
    finally:
        os.close(file)


def _first(file: int, offset: int) -> int:
    """Where ``offset`` lies in what was released, what is left begins."""
    try:
        return os.lseek(file, offset, os.SEEK_DATA)
    except OSError:
        return offset  # there is nothing behind it


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


async def read(path: Path, offset: int, clock: Clock, ended: Callable[[], bool]) -> AsyncGenerator[LogLine, None]:
    """The lines there are now; one without its end only if ``ended``. What was released is left out."""
    with suppress(FileNotFoundError), _opened(path) as file:  # whoever took it away had what it said
        complete = ended()
        lines = Lines(file, _first(file, offset), clock)
        while (found := await lines.more()) is not None:
            for line in found:
                yield line
        if complete:
            for line in lines.last():
                yield line


async def follow(path: Path, offset: int, clock: Clock, end: Awaitable[Inspection]) -> AsyncGenerator[LogLine, None]:
    """The lines there are and those to come, until ``end`` is done and all was read."""
    ending = asyncio.ensure_future(end)
    try:
        with suppress(FileNotFoundError), _opened(path) as file, Changes(path) as changes:  # as in ``read``
            ending.add_done_callback(lambda _: changes.wake())
            lines = Lines(file, offset, clock)
            while True:
                complete = ending.done()
                while (found := await lines.more()) is not None:
                    for line in found:
                        yield line
                if complete:
                    break
                await changes.wait()
            for line in lines.last():
                yield line
    finally:
        ending.cancel()
