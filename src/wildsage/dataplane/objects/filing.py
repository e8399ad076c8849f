"""Small objects that are committed, on their way into files.

Their bytes are in the database, so nobody waits for the files: ``scribe``, another process, writes them, and until it
has done so they are read from here.  What it cannot write is written here, in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wildsage.dataplane.objects import scribe as writer
from wildsage.objects import files

log = logging.getLogger(__name__)

_PATIENCE: Final = 10.0  # seconds for the scribe to take a batch
_IDLE_CHECKS: Final = 6  # after so many patiences without a batch the scribe goes
_AGAIN_SECONDS: Final = 2.0
_ANSWERS: Final = 4096


@dataclass(slots=True)
class _Scribe:
    """``sent``: names and number of the batches that it did not answer yet. ``lock``: whoever uses ``line``.

    ``idle``: how many times it was found without a batch since the last one.
    """

    line: socket.socket
    process: subprocess.Popen[bytes]
    sent: deque[tuple[list[str], int]] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: int = 0


class Filing:
    """``bytes_of``: the bytes of every blob that has no file yet, by name.

    ``hold`` them on the event loop before the commit, then either ``send`` them, in the thread that committed, or
    ``drop`` them.  ``written`` is called on the event loop when files were.
    """

    def __init__(self, root: Path, incoming: Path, written: Callable[[], None]) -> None:
        self.bytes_of: dict[str, bytes] = {}
        self.newest = 0
        """Every file of the bytes with a number (``s3_unsynced``) up to this is written."""
        self._root = root
        self._incoming = incoming
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._answered = 0
        self._repairs = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._scribe: _Scribe | None = None

    @property
    def pid(self) -> int:
        """The scribe's; 0 while there is none."""
        return 0 if self._scribe is None else self._scribe.process.pid

    def hold(self, name: str, data: bytes) -> None:
        self.bytes_of[name] = data
        self._idle.clear()

    def drop(self, name: str) -> None:
        self.bytes_of.pop(name, None)
        self._rest()

    def begin_anew(self) -> None:
        """Another database has taken the place of ours: numbers begin anew."""
        self.newest = self._answered = 0

    def send(self, names: list[str], newest: int) -> None:
        """Passes on what was committed; ``newest``: the number of the last of them. May wait for the scribe."""
        found = [self.bytes_of[name] for name in names]
        encoded = [name.encode() for name in names]
        lengths = [writer.LENGTHS.pack(len(name), len(data)) for name, data in zip(encoded, found, strict=True)]
        pairs = [part for pair in zip(encoded, found, strict=True) for part in pair]
        message = b"".join([writer.COUNT.pack(len(names)), *lengths, *pairs])
        scribe = self._scribe
        if scribe is None:
            try:
                scribe = self._start()
            except OSError as error:
                log.warning("the writer of files cannot be started: %s", error)
                self._loop.call_soon_threadsafe(self._repair, names, newest)
                return
        scribe.sent.append((names, newest))
        scribe.idle = 0
        try:
            with scribe.lock:
                scribe.line.sendall(message)
        except OSError as error:
            log.warning("the writer of files does not take them: %s", error)
            self._loop.call_soon_threadsafe(self._give_up, scribe)

    async def close(self) -> None:
        """Returns once everything that was sent is in its file, or cannot be."""
        await self._idle.wait()
        if self._scribe is not None:
            self._give_up(self._scribe)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> _Scribe:
        """In the thread."""
        line, other = socket.socketpair()
        line.settimeout(_PATIENCE)
        with other:
            try:
                command = [sys.executable, "-I", "-S", writer.__file__, str(self._root)]
                process = subprocess.Popen(command, stdin=other.fileno())
            except OSError:
                line.close()
                raise
        scribe = self._scribe = _Scribe(line, process)
        self._loop.call_soon_threadsafe(self._attend, scribe)
        return scribe

    def _attend(self, scribe: _Scribe) -> None:
        self._loop.add_reader(scribe.line.fileno(), self._on_answers, scribe)
        self._loop.call_later(_PATIENCE, self._check, scribe, None)

    def _check(self, scribe: _Scribe, oldest: object) -> None:
        """Gives up one that has worked on the same batch since the last time, or that nobody needs."""
        if scribe is not self._scribe:
            return
        now = scribe.sent[0] if scribe.sent else None
        scribe.idle += 1
        if now is not None and now is oldest:
            log.warning("the writer of files hangs")
            self._give_up(scribe)
        elif now is None and scribe.idle > _IDLE_CHECKS:
            self._give_up(scribe)
        else:
            self._loop.call_later(_PATIENCE, self._check, scribe, now)

    def _on_answers(self, scribe: _Scribe) -> None:
        try:
            answers = scribe.line.recv(_ANSWERS)
        except OSError:
            answers = b""
        if not answers:
            self._give_up(scribe)
        for answer in answers:
            names, newest = scribe.sent.popleft()
            if answer == writer.DONE[0]:
                self._note(names, newest)
            else:
                self._repair(names, newest)

    def _give_up(self, scribe: _Scribe) -> None:
        """It is gone or hangs: what it did not answer is written here, and the next batch has a new one."""
        if scribe is self._scribe:
            self._scribe = None
            self._loop.remove_reader(scribe.line.fileno())
            scribe.process.kill()
            self._loop.run_in_executor(None, _end, scribe)
        while scribe.sent:
            self._repair(*scribe.sent.popleft())

    def _note(self, names: Sequence[str], newest: int) -> None:
        for name in names:
            self.bytes_of.pop(name, None)
        self._answered = max(self._answered, newest)
        self._rest()

    def _rest(self) -> None:
        if not self._repairs and self._answered > self.newest:
            self.newest = self._answered
            self._written()
        if not self.bytes_of:
            self._idle.set()

    def _repair(self, names: list[str], newest: int) -> None:
        self._repairs += 1
        task = self._loop.create_task(self._write(names, newest))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, names: list[str], newest: int) -> None:
        try:
            await asyncio.to_thread(self._restore, names)
        except OSError as error:
            log.warning("files of small objects cannot be written; the database keeps their bytes: %s", error)
            self._idle.set()
            await asyncio.sleep(_AGAIN_SECONDS)
            self._repair(names, newest)
            self._repairs -= 1
            return
        self._repairs -= 1
        self._note(names, newest)

    def _restore(self, names: Sequence[str]) -> None:
        for name in names:
            with contextlib.suppress(KeyError):  # a reset has taken it
                files.restore(self._root / name, files.incoming_of(self._incoming, name), self.bytes_of[name])


def _end(scribe: _Scribe) -> None:
    """In a thread, once it was killed."""
    scribe.process.wait()
    with scribe.lock:
        scribe.line.close()
