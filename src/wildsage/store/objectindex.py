"""Which object is where: the versions of every key and what is known of them.

Functions of a connection are for transactions that do more than one thing; :class:`ObjectIndex` is what services use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from wildsage.core.errors import ApiError
from wildsage.store.buckets import Bucket, find_bucket
from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database
from wildsage.store.objecttables import discard, objects, unsynced
from wildsage.store.outbox import Letter, post

NULL_VERSION = "null"
EVENTS = "s3"
"""The outbox of what happened to objects."""

# Built once: every request runs them.
_VERSIONS = select(objects).where(objects.c.bucket == bindparam("bucket"), objects.c.key == bindparam("key"))
_NEWEST = _VERSIONS.order_by(objects.c.rank).limit(1)
_ONE = _VERSIONS.where(objects.c.version == bindparam("version"))


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of one key.

    ``version``: its id, ``null`` where the bucket was not versioned. ``marker``: a delete marker, which has no blob.
    ``etag`` without quotes; ``modified`` in epoch seconds; ``document``: headers, metadata, checksums, parts, tags.
    """

    bucket: str
    key: str
    version: str
    modified: float
    size: int = 0
    etag: str = ""
    blob: str | None = None
    marker: bool = False
    rank: int = 0
    document: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A bucket and what it has under a key, if anything; a delete marker counts as something."""

    bucket: Bucket
    object: ObjectVersion | None


Tell = Callable[[Bucket, ObjectVersion], Iterable[Letter]]
"""What others are told of an object that was written; posted to ``EVENTS`` in the same transaction."""


@dataclass(frozen=True, slots=True)
class Removed:
    """``version``: the id of what was deleted or of the marker that was made, None in a bucket without versions.

    ``marker``: that version is a delete marker. ``made``: it was made just now.
    """

    version: str | None
    marker: bool = False
    made: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """What to delete: one version, or with ``version`` None the current object.

    ``marker``: the version id of the delete marker that a versioned bucket gets instead. ``check`` sees the object and
    may raise ApiError. ``tell``: what others are told where something went, as ``Tell``.
    """

    key: str
    version: str | None
    marker: str
    check: Callable[[ObjectVersion | None], None] | None = None
    tell: Callable[[Bucket, str, Removed], Iterable[Letter]] | None = None


def encode_key(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def decode_key(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def read_version(row: Sequence[Any]) -> ObjectVersion:
    """A row of ``select(objects)``; unpacked, because listings read a thousand."""
    bucket, key, rank, version, _, marker, size, etag, modified, blob, document = row
    return ObjectVersion(
        bucket=bucket,
        key=decode_key(key),
        version=version,
        modified=modified,
        size=size,
        etag=etag,
        blob=blob,
        marker=marker,
        rank=rank,
        document=loads(document),
    )


def find_version(connection: Connection, bucket: str, key: str, version: str | None) -> ObjectVersion | None:
    """That version, or the current one for None."""
    params = {"bucket": bucket, "key": encode_key(key)}
    if version is None:
        row = connection.execute(_NEWEST, params).first()
    else:
        row = connection.execute(_ONE, {**params, "version": version}).first()
    return None if row is None else read_version(row)


def put_version(
    connection: Connection,
    new: ObjectVersion,
    check: Callable[[ObjectVersion | None], None] | None,
    tell: Tell | None = None,
    bytes_of: bytes | None = None,
) -> ObjectVersion:
    """Makes ``new`` the current version; ``new.version`` counts only where the bucket is versioned.

    ``bytes_of``: the bytes of its blob, whose file may not be on the disk yet.
    ``check`` sees what was current (None for nothing or a delete marker) and may raise. Raises NoBucket.
    """
    bucket = find_bucket(connection, new.bucket)
    current = find_version(connection, new.bucket, new.key, None)
    if check is not None:
        check(None if current is None or current.marker else current)
    if bucket.versioning != "Enabled":
        new = replace(new, version=NULL_VERSION)
        if current is not None:
            _delete_rows(connection, new.bucket, new.key, NULL_VERSION, new.modified)
    rank = -int(new.modified * 1_000_000)
    if current is not None:
        rank = min(rank, current.rank - 1)
        _show(connection, current, False)
    made = _insert(connection, replace(new, rank=rank))
    if bytes_of is not None:
        connection.execute(insert(unsynced).values(name=new.blob, bytes=bytes_of))
    if tell is not None:
        post(connection, EVENTS, tell(bucket, made), new.modified)
    return made


def remove_version(connection: Connection, bucket: Bucket, removal: Removal, now: float) -> Removed:
    """Deletes as S3 does (User Guide, "Deleting object versions"); deleting what is not there is no error."""
    name, key = bucket.name, removal.key
    current = find_version(connection, name, key, None)
    if removal.version is not None:
        return _remove_one(connection, bucket, removal, removal.version, current, now)
    if removal.check is not None:
        removal.check(None if current is None or current.marker else current)
    if not bucket.versioning:
        _delete_rows(connection, name, key, NULL_VERSION, now)
        removed = Removed(None)
        if current is not None:
            _tell(connection, bucket, removal, removed, now)
        return removed
    marker = put_version(
        connection, ObjectVersion(bucket=name, key=key, version=removal.marker, modified=now, marker=True), None
    )
    removed = Removed(marker.version, marker=True, made=True)
    _tell(connection, bucket, removal, removed, now)
    return removed


def _tell(connection: Connection, bucket: Bucket, removal: Removal, removed: Removed, now: float) -> None:
    if removal.tell is not None:
        post(connection, EVENTS, removal.tell(bucket, removal.key, removed), now)


def _remove_one(
    connection: Connection, bucket: Bucket, removal: Removal, version: str, current: ObjectVersion | None, now: float
) -> Removed:
    found = find_version(connection, bucket.name, removal.key, version)
    if removal.check is not None:
        removal.check(found)
    if found is None:
        return Removed(version)
    _delete_rows(connection, bucket.name, removal.key, version, now)
    if current is not None and current.rank == found.rank:
        following = find_version(connection, bucket.name, removal.key, None)
        if following is not None and not following.marker:
            _show(connection, following, True)
    removed = Removed(version, marker=found.marker)
    _tell(connection, bucket, removal, removed, now)
    return removed


def _insert(connection: Connection, new: ObjectVersion) -> ObjectVersion:
    connection.execute(
        insert(objects).values(
            bucket=new.bucket,
            key=encode_key(new.key),
            rank=new.rank,
            version=new.version,
            visible=not new.marker,
            marker=new.marker,
            size=new.size,
            etag=new.etag,
            modified=new.modified,
            blob=new.blob,
            document=dumps(new.document),
        )
    )
    return new


def _show(connection: Connection, version: ObjectVersion, visible: bool) -> None:
    connection.execute(
        update(objects)
        .where(
            objects.c.bucket == version.bucket,
            objects.c.key == encode_key(version.key),
            objects.c.rank == version.rank,
        )
        .values(visible=visible)
    )


def _delete_rows(connection: Connection, bucket: str, key: str, version: str, now: float) -> None:
    statement = delete(objects).where(
        objects.c.bucket == bucket, objects.c.key == encode_key(key), objects.c.version == version
    )
    discard(connection, connection.execute(statement.returning(objects.c.blob)).scalars().all(), now)


class ObjectIndex:
    """The table of objects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, bucket: str, key: str, version: str | None = None) -> Found:
        """Raises NoBucket."""

        def work(connection: Connection) -> Found:
            return Found(find_bucket(connection, bucket), find_version(connection, bucket, key, version))

        return await self._database.read(work)

    async def put(
        self,
        new: ObjectVersion,
        check: Callable[[ObjectVersion | None], None] | None = None,
        tell: Tell | None = None,
        bytes_of: bytes | None = None,
    ) -> ObjectVersion:
        """As ``put_version``; durable on return."""
        return await self._database.write(lambda connection: put_version(connection, new, check, tell, bytes_of))

    async def remove(self, bucket: str, removals: Sequence[Removal], now: float) -> list[Removed | ApiError]:
        """As ``remove_version``, for each; what a ``check`` raised takes the place of its result. Raises NoBucket."""

        def one(connection: Connection, found: Bucket, removal: Removal) -> Removed | ApiError:
            try:
                return remove_version(connection, found, removal, now)
            except ApiError as error:
                return error  # a check comes before the first change

        def work(connection: Connection) -> list[Removed | ApiError]:
            found = find_bucket(connection, bucket)
            return [one(connection, found, removal) for removal in removals]

        return await self._database.write(work)

    async def edit(
        self,
        bucket: str,
        key: str,
        version: str | None,
        change: Callable[[Found], Document],
        now: float = 0.0,
        tell: Tell | None = None,
    ) -> ObjectVersion:
        """Replaces a version's document by what ``change`` makes of it; ``change`` raises where there is none.

        ``now`` is when others are told, if they are.
        """

        def work(connection: Connection) -> ObjectVersion:
            found = Found(find_bucket(connection, bucket), find_version(connection, bucket, key, version))
            document = change(found)
            if found.object is None:
                raise LookupError(key)
            connection.execute(
                update(objects)
                .where(
                    objects.c.bucket == bucket,
                    objects.c.key == encode_key(key),
                    objects.c.rank == found.object.rank,
                )
                .values(document=dumps(document))
            )
            edited = replace(found.object, document=document)
            if tell is not None:
                post(connection, EVENTS, tell(found.bucket, edited), now)
            return edited

        return await self._database.write(work)
