"""Buckets: their names are unique over all accounts and regions, as in AWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database
from wildsage.store.objecttables import NoBucket, buckets, discard, objects, parts, uploads

_BY_NAME = select(buckets).where(buckets.c.name == bindparam("wanted"))


class BucketExists(Exception):
    """The name is taken; ``existing`` has it."""

    def __init__(self, existing: Bucket) -> None:
        super().__init__(existing.name)
        self.existing = existing


class NotEmpty(Exception):
    """The bucket has objects, versions or delete markers."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """``versioning``: empty, ``Enabled`` or ``Suspended``. ``settings``: configuration documents by name."""

    name: str
    account: str
    region: str
    created: float
    versioning: str = ""
    settings: Document = field(default_factory=dict)


def read_bucket(row: Row[Any]) -> Bucket:
    return Bucket(row.name, row.account, row.region, row.created, row.versioning, loads(row.settings))


def find_bucket(connection: Connection, name: str) -> Bucket:
    """Raises NoBucket."""
    row = connection.execute(_BY_NAME, {"wanted": name}).first()
    if row is None:
        raise NoBucket(name)
    return read_bucket(row)


def _values(bucket: Bucket) -> dict[str, Any]:
    return {"versioning": bucket.versioning, "settings": dumps(bucket.settings)}


class Buckets:
    """The table of buckets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, bucket: Bucket) -> None:
        """Raises BucketExists."""

        def work(connection: Connection) -> None:
            row = connection.execute(select(buckets).where(buckets.c.name == bucket.name)).first()
            if row is not None:
                raise BucketExists(read_bucket(row))
            connection.execute(
                insert(buckets).values(
                    name=bucket.name,
                    account=bucket.account,
                    region=bucket.region,
                    created=bucket.created,
                    **_values(bucket),
                )
            )

        await self._database.write(work)

    async def get(self, name: str) -> Bucket:
        """Raises NoBucket."""
        return await self._database.read(lambda connection: find_bucket(connection, name))

    async def edit(self, name: str, change: Callable[[Bucket], Bucket]) -> Bucket:
        """Replaces versioning and settings by those of ``change``'s answer. Raises NoBucket, or what it raises."""

        def work(connection: Connection) -> Bucket:
            changed = change(find_bucket(connection, name))
            connection.execute(update(buckets).where(buckets.c.name == name).values(**_values(changed)))
            return changed

        return await self._database.write(work)

    async def set(self, name: str, setting: str, value: Any) -> None:
        """Stores one configuration document, or takes it away if ``value`` is None. Raises NoBucket."""

        def change(bucket: Bucket) -> Bucket:
            settings = {key: kept for key, kept in bucket.settings.items() if key != setting}
            if value is not None:
                settings[setting] = value
            return replace(bucket, settings=settings)

        await self.edit(name, change)

    async def remove(self, name: str, now: float) -> None:
        """Takes away an empty bucket and its unfinished uploads. Raises NoBucket or NotEmpty."""

        def work(connection: Connection) -> None:
            find_bucket(connection, name)
            if connection.execute(select(objects.c.rank).where(objects.c.bucket == name).limit(1)).first() is not None:
                raise NotEmpty(name)
            mine = select(uploads.c.id).where(uploads.c.bucket == name)
            blobs = connection.execute(delete(parts).where(parts.c.upload.in_(mine)).returning(parts.c.blob))
            discard(connection, [*blobs.scalars(), f"{name}/"], now)
            connection.execute(delete(uploads).where(uploads.c.bucket == name))
            connection.execute(delete(buckets).where(buckets.c.name == name))

        await self._database.write(work)

    async def page(self, account: str, prefix: str, region: str, after: str, limit: int) -> list[Bucket]:
        """An account's buckets in the order of names, past ``after``; empty prefix and region mean all."""
        conditions = [buckets.c.account == account, buckets.c.name > after]
        if prefix:
            conditions += [buckets.c.name >= prefix, buckets.c.name < f"{prefix}\U0010ffff"]
        if region:
            conditions.append(buckets.c.region == region)
        statement = select(buckets).where(*conditions).order_by(buckets.c.name).limit(limit)
        return await self._database.read(lambda connection: [read_bucket(row) for row in connection.execute(statement)])
