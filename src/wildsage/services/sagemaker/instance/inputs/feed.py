"""Streams the channels of a job in Pipe mode: a program of its own, with the standard library alone.

    python feed.py PLAN PIPES

It runs in a container beside the job's, so that the data goes on to flow when control does not.  Everything it reads
was put into the folder PLAN beforehand, everything it writes goes into named pipes in the folder PIPES, which the job
has as /opt/ml/input/data:

    PLAN/plan.json        the channels: name, seed (or null), index, count, gzip, recordio
    PLAN/NAME.entries     one line an entry of the channel: the parts it consists of, in JSON, where a number means a
                          file of PLAN/blobs and a text itself
    PLAN/blobs.txt        where each file came from, one line each, as JSON
    PIPES/NAME_EPOCH      a pipe for each epoch, from 0; the next one is there before this one can be opened

A reader that closes its pipe early ends the epoch.  This program ends only if something is wrong; its last line says
what (a FailureReason).  The job may do to its pipes what it likes: nothing here follows a link or makes a file.
"""

from __future__ import annotations

import fcntl
import gzip
import itertools
import json
import os
import random
import stat
import struct
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Part = int | str

_CHUNK = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ
_MAGIC = 0xCED7230A
RECORD_LIMIT = 1 << 29
"""Bytes that a RecordIO record stays below: its length has 29 bits (the other three are for a record in pieces)."""


class Fault(Exception):
    """The data cannot be fed; the text is the job's FailureReason."""


def share(items: Sequence[T], seed: int | None, epoch: int, index: int, count: int) -> list[T]:
    """What instance ``index`` of ``count`` gets of a channel in an epoch, in this order.

    Without a seed every epoch is the same; with one the whole is shuffled anew for each epoch and then dealt out, so
    that an instance gets other items in another epoch (API reference, Channel.ShuffleConfig).
    """
    order = list(items)
    if seed is not None:
        random.Random(f"{seed} {epoch}").shuffle(order)
    return order[index::count]


def record_head(size: int) -> bytes:
    """What comes before the ``size`` bytes of a RecordIO record."""
    return struct.pack("<II", _MAGIC, size)


def record_tail(size: int) -> bytes:
    """What comes after them: records begin at multiples of four bytes."""
    return bytes(-size % 4)


class Plan:
    """The folder PLAN."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with open(folder / "plan.json", encoding="utf-8") as file:
            self.channels: list[dict[str, Any]] = json.load(file)

    def entries(self, name: str) -> list[bytes]:
        with open(self._folder / f"{name}.entries", "rb") as file:
            return file.read().splitlines()

    def blob(self, number: int) -> Path:
        return self._folder / "blobs" / str(number)

    def origin(self, number: int) -> str:
        """The URI of what a file was made of."""
        with open(self._folder / "blobs.txt", encoding="utf-8") as file:
            return str(json.loads(next(itertools.islice(file, number, None))))


class Feeder:
    """One channel, from its first epoch on."""

    def __init__(self, plan: Plan, pipes: Path, channel: dict[str, Any]) -> None:
        self._plan = plan
        self._pipes = pipes
        self._channel = channel
        self._entries = plan.entries(channel["name"])

    def run(self) -> None:
        """Never returns; raises Fault."""
        channel = self._channel
        for epoch in itertools.count():
            path = self._pipe(epoch)
            order = share(self._entries, channel["seed"], epoch, channel["index"], channel["count"])
            make_pipe(self._pipe(epoch + 1))
            pipe = open_pipe(path)
            try:
                for entry in order:
                    self._feed(pipe, json.loads(entry))
            except BrokenPipeError:
                pass  # the reader has had enough of this epoch
            os.close(pipe)  # after a fault it stays open: to the reader its end would be that of the data
            path.unlink(missing_ok=True)  # offered once: who opens it again should not wait for ever

    def _pipe(self, epoch: int) -> Path:
        return self._pipes / f"{self._channel['name']}_{epoch}"

    def _feed(self, pipe: int, parts: list[Part]) -> None:
        for part in parts:
            if isinstance(part, str):
                self._text(pipe, part.encode())
            else:
                self._blob(pipe, part)

    def _text(self, pipe: int, data: bytes) -> None:
        if self._channel["recordio"]:
            data = record_head(len(data)) + data + record_tail(len(data))
        write(pipe, data)

    def _blob(self, pipe: int, number: int) -> None:
        path = self._plan.blob(number)
        if not self._channel["recordio"]:
            self._content(pipe, path, number)
            return
        size = self._size(path, number)
        if size >= RECORD_LIMIT:
            raise Fault(
                f"ClientError: Data download failed:{self._plan.origin(number)} has {size} bytes; a RecordIO record "
                f"holds less than {RECORD_LIMIT}. Use smaller objects, or RecordWrapperType None."
            )
        write(pipe, record_head(size))
        self._content(pipe, path, number)
        write(pipe, record_tail(size))

    def _size(self, path: Path, number: int) -> int:
        if not self._channel["gzip"]:
            return path.stat().st_size
        return sum(len(chunk) for chunk in self._unpacked(path, number))

    def _content(self, pipe: int, path: Path, number: int) -> None:
        if self._channel["gzip"]:
            for chunk in self._unpacked(path, number):
                write(pipe, chunk)
        else:
            move(pipe, path)

    def _unpacked(self, path: Path, number: int) -> Iterator[bytes]:
        with open(path, "rb") as file:
            packed = gzip.GzipFile(fileobj=file)
            while True:
                try:
                    chunk = packed.read(_CHUNK)
                except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                    raise Fault(
                        f"ClientError: Data download failed:{self._plan.origin(number)} cannot be decompressed, "
                        f"although its channel has CompressionType Gzip: {error}"
                    ) from error
                if not chunk:
                    return
                yield chunk


def make_pipe(path: Path) -> None:
    """A named pipe that anybody in the job may read; none if something of that name is there."""
    with suppress(FileExistsError):
        os.mkfifo(path)
        path.chmod(0o666)


def open_pipe(path: Path) -> int:
    """Waits for a reader."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is no pipe any more")
    with suppress(PermissionError):  # where a user has used up what pipes may hold, the usual size does as well
        fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _CHUNK)
    return descriptor


def write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def move(pipe: int, path: Path) -> None:
    """A file's bytes into the pipe, without a copy where the file system can."""
    with open(path, "rb", buffering=0) as file:
        try:
            while os.splice(file.fileno(), pipe, _CHUNK):
                pass
        except BrokenPipeError:
            raise
        except OSError:
            while chunk := file.read(_CHUNK):
                write(pipe, chunk)


def feed(plan: Plan, pipes: Path, channel: dict[str, Any], end: threading.Event, faults: list[str]) -> None:
    """A thread: one channel; what goes wrong is put into ``faults``."""
    try:
        Feeder(plan, pipes, channel).run()
    except Fault as fault:
        faults.append(str(fault))
    except OSError as error:
        faults.append(f"InternalServerError: Channel {channel['name']} could not be streamed: {error}")
    except BaseException as error:
        faults.append(f"InternalServerError: Channel {channel['name']}: {type(error).__name__}: {error}")
        raise
    finally:
        end.set()


def main() -> None:
    plan, pipes = Plan(Path(sys.argv[1])), Path(sys.argv[2])
    end, faults = threading.Event(), list[str]()
    for channel in plan.channels:
        threading.Thread(target=feed, args=(plan, pipes, channel, end, faults), daemon=True).start()
    end.wait()
    print(faults[0], flush=True)
    os._exit(1)


if __name__ == "__main__":
    main()
