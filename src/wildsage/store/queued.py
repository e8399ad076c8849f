"""Requests of asynchronous endpoints, from the moment they are accepted until they are answered.

A row is a request that is not answered yet, whether it waits or is under way: whoever answers it takes the row away in
the transaction that says so, so that a crash leaves it to the next process. Numbers grow in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database, Write, metadata
from wildsage.store.facts import Fact, appending
from wildsage.store.outbox import Letter, post

queued_requests = Table(
    "queued_requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("received", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("document", Text, nullable=False),
    Column("body", LargeBinary),
    Index("queued_requests_endpoint", "endpoint", "id"),
    Index("queued_requests_expires", "expires"),
    sqlite_autoincrement=True,  # numbers are never used again: they tell which requests an earlier process had
)
_COLUMNS = queued_requests.c

# Made once, as in facts: making a statement costs more than running it.
_ADD = insert(queued_requests).returning(_COLUMNS.id)
_TAKE = delete(queued_requests).where(_COLUMNS.id == bindparam("number"))
_THERE = select(_COLUMNS.id).where(_COLUMNS.id == bindparam("number"))
_AFTER = (
    select(queued_requests)
    .where(_COLUMNS.endpoint == bindparam("endpoint"), _COLUMNS.id > bindparam("number"))
    .order_by(_COLUMNS.id)
    .limit(bindparam("most"))
)
_EXPIRED = select(queued_requests).where(_COLUMNS.expires <= bindparam("now")).limit(bindparam("most"))


class Answered(Exception):
    """The request is not there any more: it was answered, or its endpoint is gone."""


@dataclass(frozen=True, slots=True)
class Queued:
    """One request. ``endpoint``: the uid of its resource, so that one made anew is empty. Times are epoch seconds.

    ``document``: what was asked, and what was promised; ``body``: input that came with it.
    """

    endpoint: str
    received: float
    expires: float
    document: Document
    body: bytes | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """``oldest``: when the first of them was received."""

    count: int = 0
    oldest: float | None = None


def clearing(endpoint: str) -> Write:
    """Takes away all requests of an endpoint, in the transaction of something else."""
    statement = delete(queued_requests).where(_COLUMNS.endpoint == endpoint)

    def write(connection: Connection) -> None:
        connection.execute(statement)

    return write


class QueuedRequests:
    """The requests of all endpoints."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: Queued) -> int:
        """Its number. Durable on return."""
        row = {
            "endpoint": new.endpoint,
            "received": new.received,
            "expires": new.expires,
            "document": dumps(new.document),
            "body": new.body,
        }
        return await self._database.write(lambda connection: int(connection.execute(_ADD, row).scalar_one()))

    async def settle(
        self, number: int, topic: str, lines: Sequence[Fact], box: str, letters: Collection[Letter], now: float
    ) -> None:
        """It is answered: lines of the log, and letters that say so, are part of it. Raises Answered."""

        def work(connection: Connection) -> None:
            if connection.execute(_TAKE, {"number": number}).rowcount != 1:
                raise Answered(f"request {number} of an asynchronous endpoint")
            appending(topic, lines)(connection)
            post(connection, box, letters, now)

        await self._database.write(work)

    async def after(self, endpoint: str, number: int, limit: int) -> list[Queued]:
        """Requests that came after that one, the oldest first."""
        return await self._read(_AFTER, {"endpoint": endpoint, "number": number, "most": limit})

    async def expired(self, now: float, limit: int) -> list[Queued]:
        """Requests whose time in the queue is over, also those that are under way."""
        return await self._read(_EXPIRED, {"now": now, "most": limit})

    async def there(self, number: int) -> bool:
        """Whether it is not answered yet."""
        return await self._database.look(_THERE, {"number": number}) is not None

    async def last(self) -> int:
        """The number of the newest request that is there; 0 if there is none."""
        statement = select(func.max(_COLUMNS.id))
        return await self._database.read(lambda connection: connection.execute(statement).scalar() or 0)

    async def backlogs(self) -> Mapping[str, Backlog]:
        """Of each endpoint that has any."""
        statement = select(_COLUMNS.endpoint, func.count(), func.min(_COLUMNS.received)).group_by(_COLUMNS.endpoint)
        return await self._database.read(
            lambda connection: {uid: Backlog(count, oldest) for uid, count, oldest in connection.execute(statement)}
        )

    async def keep_only(self, endpoints: Collection[str]) -> None:
        """Takes away what was accepted for endpoints that are gone."""
        statement = delete(queued_requests).where(_COLUMNS.endpoint.not_in(list(endpoints)))
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def _read(self, statement: Select[Any], given: Mapping[str, Any]) -> list[Queued]:
        return await self._database.read(lambda connection: list(map(_queued, connection.execute(statement, given))))


def _queued(row: Row[Any]) -> Queued:
    return Queued(row.endpoint, row.received, row.expires, loads(row.document), row.body, row.id)
