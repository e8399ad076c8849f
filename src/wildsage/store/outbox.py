"""What is to be told to others: written in the transaction of what it is about, taken away once it is delivered.

Whoever delivers (``kit.courier``) may be killed at any moment: what was not delivered is still here, so everything
arrives at least once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Float, Index, Integer, Table, Text, delete, insert, select, update

from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database, Write, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("box", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Index("outbox_due", "box", "due", "id"),
    Index("outbox_lane", "box", "lane", "id"),
    sqlite_autoincrement=True,  # numbers are never used again: they tell which of two letters came first
)


@dataclass(frozen=True, slots=True)
class Letter:
    """``document``: what is told, to whom. Letters of one ``lane`` arrive one after the other; empty: in any order."""

    document: Document
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter in the outbox. ``number`` grows with every letter; ``attempts``: how often it was tried in vain."""

    number: int
    letter: Letter
    attempts: int


def post(connection: Connection, box: str, letters: Iterable[Letter], now: float) -> None:
    """Adds letters to ``box`` in the transaction under way; they are due at once."""
    rows = [
        {"box": box, "lane": letter.lane, "document": dumps(letter.document), "attempts": 0, "due": now}
        for letter in letters
    ]
    if rows:
        connection.execute(insert(outbox), rows)


def posting(box: str, letters: Iterable[Letter], now: float) -> Write:
    """``post`` as a part of somebody else's transaction."""
    return lambda connection: post(connection, box, letters, now)


class Outbox:
    """The letters of one ``box``."""

    def __init__(self, database: Database, box: str) -> None:
        self._database = database
        self._box = box

    async def add(self, letters: Collection[Letter], now: float) -> None:
        """As ``post``, in a transaction of its own; durable on return."""
        await self._database.write(lambda connection: post(connection, self._box, letters, now))

    async def due(self, now: float, limit: int) -> list[Waiting]:
        """Letters that are due, the longest waiting first; of a lane its first alone."""
        earlier = outbox.alias()
        blocked = (
            select(earlier.c.id)
            .where(earlier.c.box == outbox.c.box, earlier.c.lane == outbox.c.lane, earlier.c.id < outbox.c.id)
            .exists()
        )
        statement = (
            select(outbox.c.id, outbox.c.document, outbox.c.lane, outbox.c.attempts)
            .where(outbox.c.box == self._box, outbox.c.due <= now, (outbox.c.lane == "") | ~blocked)
            .order_by(outbox.c.due, outbox.c.id)
            .limit(limit)
        )
        return await self._database.read(
            lambda connection: [
                Waiting(number, Letter(loads(document), lane), attempts)
                for number, document, lane, attempts in connection.execute(statement)
            ]
        )

    async def next_due(self, after: float) -> float | None:
        """When the first letter that is not due at ``after`` will be."""
        statement = (
            select(outbox.c.due).where(outbox.c.box == self._box, outbox.c.due > after).order_by(outbox.c.due).limit(1)
        )
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def done(self, number: int) -> None:
        """It is delivered, or given up."""
        statement = delete(outbox).where(outbox.c.id == number)
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def postpone(self, number: int, attempts: int, due: float) -> None:
        """To be tried again at ``due``, after ``attempts`` in vain."""
        statement = update(outbox).where(outbox.c.id == number).values(attempts=attempts, due=due)
        await self._database.write(lambda connection: connection.execute(statement) and None)
