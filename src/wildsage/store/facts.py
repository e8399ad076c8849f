"""Facts: things that happened, in order, never changed. Log events, activities, audit records.

A fact belongs to a ``stream`` of a ``topic``.  A *cursor* is a number saved in the same transaction as the facts that
were read up to it, so that whoever copies from elsewhere (a container's log file) neither loses nor repeats a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Table, Text, and_, delete, insert, or_, select

from wildsage.store.database import Database, Write, metadata, together

facts = Table(
    "facts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("ingested", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("facts_stream", "topic", "stream", "at", "id"),
    Index("facts_topic", "topic", "at", "id"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """``at`` and ``ingested``: milliseconds since the epoch. ``number``: its place among facts of the same time."""

    stream: str
    at: int
    ingested: int
    body: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Which facts to read: ``streams`` empty means all of the topic; ``since``/``until`` in ms (until exclusive).

    ``after``: (at, number) of the fact to go on from, exclusive; with ``backward`` the facts before it, newest first.
    """

    topic: str
    streams: Sequence[str] = ()
    since: int | None = None
    until: int | None = None
    after: tuple[int, int] | None = None
    backward: bool = False
    limit: int = 1000


def appending(topic: str, new: Sequence[Fact]) -> Write:
    """Adds facts in the transaction of something else."""
    rows = [
        {"topic": topic, "stream": fact.stream, "at": fact.at, "ingested": fact.ingested, "body": fact.body}
        for fact in new
    ]

    def write(connection: Connection) -> None:
        if rows:
            connection.execute(insert(facts), rows)

    return write


class Facts:
    """The table of facts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self,
        topic: str,
        new: Sequence[Fact],
        cursor: str | None = None,
        position: int | None = None,
        beside: Sequence[Write] = (),
    ) -> None:
        """Adds facts and, in the same transaction, moves ``cursor`` to ``position`` and does what is ``beside``."""

        def work(connection: Connection) -> None:
            together(connection, (appending(topic, new), *beside))
            if cursor is not None:
                connection.execute(delete(cursors).where(cursors.c.name == cursor))
                connection.execute(insert(cursors).values(name=cursor, position=position))

        await self._database.write(work)

    async def cursor(self, name: str) -> int:
        """Where ``name`` stands; 0 if it never moved."""
        statement = select(cursors.c.position).where(cursors.c.name == name)
        return await self._database.read(lambda connection: connection.execute(statement).scalar() or 0)

    async def read(self, window: Window) -> list[Fact]:
        """Facts of the window in its direction, at most ``limit``."""
        columns = facts.c
        conditions = [columns.topic == window.topic]
        if window.streams:
            conditions.append(columns.stream.in_(list(window.streams)))
        if window.since is not None:
            conditions.append(columns.at >= window.since)
        if window.until is not None:
            conditions.append(columns.at < window.until)
        if window.after is not None:
            at, number = window.after
            beyond = columns.at < at if window.backward else columns.at > at
            within = columns.id < number if window.backward else columns.id > number
            conditions.append(or_(beyond, and_(columns.at == at, within)))
        order = (columns.at.desc(), columns.id.desc()) if window.backward else (columns.at.asc(), columns.id.asc())
        statement = select(facts).where(*conditions).order_by(*order).limit(window.limit)
        return await self._database.read(
            lambda connection: [
                Fact(row.stream, row.at, row.ingested, row.body, row.id) for row in connection.execute(statement)
            ]
        )

    async def forget(self, topic: str, stream: str | None = None, before: int | None = None) -> None:
        """Deletes a topic, one of its streams, or what is older than ``before`` (ms)."""
        conditions = [facts.c.topic == topic]
        if stream is not None:
            conditions.append(facts.c.stream == stream)
        if before is not None:
            conditions.append(facts.c.at < before)
        await self._database.write(lambda connection: connection.execute(delete(facts).where(*conditions)) and None)
