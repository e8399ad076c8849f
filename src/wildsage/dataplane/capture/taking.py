"""Which requests are captured, and the way of their records to the disk: never at the cost of a caller.

What is captured is kept in memory until a thread has written it, a quarter of a second later at most; that is what a
``kill -9`` takes along. Where that comes to too much, or the disk has no room, records are dropped and counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wildsage.dataplane.answers import request_id
from wildsage.dataplane.capture.records import Record, Side, pieces
from wildsage.dataplane.capture.spool import Finished, Spool
from wildsage.dataplane.capture.targets import Target
from wildsage.dataplane.table import Counters
from wildsage.wire.http.messages import Headers, Request

_MOST_HELD = 64 * 1024 * 1024
_OWN = 512  # bytes of a record beside its data, roughly
_SMALL = 64 * 1024  # up to here a record is made a line at once; a larger one in the thread
_BLOCK = 256 * 1024
_WRITE_SECONDS, _LOOK_SECONDS = 0.25, 1.0


class Captures:
    """One router's. ``most``: bytes that it keeps in memory. ``close`` it once no request is under way."""

    def __init__(self, folder: Path, most: int = _MOST_HELD) -> None:
        self._spool = Spool(folder)
        self._most = most
        self._held = 0
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "captures")  # it starts with the first record

    def sample(self, target: Target, counters: Counters, request: Request, body: bytes) -> Taken | None:
        """Decides whether a request is captured; None if not."""
        if target.share < 1.0 and random.random() >= target.share:
            return None
        record = Record(
            request_id(),
            time.time(),
            target.encodings,
            Side(request.header("content-type") or "", body),
            None,
            request.header("x-amzn-sagemaker-custom-attributes"),
            request.header("x-amzn-sagemaker-inference-id"),
        )
        return self._take(target, counters, record)

    def _take(self, target: Target, counters: Counters, record: Record) -> Taken | None:
        size = _OWN + (len(record.input.data) if record.input is not None else 0)
        if not self.hold(size):
            counters.uncaptured += 1
            return None
        return Taken(self, target, counters, record, size)

    def beside(self, taken: Taken, target: Target, counters: Counters) -> Taken | None:
        """The same request at another variant, under the same event id."""
        record = taken.record
        twin = Record(
            record.event,
            record.at,
            target.encodings,
            record.input,
            None,
            record.attributes,
            record.inference,
        )
        return self._take(target, counters, twin)

    def hold(self, size: int) -> bool:
        """Whether there is room in memory for so many bytes more, which are then counted."""
        if self._held + size > self._most:
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        self._held -= size

    def finish(self, taken: Taken) -> None:
        """A record is whole."""
        record, target = taken.record, taken.target
        content: bytes | Record = record if taken.held > _SMALL else b"".join(pieces(record))
        self._waiting.append(_Waiting(Finished(target.origin, record.at, content), taken.held, taken.counters))
        self._waiting_bytes += taken.held
        if self._waiting_bytes >= _BLOCK:
            self._flush()
        else:
            self._in(_WRITE_SECONDS)

    async def close(self) -> None:
        """Everything is written, and ready for control."""
        if self._writing is not None:
            await self._writing
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting:
            await self._write()
        if self._spool.has_open_files():
            await self._loop.run_in_executor(self._thread, self._spool.close)
        self._thread.shutdown()

    def _in(self, seconds: float) -> None:
        """Writes no later than that."""
        due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None:
            self._writing = self._loop.create_task(self._write())
            self._writing.add_done_callback(self._written)

    def _written(self, writing: asyncio.Task[None]) -> None:
        self._writing = None
        if not writing.cancelled() and (self._waiting or self._spool.has_open_files()):
            self._in(_WRITE_SECONDS if self._waiting else _LOOK_SECONDS)

    async def _write(self) -> None:
        batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
        lost = await self._loop.run_in_executor(
            self._thread, self._spool.write, [waiting.finished for waiting in batch]
        )
        gone = set(map(id, lost))
        for waiting in batch:
            self._held -= waiting.held
            if id(waiting.finished) in gone:
                waiting.counters.uncaptured += 1
            else:
                waiting.counters.captured += 1


class _Waiting:
    """A record that is to be written."""

    __slots__ = ("counters", "finished", "held")

    def __init__(self, finished: Finished, held: int, counters: Counters) -> None:
        self.finished = finished
        self.held = held
        self.counters = counters


class Taken:
    """One captured request until its answer is whole (``whole``) or will never be (``gone``)."""

    __slots__ = ("_captures", "_open", "_parts", "counters", "held", "record", "target")

    def __init__(self, captures: Captures, target: Target, counters: Counters, record: Record, held: int) -> None:
        self._captures = captures
        self._parts: list[bytes] = []
        self._open = True
        self.target = target
        self.counters = counters
        self.record = record
        self.held = held

    def beside(self, target: Target | None, counters: Counters) -> Taken | None:
        """The same request at another variant, if that one's are captured, too."""
        return None if target is None else self._captures.beside(self, target, counters)

    def answer(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._open and self.target.output:
            if not self._captures.hold(len(data)):
                self.counters.uncaptured += 1
                self.gone()
                return
            self.held += len(data)
            self._parts.append(data)

    def whole(self, headers: Headers) -> None:
        """That was the answer, a good one. ``headers``: the container's."""
        if not self._open:
            return
        self._open = False
        record = self.record
        if self.target.output:
            kind = next((value for name, value in headers if name == "content-type"), "")
            record.output = Side(kind, b"".join(self._parts))
            self._parts = []
        if not self.target.input:
            record.input = None
        self._captures.finish(self)

    def gone(self) -> None:
        """There is nothing to keep. After ``whole`` this does nothing."""
        if self._open:
            self._open = False
            self._parts = []
            self._captures.release(self.held)
