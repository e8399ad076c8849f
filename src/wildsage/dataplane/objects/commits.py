"""Writes of objects that share a commit.

While one commit waits for the disk in a thread, the next ones gather.  The statements of a batch are executed on the
event loop in one go: a thread that needs the interpreter for a moment between any two of them costs more than they do.

A small blob's bytes go into the same transaction as its object, so the one flush of the commit makes it durable.  Its
file is written afterwards (``filing``); ``_flush`` brings all files to the disk, and then the bytes are forgotten.  Of
what was replaced before that there is no file: who has just read of it finds its bytes for some time.
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

from wildsage.dataplane.objects.filing import Filed, Filing
from wildsage.objects import files
from wildsage.store.directindex import DirectIndex
from wildsage.store.directwrites import DirectWrites, NewObject

log = logging.getLogger(__name__)

_MOST: Final = 128  # writes of one batch
_ROOM: Final = 64 * 1024 * 1024  # bytes that must be left for files that are written after their commit
_FLUSH_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 30.0  # as what is replaced stays on the disk
_MOST_FORGOTTEN: Final = 256  # packs that one commit forgets


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
        self._index = index
        self._root = root
        self._filing = Filing(root, incoming, self._named, self._schedule_flush)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Job] = deque()
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="commit", daemon=True)
        self._thread.start()
        self._spent: list[int] = []  # packs to be forgotten
        self._closing = False
        self._room: bool | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    def _named(self, blobs: Sequence[str]) -> set[str]:
        """Those that an object has now: a reset takes the database away before anybody is told of it."""
        self._index.refresh()
        return self._index.named(blobs)

    def forget_older(self, packs: Sequence[int]) -> None:
        """The blobs of these, which are from before this process, have files."""
        self._filing.filed += [Filed(number, False) for number in packs]
        self._schedule_flush()

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
                self._spent.clear()
                self._filing.begin_anew()
            pack = self._put(batch)
        except Exception as error:  # whatever it is, a turn that is kept would stop every write of the server
            self._give_up(batch, error)
            return
        spent = self._spent[:_MOST_FORGOTTEN]
        self._calls.put(lambda: self._commit(batch, pack, spent))

    def _put(self, batch: Sequence[Job]) -> int:
        """Returns the number of the pack with the bytes of those that were made, 0 if there are none."""
        for job in batch:
            if job.new.unsynced is not None:
                self._filing.hold(job.new.blob, job.new.unsynced)
        kept = []
        for job, outcome in zip(batch, self._writes.put_all([job.new for job in batch]), strict=True):
            if not isinstance(outcome, str):
                job.error = outcome
                continue
            job.version = outcome
            if job.new.unsynced is not None:
                kept.append((job.new.blob, job.new.unsynced))
        return self._writes.keep(kept) if kept else 0

    def _commit(self, batch: Sequence[Job], pack: int, spent: Sequence[int]) -> None:
        """In the thread. ``spent``: packs to be forgotten."""
        failed: Exception | None = None
        try:
            if spent:
                self._writes.forget(spent)
            self._writes.commit()
        except sqlite3.Error as error:
            failed = error
            self._writes.undo()
        finally:
            self._writes.turn.give()
        self._loop.call_soon_threadsafe(self._finish, batch, pack, spent, failed)

    def _give_up(self, batch: Sequence[Job], error: Exception) -> None:
        try:
            self._writes.undo()
        finally:
            self._writes.turn.give()
        self._finish(batch, 0, (), error)

    def _finish(self, batch: Sequence[Job], pack: int, forgotten: Sequence[int], failed: Exception | None) -> None:
        if failed is not None:
            known = isinstance(failed, sqlite3.Error)
            log.warning("%s writes were not kept: %s", len(batch), failed, exc_info=None if known else failed)
        else:
            del self._spent[: len(forgotten)]
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
            self._filing.keep(kept, pack)
        for job in batch:
            try:
                job.done(job.version, job.error)
            except Exception:  # one that cannot be answered must not keep the answers from those behind it
                log.exception("a write that was settled is not answered")
        if self._waiting or (self._spent and failed is None):
            # Those who were answered just now may have written again by then: few large batches cost less than many.
            self._loop.call_soon(self._begin)
        else:
            self._busy = False
            self._idle.set()
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        """Files are flushed some time after they were written."""
        if not self._filing.filed or self._flushing is not None or self._closing:
            return
        if self._flush_timer is None:
            self._flush_timer = self._loop.call_later(_FLUSH_SECONDS, self._start_flush)

    def _start_flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._flushing = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        """Brings the files that were written to the disk; the next commit forgets their bytes."""
        filed, self._filing.filed = self._filing.filed, []
        try:
            await asyncio.to_thread(files.sync_all, self._root)
        except OSError:
            log.exception("the files of small objects are not on the disk yet; their bytes are kept")
            self._filing.filed += filed
        else:
            self._spent += [each.pack for each in filed if each.whole]
            if rest := [each.pack for each in filed if not each.whole]:
                self._loop.call_later(_GRACE_SECONDS, self._forget, rest)
        self._flushing = None
        self._wake()  # also with nothing to write but this

    def _forget(self, packs: Sequence[int]) -> None:
        if not self._closing:
            self._spent += packs
            self._wake()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
