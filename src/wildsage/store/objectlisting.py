"""Listings by seeks: a page costs the same at any depth of any bucket (see ``objectwalk``).

Every page of a client reads up to 1,001 rows, so statements are built once for all walks, and current objects are read
with the columns that listings show and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, bindparam, select, tuple_

from wildsage.store.database import Database
from wildsage.store.objectfold import fold
from wildsage.store.objectindex import ObjectVersion, decode_key, encode_key, find_version, read_version
from wildsage.store.objectshown import SHOWN, Shown, read_shown, visible
from wildsage.store.objecttables import objects, uploads
from wildsage.store.objectwalk import Entry, Page, Walk, beyond
from wildsage.store.uploads import Upload, read_upload

T = TypeVar("T")
_FIRST_RANK = -(2**63)
_FIRST_BATCH = 8  # rows read after a jump; grows while no jump follows


class _Source(Generic[T]):
    """Rows in the order of ``key`` and, if a key has several, of ``mark``."""

    def __init__(self, table: Table, read: Callable[[Row[Any]], T], mark: ColumnElement[Any]) -> None:
        self.read = read
        self.mark = str(mark.key)
        columns = table.c
        statement = (
            select(table)
            .where(columns.bucket == bindparam("bucket"), columns.key < bindparam("top"))
            .order_by(columns.key, mark)
            .limit(bindparam("size"))
        )
        self.at = statement.where(columns.key >= bindparam("bound"))
        self.within = statement.where(tuple_(columns.key, mark) > tuple_(bindparam("bound"), bindparam("past")))


@dataclass(frozen=True, slots=True)
class _Bound:
    """Where to go on: at ``key``, or within it past ``mark``. ``jumped``: it is past a common prefix."""

    key: bytes
    mark: Any = None
    jumped: bool = False


_CURRENT: Final[Select[Any]] = visible(
    select(*SHOWN)
    .where(objects.c.key >= bindparam("bound"), objects.c.key < bindparam("top"))
    .order_by(objects.c.key)
    .limit(bindparam("size"))
)
_VERSIONS = _Source(objects, read_version, objects.c.rank)
_UPLOADS = _Source(uploads, read_upload, uploads.c.id)


class Listing:
    """Pages of a bucket. None of them raises for a bucket that is not there: it is empty."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, walk: Walk) -> Page[Shown]:
        """Objects as ListObjects shows them."""
        return await self._database.read(lambda connection: _current(connection, walk))

    async def versions(self, walk: Walk) -> Page[ObjectVersion]:
        """All versions and delete markers, newest first within a key."""
        return await self._database.read(lambda connection: _Walker(connection, _VERSIONS, walk).page())

    async def rank(self, bucket: str, key: str, version: str) -> int:
        """The mark after which the versions past ``version`` come; before all of the key's if it is not there."""

        def work(connection: Connection) -> int:
            found = find_version(connection, bucket, key, version)
            return _FIRST_RANK if found is None else found.rank

        return await self._database.read(work)

    async def uploads(self, walk: Walk) -> Page[Upload]:
        """Multipart uploads under way."""
        return await self._database.read(lambda connection: _Walker(connection, _UPLOADS, walk).page())


def _current(connection: Connection, walk: Walk) -> Page[Shown]:
    limit = walk.limit
    if walk.delimiter and _folds(walk, _range(connection, walk, _FIRST_BATCH)):
        return fold(connection, walk)
    rows = _range(connection, walk, limit + 1)
    if walk.delimiter and _folds(walk, rows):
        return fold(connection, walk)
    # A folder without folders is a plain range after all, at a third of the price.
    shown = [read_shown(row) for row in rows[:limit]]
    return Page([Entry(item.key, item) for item in shown], len(rows) > limit)


def _range(connection: Connection, walk: Walk, size: int) -> Sequence[Row[Any]]:
    params = {"bucket": walk.bucket, "bound": walk.start(), "top": walk.top(), "size": size}
    return connection.execute(_CURRENT, params).all()


def _folds(walk: Walk, rows: Sequence[Row[Any]]) -> bool:
    """Whether any of the rows counts as a common prefix."""
    delimiter, past = encode_key(walk.delimiter), len(encode_key(walk.prefix))
    return any(row.key.find(delimiter, past) >= 0 for row in rows)


class _Walker(Generic[T]):
    def __init__(self, connection: Connection, source: _Source[T], walk: Walk) -> None:
        self._connection = connection
        self._source = source
        self._walk = walk

    def page(self) -> Page[T]:
        found: list[tuple[bytes, Row[Any] | None]] = []
        bound = self._start()
        limit = self._walk.limit
        most = limit + 1
        size = min(_FIRST_BATCH, most) if self._walk.delimiter else most
        while len(found) <= limit:
            rows = self._rows(bound, size)
            past = self._gather(rows, found, most)
            if len(rows) < size:
                break
            size = _FIRST_BATCH if past.jumped else min(size * 4, most)
            bound = past
        entries = [
            Entry(decode_key(name), None if row is None else self._source.read(row)) for name, row in found[:limit]
        ]
        return Page(entries, len(found) > limit)

    def _gather(self, rows: list[Row[Any]], found: list[tuple[bytes, Row[Any] | None]], most: int) -> _Bound:
        """Adds the entries of ``rows`` to ``found``, up to ``most``; where to go on after them."""
        past = _Bound(b"")
        for row in rows:
            if row.key < past.key:
                continue
            folded = self._walk.common_prefix(row.key)
            if folded is None:
                found.append((row.key, row))
                past = self._past(row)
            else:
                found.append((folded, None))
                past = _Bound(beyond(folded), jumped=True)
            if len(found) == most:
                break
        return past

    def _past(self, row: Row[Any]) -> _Bound:
        return _Bound(row.key, getattr(row, self._source.mark))

    def _start(self) -> _Bound:
        if self._walk.mark is not None and encode_key(self._walk.after) >= encode_key(self._walk.prefix):
            return _Bound(encode_key(self._walk.after), self._walk.mark)
        return _Bound(self._walk.start())

    def _rows(self, bound: _Bound, size: int) -> list[Row[Any]]:
        params = {"bucket": self._walk.bucket, "bound": bound.key, "top": self._walk.top(), "size": size}
        if bound.mark is None:
            return list(self._connection.execute(self._source.at, params))
        return list(self._connection.execute(self._source.within, {**params, "past": bound.mark}))
