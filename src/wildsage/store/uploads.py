"""Multipart uploads under way and their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from wildsage.store.buckets import find_bucket
from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database
from wildsage.store.objectindex import ObjectVersion, Tell, decode_key, encode_key, put_version
from wildsage.store.objecttables import discard, parts, uploads


class NoUpload(Exception):
    """No upload of that id under that bucket and key: never begun, completed or aborted."""


@dataclass(frozen=True, slots=True)
class Upload:
    """``initiated`` in epoch seconds; ``document``: what the object will have."""

    id: str
    bucket: str
    key: str
    initiated: float
    document: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """``md5`` is raw; ``checksums``: algorithm → raw digest."""

    number: int
    size: int
    md5: bytes
    modified: float
    blob: str
    checksums: dict[str, bytes] = field(default_factory=dict)


def read_upload(row: Row[Any]) -> Upload:
    return Upload(row.id, row.bucket, decode_key(row.key), row.initiated, loads(row.document))


def _read_part(row: Row[Any]) -> Part:
    return Part(row.number, row.size, row.md5, row.modified, row.blob, loads(row.checksums))


def _find(connection: Connection, bucket: str, key: str, identity: str) -> Upload:
    find_bucket(connection, bucket)
    row = connection.execute(select(uploads).where(uploads.c.id == identity)).first()
    if row is None or row.bucket != bucket or row.key != encode_key(key):
        raise NoUpload(identity)
    return read_upload(row)


def _end(connection: Connection, identity: str, now: float) -> None:
    """Takes an upload and its parts away."""
    blobs = connection.execute(delete(parts).where(parts.c.upload == identity).returning(parts.c.blob))
    discard(connection, blobs.scalars().all(), now)
    connection.execute(delete(uploads).where(uploads.c.id == identity))


class Uploads:
    """The tables of uploads and parts. Methods raise NoBucket or NoUpload where what they name is not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, upload: Upload) -> None:
        def work(connection: Connection) -> None:
            find_bucket(connection, upload.bucket)
            connection.execute(
                insert(uploads).values(
                    id=upload.id,
                    bucket=upload.bucket,
                    key=encode_key(upload.key),
                    initiated=upload.initiated,
                    document=dumps(upload.document),
                )
            )

        await self._database.write(work)

    async def get(self, bucket: str, key: str, identity: str) -> Upload:
        return await self._database.read(lambda connection: _find(connection, bucket, key, identity))

    async def put_part(self, bucket: str, key: str, identity: str, part: Part) -> None:
        """Adds a part or replaces the one of that number."""
        mine = (parts.c.upload == identity, parts.c.number == part.number)

        def work(connection: Connection) -> None:
            _find(connection, bucket, key, identity)
            replaced = connection.execute(delete(parts).where(*mine).returning(parts.c.blob)).scalars().all()
            discard(connection, replaced, part.modified)
            connection.execute(
                insert(parts).values(
                    upload=identity,
                    number=part.number,
                    size=part.size,
                    md5=part.md5,
                    modified=part.modified,
                    blob=part.blob,
                    checksums=dumps(part.checksums),
                )
            )

        await self._database.write(work)

    async def parts(self, bucket: str, key: str, identity: str, after: int, limit: int) -> tuple[Upload, list[Part]]:
        """The upload and its parts numbered beyond ``after``, in order."""
        statement = (
            select(parts)
            .where(parts.c.upload == identity, parts.c.number > after)
            .order_by(parts.c.number)
            .limit(limit)
        )

        def work(connection: Connection) -> tuple[Upload, list[Part]]:
            upload = _find(connection, bucket, key, identity)
            return upload, [_read_part(row) for row in connection.execute(statement)]

        return await self._database.read(work)

    async def complete(
        self,
        identity: str,
        chosen: Sequence[Part],
        new: ObjectVersion,
        check: Callable[[ObjectVersion | None], None] | None,
        tell: Tell | None = None,
    ) -> ObjectVersion:
        """Makes ``new`` of the upload and ends it, in one transaction; ``check`` and ``tell`` as for ``put_version``.

        Raises NoUpload also if a chosen part was replaced meanwhile.
        """

        def work(connection: Connection) -> ObjectVersion:
            _find(connection, new.bucket, new.key, identity)
            there = set(connection.execute(select(parts.c.blob).where(parts.c.upload == identity)).scalars())
            if not there.issuperset(part.blob for part in chosen):
                raise NoUpload(identity)
            made = put_version(connection, new, check, tell)
            _end(connection, identity, new.modified)
            return made

        return await self._database.write(work)

    async def abort(self, bucket: str, key: str, identity: str, now: float) -> None:
        def work(connection: Connection) -> None:
            _find(connection, bucket, key, identity)
            _end(connection, identity, now)

        await self._database.write(work)
