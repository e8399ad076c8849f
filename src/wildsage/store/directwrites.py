"""Writes of objects without SQLAlchemy: ``objectindex.put_version`` as statements on a connection of sqlite3.

The process that serves objects runs a batch of them on its event loop, at some 25 µs each, and only the commit, which
waits for the disk, in a thread.  ``tests/unit/store/test_directindex.py`` holds both ways against each other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wildsage.store.codec import Document, dumps
from wildsage.store.directindex import BucketRow, identity_of, open_direct, read_bucket
from wildsage.store.turn import Turn

_CURRENT = (
    "SELECT rank, version, marker, etag, modified FROM s3_objects WHERE bucket = ? AND key = ? ORDER BY rank LIMIT 1"
)
_DELETE_NULL = "DELETE FROM s3_objects WHERE bucket = ? AND key = ? AND version = 'null' RETURNING blob"
_DISCARD = "INSERT OR REPLACE INTO s3_garbage (name, since) VALUES (?, ?)"
_HIDE = "UPDATE s3_objects SET visible = 0 WHERE bucket = ? AND key = ? AND rank = ?"
_INSERT = """
INSERT INTO s3_objects (bucket, key, rank, version, visible, marker, size, etag, modified, blob, document)
VALUES (?, ?, ?, ?, 1, 0, ?, ?, ?, ?, ?)
"""
_KEEP_BYTES = "INSERT INTO s3_unsynced (name, bytes) VALUES (?, ?)"
_NEWEST = "SELECT coalesce(max(number), 0) FROM s3_unsynced"
_UNSYNCED = "SELECT number, name, bytes FROM s3_unsynced WHERE number > ? ORDER BY number LIMIT ?"
_FORGET_BYTES = "DELETE FROM s3_unsynced WHERE number <= ?"
_REFERENCED = """
SELECT EXISTS (SELECT 1 FROM s3_objects WHERE blob = ?) OR EXISTS (SELECT 1 FROM s3_parts WHERE blob = ?)
"""


_PRAGMAS = (
    # Every byte kept and forgotten would be written once more.
    "PRAGMA secure_delete=OFF",
    # A checkpoint costs two flushes while nobody can commit: after 32 MiB of log instead of 4.
    "PRAGMA wal_autocheckpoint=8000",
    "PRAGMA cache_size=-8000",
)


class BucketChanged(Exception):
    """The bucket is not what the caller took it for, or is gone."""


@dataclass(slots=True)
class Current:
    """What a condition sees of the object that is replaced."""

    etag: str
    modified: float


@dataclass(slots=True)
class NewObject:
    """An object to be. ``place``: its bucket as it was when the write was decided on. ``version`` counts only in a
    versioned bucket. ``unsynced``: the bytes of a blob whose file may not be on the disk yet; None for one that is.

    ``check`` sees what was current (None for nothing or a delete marker) and may raise ApiError.
    """

    place: BucketRow
    key: str
    version: str
    modified: float
    size: int
    etag: str
    blob: str
    document: Document
    unsynced: bytes | None = None
    check: Callable[[Current | None], None] | None = None


class DirectWrites:
    """Transactions on the SQLite file ``path``, one at a time: ``begin``, ``put`` …, ``commit`` or ``undo``.

    For one thread after another. All raise sqlite3.Error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.turn = Turn(path)
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._places: dict[str, BucketRow | None] = {}

    def close(self) -> None:
        self._disconnect()
        self.turn.close()

    def begin(self) -> bool:
        """Begins a transaction; the turn must be the caller's. True if it is the first in this database."""
        fresh = False
        if self._file is None or self._file != identity_of(self._path):
            self._disconnect()
            self._connection, self._file = open_direct(self._path), identity_of(self._path)
            for pragma in _PRAGMAS:
                self._live.execute(pragma)
            fresh = True
        self._places.clear()
        self._live.execute("BEGIN IMMEDIATE")
        return fresh

    def put(self, new: NewObject) -> str:
        """As ``put_version``; the version's id. Raises BucketChanged or what ``check`` raises, with nothing done."""
        execute, place, key = self._live.execute, new.place, new.key.encode("utf-8", "surrogatepass")
        bucket, versioned = place.name, place.versioning == "Enabled"
        if bucket not in self._places:
            self._places[bucket] = read_bucket(self._live, bucket)
        if self._places[bucket] != place:
            raise BucketChanged(bucket)
        rows = execute(_CURRENT, (bucket, key)).fetchall()
        rank = -int(new.modified * 1_000_000)
        if new.check is not None:
            new.check(Current(rows[0][3], rows[0][4]) if rows and not rows[0][2] else None)
        if rows:
            rank = min(rank, rows[0][0] - 1)
            if not versioned:
                self.discard(execute(_DELETE_NULL, (bucket, key)).fetchall(), new.modified)
            if versioned or rows[0][1] != "null":
                execute(_HIDE, (bucket, key, rows[0][0]))
        version = new.version if versioned else "null"
        document = dumps(new.document)
        execute(_INSERT, (bucket, key, rank, version, new.size, new.etag, new.modified, new.blob, document))
        if new.unsynced is not None:
            execute(_KEEP_BYTES, (new.blob, new.unsynced))
        return version

    def discard(self, rows: Iterable[Sequence[str | None]], now: float) -> None:
        """Notes blobs, each the only column of a row, as garbage."""
        for (name,) in rows:
            if name is not None:
                self._live.execute(_DISCARD, (name, now))

    def newest_unsynced(self) -> int:
        """The number of the last bytes that were kept, 0 if there are none."""
        return int(self._live.execute(_NEWEST).fetchone()[0])

    def unsynced(self, after: int, limit: int) -> list[tuple[int, str, bytes]]:
        """Number, blob name and bytes of what is kept past ``after``, in order."""
        return self._live.execute(_UNSYNCED, (after, limit)).fetchall()

    def forget_unsynced(self, number: int) -> None:
        """Files up to ``number`` are on the disk."""
        self._live.execute(_FORGET_BYTES, (number,))

    def is_referenced(self, blob: str) -> bool:
        """Whether an object or a part has that blob."""
        return bool(self._live.execute(_REFERENCED, (blob, blob)).fetchone()[0])

    def commit(self) -> None:
        """Returns once all is on the disk; waits for it."""
        self._live.execute("COMMIT")

    def undo(self) -> None:
        """Nothing of the transaction is kept."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @property
    def _live(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("no transaction has begun")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None
