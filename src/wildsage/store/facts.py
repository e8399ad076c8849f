"""Facts: things that happened, in order, never changed. Log events, activities, audit records.

A fact belongs to a ``stream`` of a ``topic``.  A *cursor* is a number saved in the same transaction as the facts that
were read up to it, so that whoever copies from elsewhere (a container's log file) neither loses nor repeats a line.

Facts of one stream and moment that are appended together share rows, a few hundred in each: a container's log comes in
pieces of thousands of lines, and a row for each line would take ten times the time and four times the room.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    CursorResult,
    Index,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

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

# A row's body that begins with this is a JSON list of bodies; any other that begins so is older than shared rows.
_SHARED = "\x1e"
_MOST_SHARING = 512
_MOST_CHARACTERS = 64 << 10
_NUMBERS = 1 << 10
"""A fact's number is its row's id times this, plus its place in the row."""
_ROWS = 32
_MOMENT = itemgetter(0, 1, 2)

cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)


# Made once: making a statement costs more than running it, and every line of a log comes through these.
_ADD = insert(facts)
_OF_NAME = cursors.c.name == bindparam("of_name")
_FIND_CURSOR = select(cursors.c.position).where(_OF_NAME)
_MOVE_CURSOR = update(cursors).where(_OF_NAME)
_ADD_CURSOR = insert(cursors)


class Fact(NamedTuple):
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
        {"topic": topic, "stream": stream, "at": at, "ingested": ingested, "body": body}
        for (stream, at, ingested), same in groupby(new, _MOMENT)
        for body in _shared([fact.body for fact in same])
    ]

    def write(connection: Connection) -> None:
        if rows:
            connection.execute(_ADD, rows)

    return write


def _shared(bodies: Sequence[str]) -> Iterator[str]:
    """The bodies of the rows that hold them."""
    sharing: list[str] = []
    characters = 0
    for body in bodies:
        if sharing and (len(sharing) == _MOST_SHARING or characters + len(body) > _MOST_CHARACTERS):
            yield _row(sharing)
            sharing, characters = [], 0
        sharing.append(body)
        characters += len(body)
    yield _row(sharing)


def _row(bodies: Sequence[str]) -> str:
    if len(bodies) == 1 and not bodies[0].startswith(_SHARED):
        return bodies[0]
    return _SHARED + json.dumps(bodies, ensure_ascii=False, separators=(",", ":"))


def _bodies(row: str) -> list[str]:
    if not row.startswith(_SHARED):
        return [row]
    try:
        found = json.loads(row[len(_SHARED) :])
    except ValueError:
        found = None
    return found if isinstance(found, list) else [row]


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
                given = {"of_name": cursor, "position": position}
                if connection.execute(_MOVE_CURSOR, given).rowcount == 0:
                    connection.execute(_ADD_CURSOR, {"name": cursor, "position": position})

        await self._database.write(work)

    async def cursor(self, name: str) -> int:
        """Where ``name`` stands; 0 if it never moved."""
        found = await self._database.look(_FIND_CURSOR, {"of_name": name})
        return 0 if found is None else int(found.position)

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
            row = number // _NUMBERS  # which may hold more facts beyond that one
            beyond = columns.at < at if window.backward else columns.at > at
            within = columns.id <= row if window.backward else columns.id >= row
            conditions.append(or_(beyond, and_(columns.at == at, within)))
        order = (columns.at.desc(), columns.id.desc()) if window.backward else (columns.at.asc(), columns.id.asc())
        statement = select(facts).where(*conditions).order_by(*order).limit(window.limit + 1)
        return await self._database.read(lambda connection: _within(window, connection.execute(statement)))

    async def forget(self, topic: str, stream: str | None = None, before: int | None = None) -> None:
        """Deletes a topic, one of its streams, or what is older than ``before`` (ms)."""
        conditions = [facts.c.topic == topic]
        if stream is not None:
            conditions.append(facts.c.stream == stream)
        if before is not None:
            conditions.append(facts.c.at < before)
        await self._database.write(lambda connection: connection.execute(delete(facts).where(*conditions)) and None)


def _within(window: Window, rows: CursorResult[Any]) -> list[Fact]:
    """The facts of the rows, one of which may begin before the window and one may end after it."""
    found: list[Fact] = []
    step = -1 if window.backward else 1
    while few := rows.fetchmany(min(_ROWS, window.limit)):
        for row in few:
            numbered = list(enumerate(_bodies(row.body), row.id * _NUMBERS))
            for number, body in numbered[::step]:
                if window.after is None or row.at != window.after[0] or step * (number - window.after[1]) > 0:
                    found.append(Fact(row.stream, row.at, row.ingested, body, number))
        if len(found) >= window.limit:
            rows.close()
            break
    return found[: window.limit]
