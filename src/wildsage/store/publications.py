"""Publishing: letters for every subscription, once, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from wildsage.store.database import Database
from wildsage.store.messages import deduplication
from wildsage.store.outbox import Letter, post


@dataclass(frozen=True, slots=True)
class Publication:
    """One message. ``letters``: by the box they go to.

    ``token``: another with the same to ``topic`` before ``until`` is not published again.
    """

    topic: str
    id: str
    letters: Mapping[str, Collection[Letter]]
    token: str | None = None
    until: float = 0.0


class Publications:
    """Publishes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, new: Publication, now: float) -> str:
        """The message's id, a duplicate's being that of the first. Durable on return."""

        def work(connection: Connection) -> str:
            if new.token is not None:
                first = _first(connection, new, now)
                if first != new.id:
                    return first
            for box, letters in new.letters.items():
                post(connection, box, letters, now)
            return new.id

        return await self._database.write(work)


def _first(connection: Connection, new: Publication, now: float) -> str:
    """The id of the first message with the token."""
    columns = deduplication.c
    connection.execute(delete(deduplication).where(columns.queue == new.topic, columns.until <= now))
    statement = select(columns.message).where(columns.queue == new.topic, columns.token == new.token)
    known = connection.execute(statement).scalar()
    if known is not None:
        return str(known)
    connection.execute(
        insert(deduplication).values(queue=new.topic, token=new.token, message=new.id, number=0, until=new.until)
    )
    return new.id
