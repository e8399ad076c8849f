"""Small objects that are committed, on their way into files.

Their bytes are in the database, so nobody waits for the files, and while many objects are written none are made: a file
costs the kernel as much as all else about a small PUT.  They are made once fewer objects come, or when the bytes have
waited for some seconds or are many.  ``scribe``, another process, writes them; what it cannot write is written here, in
a thread.  Until there is a file, the bytes are read from here.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import sqlite3
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from wildsage.core.background import Background
from wildsage.dataplane.objects import scribe as writer
from wildsage.objects import files

log = logging.getLogger(__name__)

_PATIENCE: Final = 10.0  # seconds for the scribe to take a batch and to write it
_IDLE_SECONDS: Final = 60.0  # after so long without a batch the scribe goes
_AGAIN_SECONDS: Final = 2.0
_TICK: Final = 0.2  # seconds between two looks at what comes
_CALM: Final = 100  # objects in a tick: files are made beside so few
_OLDEST: Final = 5.0  # seconds that bytes wait for calm
_HELD: Final = 32 * 1024 * 1024  # bytes that wait for calm
_MOST_HELD: Final = 2 * _HELD
_BATCH: Final = 256  # files that the scribe is asked for at once
_BATCH_BYTES: Final = 1024 * 1024


class _Kept(NamedTuple):
    """What one commit kept. ``pack``: its number (``s3_packs``); ``since``: loop time."""

    names: Sequence[str]
    pack: int
    since: float


class Filed(NamedTuple):
    """A pack that needs no more files. ``whole``: each of its blobs has one; else some were replaced before."""

    pack: int
    whole: bool


@dataclass(slots=True)
class _Scribe:
    line: socket.socket
    process: subprocess.Popen[bytes]


class Filing:
    """``bytes_of``: the bytes of every blob that has no file yet, by name.

    ``hold`` them before the commit, then either ``keep`` or ``drop`` them.  ``wanted``: those blobs that an object
    still has, the others need no file (raises sqlite3.Error); ``written`` is called when files were.  All on the event
    loop.
    """

    def __init__(
        self,
        root: Path,
        incoming: Path,
        wanted: Callable[[Sequence[str]], Collection[str]],
        written: Callable[[], None],
    ) -> None:
        self.bytes_of: dict[str, bytes] = {}
        self.filed: list[Filed] = []
        """For others to take away."""
        self._root = root
        self._incoming = incoming
        self._wanted = wanted
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._held = 0
        self._waiting: deque[_Kept] = deque()
        self._arrived = asyncio.Event()
        self._recent = 0
        self._calm = True
        self._database = 0  # how many there were before this one
        self._repairs = Background()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._scribe: _Scribe | None = None
        self._task = self._loop.create_task(self._run())

    @property
    def pid(self) -> int:
        """The scribe's; 0 while there is none."""
        return 0 if self._scribe is None else self._scribe.process.pid

    @property
    def is_full(self) -> bool:
        """More bytes wait than should: whoever has more brings them to the disk without this."""
        return self._held > _MOST_HELD

    def hold(self, name: str, data: bytes) -> None:
        self.bytes_of[name] = data
        self._held += len(data)
        self._idle.clear()

    def drop(self, name: str) -> None:
        self._held -= len(self.bytes_of.pop(name, b""))
        self._rest()

    def keep(self, names: Sequence[str], pack: int) -> None:
        """They are committed, all that ``pack`` has."""
        self._waiting.append(_Kept(names, pack, self._loop.time()))
        self._recent += len(names)
        self._arrived.set()

    def begin_anew(self) -> None:
        """Another database has taken the place of ours: nothing of the old one is wanted."""
        self._held = 0
        self._database += 1
        self.filed.clear()
        self._waiting.clear()
        self.bytes_of.clear()
        self._idle.set()

    async def close(self) -> None:
        """Returns once everything that was kept is in its file, or cannot be."""
        self._closing = True
        self._arrived.set()
        await self._idle.wait()
        self._task.cancel()
        await asyncio.gather(self._task, self._repairs.close(), return_exceptions=True)
        await asyncio.to_thread(self._end_scribe)

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._arrived.clear()
                await self._await_arrival()
            if not self._closing:
                self._recent = 0
                await asyncio.sleep(_TICK)
                self._calm = self._recent <= _CALM
            while self._is_due():
                try:
                    await self._file_next()
                except sqlite3.Error as error:
                    log.warning("small objects get no files while the index cannot be read: %s", error)
                    await self._pause()
                except Exception:  # a bug: the others still want their files, and their writers an end
                    log.exception("small objects got no files yet")
                    await self._pause()

    async def _pause(self) -> None:
        if self._closing:
            self._idle.set()
        await asyncio.sleep(_AGAIN_SECONDS)

    async def _await_arrival(self) -> None:
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            await asyncio.to_thread(self._end_scribe)
            await self._arrived.wait()

    def _is_due(self) -> bool:
        if not self._waiting:
            return False
        if self._closing or self._held > _HELD or self._loop.time() - self._waiting[0].since > _OLDEST:
            return True
        return self._calm and self._recent <= _CALM

    async def _file_next(self) -> None:
        """Files some of what waits."""
        taken, database = self._next(), self._database
        left = self._still_wanted([name for kept in taken for name in kept.names])
        written = not left or await asyncio.to_thread(self._pass_on, self._message(left))
        if database != self._database:
            return
        for _ in taken:  # only now: what fails before is tried again
            self._waiting.popleft()
        if written:
            made = frozenset(left)
            self._note(left, [Filed(kept.pack, made.issuperset(kept.names)) for kept in taken], database)
        else:
            self._repairs.begin(self._repair(left, taken, database))

    def _next(self) -> list[_Kept]:
        """What was kept by the oldest commits that make a batch."""
        taken, count, size = [self._waiting[0]], len(self._waiting[0].names), 0
        for kept in itertools.islice(self._waiting, 1, _BATCH):
            count += len(kept.names)
            size += sum(len(self.bytes_of.get(name, b"")) for name in kept.names)
            if count > _BATCH or size > _BATCH_BYTES:
                break
            taken.append(kept)
        return taken

    def _still_wanted(self, names: Sequence[str]) -> list[str]:
        """Those that an object has; the others are dropped. Raises sqlite3.Error."""
        wanted = self._wanted(names)
        for name in names:
            if name not in wanted:
                self.drop(name)
        return [name for name in names if name in wanted]

    def _message(self, names: Sequence[str]) -> bytes:
        """What the scribe gets."""
        found = [(name.encode(), self.bytes_of[name]) for name in names]
        lengths = [writer.LENGTHS.pack(len(name), len(data)) for name, data in found]
        return b"".join([writer.COUNT.pack(len(names)), *lengths, *(part for pair in found for part in pair)])

    def _pass_on(self, message: bytes) -> bool:
        """In a thread: whether the scribe has written all files."""
        try:
            scribe = self._scribe = self._scribe or _start_scribe(self._root)
            scribe.line.sendall(message)
            answer = scribe.line.recv(1)
        except OSError as error:
            log.warning("the writer of files does not take them: %s", error)
            answer = b""
        if not answer:
            self._end_scribe()
        return answer == writer.DONE

    def _end_scribe(self) -> None:
        """In a thread."""
        scribe, self._scribe = self._scribe, None
        if scribe is not None:
            scribe.line.close()
            scribe.process.kill()
            scribe.process.wait()

    def _note(self, names: Sequence[str], filed: Sequence[Filed], database: int) -> None:
        if database == self._database:
            for name in names:
                self._held -= len(self.bytes_of.pop(name, b""))
            self.filed += filed
            self._written()
        self._rest()

    def _rest(self) -> None:
        if not self.bytes_of:
            self._idle.set()

    async def _repair(self, names: Sequence[str], taken: Sequence[_Kept], database: int) -> None:
        """Writes here what the scribe could not."""
        while True:
            try:
                # Objects that go meanwhile, perhaps to make room, need no files, and nobody would take these away.
                await asyncio.to_thread(self._restore, self._still_wanted(names))
            except Exception as error:  # whatever it is: were this given up, the bytes would be forgotten
                log.warning("files of small objects cannot be written; the database keeps their bytes: %r", error)
                if self._closing:
                    self._idle.set()
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                break
        self._note(names, [Filed(kept.pack, False) for kept in taken], database)

    def _restore(self, names: Sequence[str]) -> None:
        """Writes as many as it can, then raises the OSError of one that it could not."""
        failed: OSError | None = None
        for name in names:
            data = self.bytes_of.get(name)
            if data is None:
                continue  # a reset has taken it
            try:
                files.restore(self._root / name, files.incoming_of(self._incoming, name), data)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed


def _start_scribe(root: Path) -> _Scribe:
    """In a thread."""
    line, other = socket.socketpair()
    line.settimeout(_PATIENCE)
    with other:
        try:
            command = [sys.executable, "-I", "-S", writer.__file__, str(root)]
            process = subprocess.Popen(command, stdin=other.fileno())
        except OSError:
            line.close()
            raise
    return _Scribe(line, process)
