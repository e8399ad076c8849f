"""Blobs as plain files: names, drafts and durable renames. Synchronous; ``local`` runs it in threads.

Layout under the root:

    <bucket>/<two hex digits>/<32 hex digits>~<tail of the key>     a blob, once whole
    .incoming/<bucket>~<32 hex digits>~<tail of the key>            its first name, until the index knows it
    .incoming-objects/…                                             the same, of the objects process

The tail is for people (``find . -name '*~model.tar.gz'``): at most 64 harmless ASCII characters of the key's last
segment.  The key itself never becomes a path, so ``..``, NUL or 1,024 bytes of UTF-8 in it cannot do harm.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

from wildsage.objects.base import Blob, NoSpace
from wildsage.objects.digests import Digests

INCOMING = ".incoming"
_HARMFUL = re.compile(r"[^A-Za-z0-9._-]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[0-9a-f]{2}/[0-9a-f]{32}~[A-Za-z0-9._-]*")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TAIL = 64
_SHARD_BITS = 22  # a folder takes what comes in some four seconds (2^22 µs), then it is the next one's turn
KEY_BYTES = 1024  # the longest key, as UTF-8
_HURRY = 8 * 1024 * 1024
_libc = ctypes.CDLL(None, use_errno=True)
_BEGIN = 2  # SYNC_FILE_RANGE_WRITE of linux/fs.h
_FULL = (errno.ENOSPC, errno.EDQUOT)


def new_name(bucket: str, label: str) -> str:
    """A fresh blob name; raises ValueError for a bucket name that cannot be a folder.

    Names made one after another stand beside each other in folders and in the indexes of the database, so that many
    of them change few pages there.
    """
    tail = _HARMFUL.sub("_", label.rstrip("/").rpartition("/")[2])[-_TAIL:]
    moment = time.time_ns() // 1000
    identity = f"{moment >> _SHARD_BITS & 0xFF:02x}{moment:014x}{random.getrandbits(64):016x}"
    return f"{_folder(bucket)}/{identity[:2]}/{identity}~{tail}"


@functools.lru_cache(maxsize=1024)
def _folder(bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"not a bucket name: {bucket!r}")
    return bucket


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def checked(name: str) -> str:
    """``name`` if it is a blob name; raises ValueError."""
    if not is_name(name):
        raise ValueError(f"not a blob name: {name!r}")
    return name


def incoming_of(folder: Path, name: str) -> Path:
    """A blob's first name, in the incoming folder of whoever writes it."""
    bucket, _, rest = checked(name).split("/", 2)
    return folder / f"{bucket}~{rest}"


def name_of(incoming: str) -> str:
    """The blob name of a file in the incoming folder."""
    bucket, identity, tail = incoming.split("~", 2)
    return checked(f"{bucket}/{identity[:2]}/{identity}~{tail}")


def sync_directory(path: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ensure_directory(path: Path) -> None:
    """Makes a folder and its parents, durably."""
    if path.is_dir():
        return
    ensure_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    sync_directory(path.parent)


def link(source: Path, target: Path) -> None:
    """Gives a file a second name, making the folder; the folder may be taken away by someone else meanwhile."""
    for _ in range(10):
        try:
            os.link(source, target)
        except FileNotFoundError:
            ensure_directory(target.parent)
        else:
            return
    os.link(source, target)


def remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def discard(root: Path, incoming: Path, names: Iterable[str]) -> None:
    """Takes blobs away by both their names; many at once, so without making Paths."""
    for name in names:
        bucket, _, rest = checked(name).split("/", 2)
        for path in (f"{root}/{name}", f"{incoming}/{bucket}~{rest}"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108


def restore(path: Path, draft: Path, data: bytes) -> None:
    """Writes a small blob anew if a power failure took its bytes; by the name ``draft`` until it is whole."""
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        ensure_directory(path.parent)
    draft.write_bytes(data)
    draft.rename(path)


def sync_all(folder: Path) -> None:
    """Returns once everything written so far to the file system of ``folder`` is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def begin_writing(descriptor: int, offset: int, count: int) -> None:
    """Has the kernel begin to bring a part of a file to the disk, if its file system can; nobody waits."""
    _libc.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(count), _BEGIN)


class Seals(Protocol):
    """Encrypts a blob while it is written (``sealing.Sealer``)."""

    def seal(self, chunks: Iterable[bytes]) -> Iterable[bytes]: ...

    def rest(self) -> bytes: ...


class Draft:
    """One blob in the making, by its ``new_name``; its methods may come from different threads, one after another."""

    def __init__(
        self,
        root: Path,
        incoming: Path,
        name: str,
        algorithms: Collection[str],
        sealer: Seals | None = None,
        md5: bool = True,
    ) -> None:
        self.name = name
        self._incoming = incoming_of(incoming, name)
        self._final = root / name
        self._digests = Digests(algorithms, md5)
        self._sealer = sealer
        self._file: BinaryIO | None = None
        self._size = 0
        self._hurried = 0
        self._lock = threading.Lock()
        self._over = False

    def absorb(self, chunks: Sequence[bytes]) -> None:
        """Appends to the file; each of ``digests`` must get the same. Raises NoSpace."""
        with self._lock, _space():
            file = self._opened()
            self._size += sum(map(len, chunks))
            for chunk in chunks if self._sealer is None else self._sealer.seal(chunks):
                _write_all(file, chunk)
            self._hurry(file)

    @property
    def digests(self) -> Sequence[Callable[[Sequence[bytes]], None]]:
        """Take digests of what ``absorb`` gets; may run beside it and each other."""
        return [functools.partial(_each, update) for update in self._digests.updates]

    def append(self, source: Path) -> None:
        """Appends a file's bytes, in the kernel where it can, without taking digests. Raises NoSpace."""
        with self._lock, _space(), source.open("rb") as reading:
            file = self._opened()
            left = os.fstat(reading.fileno()).st_size
            self._size += left
            while left:
                done = _transfer(reading, file, left)
                if not done:
                    raise OSError(errno.EIO, "the file ended early", str(source))
                left -= done

    def adopt(self, source: Path) -> None:
        """Takes the bytes of a whole file by a link, or a copy where the disk has no links. Raises NoSpace."""
        with self._lock, _space():
            self._check()
            try:
                os.link(source, self._incoming)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EXDEV):
                    raise
                shutil.copyfile(source, self._incoming)
            self._file = self._incoming.open("rb", buffering=0)
            self._size = os.fstat(self._file.fileno()).st_size

    def finish(self, chunks: Sequence[bytes] = ()) -> Blob:
        """Appends the rest, gives the file its final name and returns once both are on disk. Raises NoSpace."""
        return self._finish(chunks, True)

    def finish_small(self, chunks: Sequence[bytes]) -> Blob:
        """As ``finish`` with the whole blob, but without waiting for the disk."""
        return replace(self._finish(chunks, False), unsynced=b"".join(chunks))

    def _finish(self, chunks: Sequence[bytes], sync: bool) -> Blob:
        self.absorb(chunks)
        for digest in self.digests:
            digest(chunks)
        with self._lock, _space():
            file = self._opened()
            if self._sealer is not None:
                _write_all(file, self._sealer.rest())
            link(self._incoming, self._final)
            if sync:
                os.fsync(file.fileno())
                sync_directory(self._final.parent)
            file.close()
            self._over = True
        return Blob(self.name, self._size, self._digests.md5(), self._digests.checksums())

    def abandon(self) -> None:
        """Takes away whatever there is of it."""
        with self._lock:
            self._over = True
            if self._file is not None:
                self._file.close()
            remove((self._final, self._incoming))

    def _opened(self) -> BinaryIO:
        self._check()
        if self._file is None:
            self._file = self._incoming.open("xb", buffering=0)
        return self._file

    def _hurry(self, file: BinaryIO) -> None:
        """Has the disk begin with what was written, so that the final fsync finds little left to do.

        Only that: who reads an object that was just written finds it in memory.
        """
        if self._size - self._hurried >= _HURRY:
            begin_writing(file.fileno(), self._hurried, self._size - self._hurried)
            self._hurried = self._size

    def _check(self) -> None:
        if self._over:
            raise ValueError("the draft was finished or abandoned")


def _each(update: Callable[[bytes], None], chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        update(chunk)


def _write_all(file: BinaryIO, data: bytes) -> None:
    """One write may take only a part, when the disk is nearly full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _transfer(reading: BinaryIO, writing: BinaryIO, count: int) -> int:
    """Moves up to ``count`` bytes from file to file; shares the disk's blocks where the file system can."""
    try:
        return os.copy_file_range(reading.fileno(), writing.fileno(), count)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise
    return os.sendfile(writing.fileno(), reading.fileno(), None, count)


class _space(contextlib.AbstractContextManager[None]):  # noqa: N801 - reads as a statement
    """Turns "disk full" into NoSpace."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise NoSpace("The disk that holds the objects is full.") from error
