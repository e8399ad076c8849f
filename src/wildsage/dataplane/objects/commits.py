"""Writes of objects that share a commit.

While one commit waits for the disk in a thread, the next ones gather.  Everything else of a batch, files and
statements, is done on the event loop in one go: threads that each need the interpreter for a moment between two system
calls cost more than the calls.

A small blob's file is written without waiting for the disk, its bytes go into the same transaction as its object.  So
the one flush of the commit makes it durable; ``_flush`` brings the files to the disk later, all at once, and then the
bytes are forgotten.  What a crash of this process may leave behind, files that nobody committed, is in ``journal``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.objects import files
from wildsage.objects.base import NoSpace
from wildsage.store.directwrites import BucketChanged, DirectWrites, NewObject

log = logging.getLogger(__name__)

_MOST: Final = 128  # writes of one batch
_FLUSH_SECONDS: Final = 1.0
_FLUSH_BYTES: Final = 64 * 1024 * 1024


@dataclass(slots=True)
class Job:
    """One write. ``done`` gets the id of the version that was made, or why there is none.

    ``new.unsynced``: a small blob's bytes, written by the batch; None for a blob that is on the disk already.
    """

    new: NewObject
    done: Callable[[str, Exception | None], None]
    version: str = ""
    error: Exception | None = None


class Commits:
    """The writes of one process; all methods belong to its event loop."""

    def __init__(self, writes: DirectWrites, root: Path, journal: Path) -> None:
        self._writes = writes
        self._root = root
        self._prefix = f"{root}/"
        self._journal = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Job] = deque()
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="commit", daemon=True)
        self._thread.start()
        self._newest = self._synced = 0
        self._unflushed = 0
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    def submit(self, job: Job) -> None:
        """Joins the next batch."""
        self._waiting.append(job)
        self._wake()

    async def close(self) -> None:
        """Finishes what was submitted."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        if self._flushing is not None:
            await self._flushing
        await self._idle.wait()
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join)
        os.close(self._journal)
        self._writes.close()

    def _wake(self) -> None:
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        if self._writes.turn.take(wait=False):
            self._run()
        else:
            self._calls.put(self._await_turn)

    def _await_turn(self) -> None:
        self._writes.turn.take()
        self._loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        """One batch up to its commit; the turn is ours."""
        batch = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
        self._write_files(batch)
        try:
            self._writes.begin()
            for job in batch:
                if job.error is None:
                    try:
                        job.version = self._writes.put(job.new)
                    except (ApiError, BucketChanged) as error:
                        job.error = error
            newest = self._writes.newest_unsynced()
        except sqlite3.Error as error:
            self._give_up(batch, error)
            return
        self._calls.put(lambda: self._commit(batch, newest))

    def _write_files(self, batch: Sequence[Job]) -> None:
        small = [job for job in batch if job.new.unsynced is not None]
        if not small:
            return
        names = "\n".join([job.new.blob for job in small]).encode() + b"\n"
        os.pwrite(self._journal, names, 0)
        os.ftruncate(self._journal, len(names))
        for job in small:
            data = job.new.unsynced or b""
            try:
                files.write_plain(f"{self._prefix}{job.new.blob}", data)
            except (OSError, NoSpace) as error:
                job.error = error
            else:
                self._unflushed += len(data)

    def _commit(self, batch: Sequence[Job], newest: int) -> None:
        """In the thread. ``newest``: the number of the last bytes that the batch keeps."""
        failed: Exception | None = None
        try:
            if self._synced:
                self._writes.forget_unsynced(self._synced)
            self._writes.commit()
        except sqlite3.Error as error:
            failed = error
            self._writes.undo()
        finally:
            self._writes.turn.give()
        self._loop.call_soon_threadsafe(self._finish, batch, newest, failed)

    def _give_up(self, batch: Sequence[Job], error: sqlite3.Error) -> None:
        try:
            self._writes.undo()
        finally:
            self._writes.turn.give()
        self._finish(batch, 0, error)

    def _finish(self, batch: Sequence[Job], newest: int, failed: Exception | None) -> None:
        if failed is None:
            self._newest = newest
        else:  # the numbers of its bytes will be those of others
            log.warning("%s writes were not kept: %s", len(batch), failed)
        for job in batch:
            job.error = job.error or failed
            if job.error is not None and job.new.unsynced is not None:
                files.remove([self._root / job.new.blob])
        self._synced = 0
        if self._waiting:
            self._begin()
        else:
            os.ftruncate(self._journal, 0)
            self._busy = False
            self._idle.set()
        for job in batch:
            job.done(job.version, job.error)
        if self._newest and self._flush_timer is None and self._flushing is None:
            self._flush_timer = self._loop.call_later(_FLUSH_SECONDS, self._start_flush)
        elif self._unflushed > _FLUSH_BYTES and self._flush_timer is not None:
            self._start_flush()

    def _start_flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._flushing = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        """Brings the files of every committed write to the disk; the next commit forgets their bytes."""
        newest, self._unflushed = self._newest, 0
        try:
            await asyncio.to_thread(files.sync_all, self._root)
            self._synced = newest
        except OSError:
            log.exception("the files of small objects are not on the disk yet; their bytes are kept")
        self._flushing = None
        self._wake()  # also with nothing to write but this

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
