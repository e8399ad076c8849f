"""The object index without SQLAlchemy: statements as text, for the process that serves objects.

A read through SQLAlchemy and a thread costs some 300 µs, here it is 20; and the process is spared 15 MB.  The tables
are those of ``objecttables``; ``tests/unit/store/test_directindex.py`` holds both against each other.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wildsage.store.codec import Document, loads

_FIND = """
SELECT b.account, b.region, b.versioning, b.settings,
       o.version, o.marker, o.size, o.etag, o.modified, o.blob, o.document
FROM s3_buckets AS b JOIN s3_objects AS o ON o.bucket = b.name
WHERE b.name = ? AND o.key = ?
ORDER BY o.rank LIMIT 1
"""
_NAMED = "SELECT blob FROM s3_objects WHERE blob IN (%s)"
_BUCKET = "SELECT name, account, region, versioning, settings FROM s3_buckets WHERE name = ?"


@dataclass(slots=True)
class Held:
    """The current version of a key and the bucket it is in. ``settings``: the bucket's documents, as JSON text."""

    account: str
    region: str
    versioning: str
    settings: str
    version: str
    marker: bool
    size: int
    etag: str
    modified: float
    blob: str | None
    document: Document


class BucketRow(NamedTuple):
    """A bucket. ``settings``: its documents, as JSON text."""

    name: str
    account: str
    region: str
    versioning: str
    settings: str


class DirectIndex:
    """The index in the SQLite file ``path``, which another process makes; for one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Lets go of a file that another has taken the place of."""
        if self._file is not None and self._file != identity_of(self._path):
            self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def find(self, bucket: str, key: str) -> Held | None:
        """The current version, which may be a delete marker; None if there is none. Raises sqlite3.Error."""
        connection = self._connection or self._open()
        rows = connection.execute(_FIND, (bucket, key.encode("utf-8", "surrogatepass"))).fetchall()
        if not rows:
            return None
        account, region, versioning, settings, version, marker, size, etag, modified, blob, document = rows[0]
        return Held(account, region, versioning, settings, version, marker, size, etag, modified, blob, loads(document))

    def bucket(self, name: str) -> BucketRow | None:
        """The bucket of that name. Raises sqlite3.Error."""
        return read_bucket(self._connection or self._open(), name)

    def named(self, blobs: Sequence[str]) -> set[str]:
        """Those that an object has. Raises sqlite3.Error."""
        connection = self._connection or self._open()
        statement = _NAMED % ",".join("?" * len(blobs))
        return {blob for (blob,) in connection.execute(statement, blobs)}

    def _open(self) -> sqlite3.Connection:
        connection = open_direct(self._path)
        self._connection, self._file = connection, identity_of(self._path)
        return connection


def read_bucket(connection: sqlite3.Connection, name: str) -> BucketRow | None:
    """The bucket of that name, if there is one."""
    rows = connection.execute(_BUCKET, (name,)).fetchall()
    return BucketRow(*rows[0]) if rows else None


def open_direct(path: Path) -> sqlite3.Connection:
    """A connection to a database that exists. Raises sqlite3.OperationalError where there is none."""
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=10000")
    return connection


def identity_of(path: Path) -> tuple[int, int] | None:
    """Tells a file from another that takes its place; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every batch
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
