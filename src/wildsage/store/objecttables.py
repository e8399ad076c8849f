"""The tables of the object index, and the blobs that nobody names any more.

Keys are UTF-8 bytes, because S3 lists them in the order of their bytes.  The versions of a key are ordered by
``rank``, newest first; the newest is the current one.  ``visible`` marks a current version that is not a delete
marker, and a partial index over it is what listings walk.

A blob whose last row goes is written to ``s3_garbage`` in the same transaction and taken off the disk some time
later, so that neither a crash loses track of it nor a reader loses it.

A small blob's bytes are also in ``s3_packs`` (those of one commit of the objects process in one row) or ``s3_unsynced``
(control's), from the transaction that makes its object until the disk is known to have its file: one flush of the
database makes many of them durable (``unsynced``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    insert,
    select,
    true,
    union_all,
)

from wildsage.store.database import Database, metadata

buckets = Table(
    "s3_buckets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("versioning", Text, nullable=False),
    Column("settings", Text, nullable=False),
)

objects = Table(
    "s3_objects",
    metadata,
    Column("bucket", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
    Column("visible", Boolean, nullable=False),
    Column("marker", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    Column("modified", Float, nullable=False),
    Column("blob", Text),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("bucket", "key", "rank"),
    sqlite_with_rowid=False,
)
Index("s3_objects_blob", objects.c.blob)
# A second database needs its own *_where here; naming one that is not in use would import its dialect at every start.
Index(
    "s3_objects_visible",
    objects.c.bucket,
    objects.c.key,
    unique=True,
    sqlite_where=objects.c.visible == true(),
)

uploads = Table(
    "s3_uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("bucket", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("initiated", Float, nullable=False),
    Column("document", Text, nullable=False),
    Index("s3_uploads_key", "bucket", "key", "id"),
)

parts = Table(
    "s3_parts",
    metadata,
    Column("upload", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("md5", LargeBinary, nullable=False),
    Column("modified", Float, nullable=False),
    Column("blob", Text, nullable=False, index=True),
    Column("checksums", Text, nullable=False),
    PrimaryKeyConstraint("upload", "number"),
)

garbage = Table(
    "s3_garbage",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", Float, nullable=False, index=True),
)

unsynced = Table(
    "s3_unsynced",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("bytes", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

packs = Table(
    "s3_packs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    # Before the bytes: who looks for a name reads only this.
    Column("contents", Text, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
)


# Blobs that something else than S3 names: the layers of images. Their own tables say which, but a start settles what a
# crash left before it knows of them.
held = Table("held_blobs", metadata, Column("name", Text, primary_key=True))


class NoBucket(Exception):
    """No bucket of that name."""


def discard(connection: Connection, names: Iterable[str | None], now: float) -> None:
    """Notes blobs (or buckets' folders, ``name/``) as garbage; None stands for no blob."""
    rows = [{"name": name, "since": now} for name in names if name is not None]
    if rows:
        connection.execute(delete(garbage).where(garbage.c.name.in_([row["name"] for row in rows])))
        connection.execute(insert(garbage), rows)


def hold(connection: Connection, name: str) -> None:
    """Somebody names the blob from now on."""
    connection.execute(insert(held).values(name=name))


def release(connection: Connection, names: Iterable[str], now: float) -> None:
    """Nobody names these blobs any more, which were held."""
    gone = list(names)
    connection.execute(delete(held).where(held.c.name.in_(gone)))
    discard(connection, gone, now)


class Garbage:
    """What is on disk and in no row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, before: float, limit: int) -> list[str]:
        """The oldest names noted at or before ``before`` (epoch seconds)."""
        statement = select(garbage.c.name).where(garbage.c.since <= before).order_by(garbage.c.since).limit(limit)
        return await self._database.read(lambda connection: list(connection.execute(statement).scalars()))

    async def next(self) -> float | None:
        """When the oldest was noted."""
        statement = select(garbage.c.since).order_by(garbage.c.since).limit(1)
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def forget(self, names: Collection[str]) -> None:
        """They are off the disk."""
        statement = delete(garbage).where(garbage.c.name.in_(list(names)))
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def referenced(self, names: Collection[str]) -> set[str]:
        """Those of ``names`` that an object or a part has, or that are held."""
        wanted = list(names)
        statement = union_all(
            select(objects.c.blob).where(objects.c.blob.in_(wanted)),
            select(parts.c.blob).where(parts.c.blob.in_(wanted)),
            select(held.c.name).where(held.c.name.in_(wanted)),
        )
        return await self._database.read(lambda connection: set(connection.execute(statement).scalars()))
