"""Writes of objects without SQLAlchemy: ``objectindex.put_version`` as statements on a connection of sqlite3.

The process that serves objects runs a batch of them on its event loop, at some 15 µs each, and only the commit, which
waits for the disk, in a thread.  ``tests/unit/store/test_directindex.py`` holds both ways against each other.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from wildsage.core.errors import ApiError
from wildsage.store.directindex import BucketRow, identity_of, open_direct, read_bucket
from wildsage.store.packs import pack, unpack
from wildsage.store.turn import Turn

NULL: Final = "null"
"""The version of what is written where there are none."""
_CURRENT = (
    "SELECT rank, version, marker, etag, modified FROM s3_objects WHERE bucket = ? AND key = ? ORDER BY rank LIMIT 1"
)
_NULLS = "SELECT rank, blob FROM s3_objects WHERE bucket = ? AND key = ? AND version = 'null'"
_CURRENT_OF = "SELECT key, rank, etag, modified, blob FROM s3_objects WHERE bucket = ? AND key IN (%s)"
# What is deleted was read before: RETURNING would cost five times what the rest of a write does.
_DELETE = "DELETE FROM s3_objects WHERE bucket = ? AND key = ? AND rank = ?"
_DISCARD = "INSERT OR REPLACE INTO s3_garbage (name, since) VALUES (?, ?)"
_HIDE = "UPDATE s3_objects SET visible = 0 WHERE bucket = ? AND key = ? AND rank = ?"
_INSERT = """
INSERT INTO s3_objects (bucket, key, rank, version, visible, marker, size, etag, modified, blob, document)
VALUES (?, ?, ?, ?, 1, 0, ?, ?, ?, ?, ?)
"""
_KEEP = "INSERT INTO s3_packs (number, contents, bytes) VALUES (?, ?, ?)"
_PACKS = "SELECT number, contents, bytes FROM s3_packs WHERE number > ? ORDER BY number LIMIT ?"
_FORGET = "DELETE FROM s3_packs WHERE number IN (%s)"
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

    ``document``: as JSON text (``codec.dumps``).

    ``check`` sees what was current (None for nothing or a delete marker) and may raise ApiError.
    """

    place: BucketRow
    key: str
    version: str
    modified: float
    size: int
    etag: str
    blob: str
    document: str
    unsynced: bytes | None = None
    check: Callable[[Current | None], None] | None = None


_Place = tuple[str, bytes]
"""Bucket and key."""


class _Replaced(NamedTuple):
    """The one version of a key in a bucket that never had versions."""

    rank: int
    etag: str
    modified: float
    blob: str


class DirectWrites:
    """Transactions on the SQLite file ``path``, one at a time: ``begin``, ``put_all`` …, ``commit`` or ``undo``.

    For one thread after another. All raise sqlite3.Error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.turn = Turn(path)
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._last_pack = 0
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

    def put_all(self, news: Sequence[NewObject]) -> list[str | ApiError | BucketChanged]:
        """As ``put_version`` for each in order; the version's id, or what its ``check`` had against it."""
        outcomes: list[str | ApiError | BucketChanged] = [NULL] * len(news)
        gathered: dict[_Place, int] = {}
        for number, new in enumerate(news):
            where = (new.place.name, new.key.encode("utf-8", "surrogatepass"))
            if not self._is_current(new.place):
                outcomes[number] = BucketChanged(new.place.name)
            elif new.place.versioning:
                try:
                    outcomes[number] = self._put_version(where, new)
                except ApiError as error:
                    outcomes[number] = error
            else:
                if where in gathered:  # whatever comes later sees what came earlier
                    self._put_plain(gathered, news, outcomes)
                    gathered = {}
                gathered[where] = number
        if gathered:
            self._put_plain(gathered, news, outcomes)
        return outcomes

    def _is_current(self, place: BucketRow) -> bool:
        if place.name not in self._places:
            self._places[place.name] = read_bucket(self._live, place.name)
        return self._places[place.name] == place

    def _put_plain(
        self, gathered: Mapping[_Place, int], news: Sequence[NewObject], outcomes: list[str | ApiError | BucketChanged]
    ) -> None:
        """Objects of different names in buckets that never had versions: few statements for all of them."""
        current = self._current_of(gathered)
        inserted, deleted, discarded = [], [], []
        for where, number in gathered.items():
            new = news[number]
            rank, old = _rank_of(new), current.get(where)
            if new.check is not None:
                try:
                    new.check(None if old is None else Current(old.etag, old.modified))
                except ApiError as error:
                    outcomes[number] = error
                    continue
            if old is not None:
                rank = min(rank, old.rank - 1)
                deleted.append((*where, old.rank))
                discarded.append((old.blob, new.modified))
            inserted.append((*where, rank, NULL, new.size, new.etag, new.modified, new.blob, new.document))
        if deleted:
            self._live.executemany(_DELETE, deleted)
            self._live.executemany(_DISCARD, discarded)
        self._live.executemany(_INSERT, inserted)

    def _current_of(self, gathered: Iterable[_Place]) -> dict[_Place, _Replaced]:
        keys: dict[str, list[bytes]] = {}
        for bucket, key in gathered:
            keys.setdefault(bucket, []).append(key)
        found = {}
        for bucket, wanted in keys.items():
            statement = _CURRENT_OF % ",".join("?" * len(wanted))
            for key, *replaced in self._live.execute(statement, (bucket, *wanted)):
                found[bucket, key] = _Replaced(*replaced)
        return found

    def _put_version(self, where: _Place, new: NewObject) -> str:
        """One object in a bucket that has or had versions. Raises what ``check`` raises, with nothing done."""
        execute, versioned = self._live.execute, new.place.versioning == "Enabled"
        rows = execute(_CURRENT, where).fetchall()
        rank = _rank_of(new)
        if new.check is not None:
            new.check(Current(rows[0][3], rows[0][4]) if rows and not rows[0][2] else None)
        if rows:
            rank = min(rank, rows[0][0] - 1)
            if not versioned:
                for old, blob in execute(_NULLS, where).fetchall():
                    execute(_DELETE, (*where, old))
                    if blob is not None:
                        execute(_DISCARD, (blob, new.modified))
            if versioned or rows[0][1] != NULL:
                execute(_HIDE, (*where, rows[0][0]))
        version = new.version if versioned else NULL
        execute(_INSERT, (*where, rank, version, new.size, new.etag, new.modified, new.blob, new.document))
        return version

    def keep(self, blobs: Sequence[tuple[str, bytes]]) -> int:
        """Keeps names and bytes of blobs whose files may not be on the disk yet; the number of their pack."""
        # By time, so that none is used again after it was forgotten, in another process either.
        self._last_pack = max(self._last_pack + 1, time.time_ns() // 1000)
        self._live.execute(_KEEP, (self._last_pack, *pack(blobs)))
        return self._last_pack

    def packs(self, after: int, limit: int) -> list[tuple[int, list[tuple[str, bytes]]]]:
        """Numbers past ``after`` and blobs of what is kept, in order."""
        found = self._live.execute(_PACKS, (after, limit))
        return [(number, unpack(contents, joined)) for number, contents, joined in found]

    def forget(self, packs: Sequence[int]) -> None:
        """Nobody needs the bytes of these any more."""
        self._live.execute(_FORGET % ",".join("?" * len(packs)), packs)

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


def _rank_of(new: NewObject) -> int:
    """The later, the smaller."""
    return -int(new.modified * 1_000_000)
