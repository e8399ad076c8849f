"""Writes of objects that share a commit.

While one commit waits for the disk in a thread, the next ones gather.  The statements of a batch are executed on the
event loop in one go: a thread that needs the interpreter for a moment between any two of them costs more than they do.

A small blob's bytes go into the same transaction as its object, so the one flush of the commit makes it durable.  Its
file is written afterwards (``filing``); ``_flush`` brings all files to the disk, and then the bytes are forgotten.
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

from wildsage.dataplane.objects.filing import Filing
from wildsage.objects import files
from wildsage.store.directindex import DirectIndex
from wildsage.store.directwrites import DirectWrites, NewObject

log = logging.getLogger(__name__)

_MOST: Final = 128  # writes of one batch
_ROOM: Final = 64 * 1024 * 1024  # bytes that must be left for files that are written after their commit
_FLUSH_SECONDS: Final = 1.0


@dataclass(slots=True)
class Job:
    """One write. ``done`` gets the id of the version that was made, or why there is none.

    ``new.unsynced``: a small blob's bytes, filed after the commit; None for a blob that is on the disk already.
    """

    new: NewObject
    done: Callable[[str, Exception | None], None]
    version: str = ""
    error: Exception | None = None


class Commits:
    """The writes of one process; all methods belong to its event loop."""

    def __init__(self, writes: DirectWrites, index: DirectIndex, root: Path, incoming: Path) -> None:
        self._writes = writes
        self._root = root
        self._filing = Filing(root, incoming, index.named, self._schedule_flush)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Job] = deque()
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="commit", daemon=True)
        self._thread.start()
        self._synced = self._forgotten = 0
        self._older = 0  # bytes up to this number are not forgotten
        self._keeps_older = False
        self._closing = False
        self._room: bool | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    def keep_older(self) -> None:
        """Bytes that the database has from before this process are not forgotten: they may have no files."""
        self._keeps_older = True

    def bytes_of(self, blob: str) -> bytes | None:
        """The bytes of a small blob that has no file yet."""
        return self._filing.bytes_of.get(blob)

    def has_room(self) -> bool:
        """Whether the disk has room for files that are written after their commit; else they must be there before."""
        if self._room is None:
            self._room = not self._filing.is_full and self._find_room()
        return self._room

    def _find_room(self) -> bool:
        try:
            found = os.statvfs(self._root)
        except OSError:
            return False
        return found.f_bavail * found.f_frsize >= _ROOM and (not found.f_files or found.f_favail >= _MOST)

    def submit(self, job: Job) -> None:
        """Joins the next batch."""
        self._waiting.append(job)
        self._wake()

    async def close(self) -> None:
        """Finishes what was submitted."""
        await self._idle.wait()
        await self._filing.close()
        self._closing = True
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        if self._flushing is not None:
            await self._flushing
        await self._idle.wait()
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join)
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
        self._room = None
        batch = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
        try:
            if self._writes.begin():
                self._synced = self._forgotten = self._older = 0
                self._filing.begin_anew()
            if self._keeps_older:
                self._older, self._keeps_older = self._writes.newest_unsynced(), False
            for job in batch:
                if job.new.unsynced is not None:
                    self._filing.hold(job.new.blob, job.new.unsynced)
            for job, outcome in zip(batch, self._writes.put_all([job.new for job in batch]), strict=True):
                if isinstance(outcome, str):
                    job.version = outcome
                else:
                    job.error = outcome
            newest = self._writes.newest_unsynced()
        except Exception as error:  # whatever it is, a turn that is kept would stop every write of the server
            self._give_up(batch, error)
            return
        synced = self._synced if self._synced > self._forgotten else 0
        self._calls.put(lambda: self._commit(batch, newest, synced))

    def _commit(self, batch: Sequence[Job], newest: int, synced: int) -> None:
        """In the thread. ``newest``: the number of the last bytes that the batch keeps; ``synced``: to be forgotten."""
        failed: Exception | None = None
        try:
            if synced:
                self._writes.forget_unsynced(self._older, synced)
            self._writes.commit()
        except sqlite3.Error as error:
            failed = error
            self._writes.undo()
        finally:
            self._writes.turn.give()
        self._loop.call_soon_threadsafe(self._finish, batch, newest, 0 if failed else synced, failed)

    def _give_up(self, batch: Sequence[Job], error: Exception) -> None:
        try:
            self._writes.undo()
        finally:
            self._writes.turn.give()
        self._finish(batch, 0, 0, error)

    def _finish(self, batch: Sequence[Job], newest: int, forgotten: int, failed: Exception | None) -> None:
        if failed is not None:
            known = isinstance(failed, sqlite3.Error)
            log.warning("%s writes were not kept: %s", len(batch), failed, exc_info=None if known else failed)
        self._forgotten = max(self._forgotten, forgotten)
        kept = []
        for job in batch:
            job.error = job.error or failed
            if job.new.unsynced is None:
                continue
            if job.error is None:
                kept.append(job.new.blob)
            else:
                self._filing.drop(job.new.blob)
        if kept:
            self._filing.keep(kept, newest)
        for job in batch:
            try:
                job.done(job.version, job.error)
            except Exception:  # one that cannot be answered must not keep the answers from those behind it
                log.exception("a write that was settled is not answered")
        if self._waiting:
            # Those who were answered just now may have written again by then: few large batches cost less than many.
            self._loop.call_soon(self._begin)
        else:
            self._busy = False
            self._idle.set()
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        """Files are flushed some time after they were written."""
        if self._filing.newest <= max(self._forgotten, self._synced) or self._flushing is not None or self._closing:
            return
        if self._flush_timer is None:
            self._flush_timer = self._loop.call_later(_FLUSH_SECONDS, self._start_flush)

    def _start_flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._flushing = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        """Brings the files of every committed write to the disk; the next commit forgets their bytes."""
        newest = self._filing.newest
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
