"""Messages of queues: sent, received for a while, deleted.

A message is received by moving ``visible``, the time from which it can be received (again), into the future; ``nonce``
tells whose receipt is the newest.  Within a ``group`` messages are received in the order of their numbers, and none
while one that was received is still invisible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database, metadata

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("group", Text),
    Column("sent", Float, nullable=False),
    Column("visible", Float, nullable=False),
    Column("received", Integer, nullable=False),
    Column("first", Float),
    Column("nonce", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("messages_visible", "queue", "visible"),
    Index("messages_sent", "queue", "sent"),
    Index("messages_group", "queue", "group", "id"),
    sqlite_autoincrement=True,  # numbers are the sequence of a queue in order, and are never used again
)

deduplication = Table(
    "message_deduplication",
    metadata,
    Column("queue", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("until", Float, nullable=False),
    PrimaryKeyConstraint("queue", "token"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """Times are epoch seconds. ``id``: its public id; ``number``: its place in the order of sending.

    ``received``: how often; ``first``: when first. ``nonce``: changes with every receipt, empty before the first.
    ``document``: body, attributes, sender.
    """

    queue: str
    id: str
    sent: float
    visible: float
    document: Document
    group: str | None = None
    number: int = 0
    received: int = 0
    first: float | None = None
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Sending:
    """A message to be sent. ``token``: another with the same until ``until`` is not sent again."""

    message: Message
    token: str | None = None
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Receiving:
    """What to receive: at most ``limit`` of what is visible at ``now``, until ``visible``; none sent before ``oldest``.

    ``ordered``: groups count. A message received ``most`` times, if that is set, goes to the queue ``dead`` instead,
    marked with ``origin``.
    """

    queue: str
    limit: int
    now: float
    visible: float
    oldest: float
    ordered: bool
    nonce: Callable[[], str]
    most: int | None = None
    dead: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """``moved``: some went to the dead-letter queue. ``following``: when the next message becomes visible."""

    messages: list[Message] = field(default_factory=list)
    moved: bool = False
    following: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    visible: int
    in_flight: int
    delayed: int


def _read(row: Row[Any]) -> Message:
    return Message(
        queue=row.queue,
        id=row.message,
        sent=row.sent,
        visible=row.visible,
        document=loads(row.document),
        group=row.group,
        number=row.id,
        received=row.received,
        first=row.first,
        nonce=row.nonce,
    )


def _send(connection: Connection, sending: Sending) -> Message:
    message = sending.message
    known = (deduplication.c.queue == message.queue, deduplication.c.token == sending.token)
    if sending.token is not None:
        connection.execute(
            delete(deduplication).where(deduplication.c.queue == message.queue, deduplication.c.until <= message.sent)
        )
        row = connection.execute(select(deduplication.c.message, deduplication.c.number).where(*known)).first()
        if row is not None:
            return replace(message, id=row.message, number=row.number)
    made = connection.execute(
        insert(messages)
        .values(
            queue=message.queue,
            message=message.id,
            group=message.group,
            sent=message.sent,
            visible=message.visible,
            received=0,
            nonce="",
            document=dumps(message.document),
        )
        .returning(messages.c.id)
    ).scalar_one()
    if sending.token is not None:
        connection.execute(
            insert(deduplication).values(
                queue=message.queue, token=sending.token, message=message.id, number=made, until=sending.until
            )
        )
    return replace(message, number=made)


def _expire(connection: Connection, queue: str, oldest: float) -> None:
    connection.execute(delete(messages).where(messages.c.queue == queue, messages.c.sent < oldest))


def _receivable(wanted: Receiving) -> Any:
    """Rows that can be received, in the order of sending."""
    conditions = [messages.c.queue == wanted.queue, messages.c.visible <= wanted.now]
    if wanted.ordered:
        other = messages.alias()
        # One of the group is out, or an earlier one is still delayed.
        held = (
            select(other.c.id)
            .where(
                other.c.queue == messages.c.queue,
                other.c.group == messages.c.group,
                other.c.visible > wanted.now,
                (other.c.nonce != "") | (other.c.id < messages.c.id),
            )
            .exists()
        )
        conditions.append(~held)
    return select(messages).where(*conditions).order_by(messages.c.id).limit(wanted.limit)


def _receive(connection: Connection, wanted: Receiving) -> Received:
    _expire(connection, wanted.queue, wanted.oldest)
    moved = False
    # What is buried in the queue it came from would be found again and again.
    most = None if wanted.dead == wanted.queue else wanted.most
    while True:
        candidates = [_read(row) for row in connection.execute(_receivable(wanted))]
        worn = [each for each in candidates if most is not None and each.received >= most]
        if not worn:
            break
        for message in worn:
            _bury(connection, message, wanted)
        moved = True
    found = [_take(connection, each, wanted) for each in candidates]
    following = None
    if not found:
        statement = select(func.min(messages.c.visible)).where(messages.c.queue == wanted.queue)
        following = connection.execute(statement.where(messages.c.visible > wanted.now)).scalar()
    return Received(found, moved, following)


def _take(connection: Connection, message: Message, wanted: Receiving) -> Message:
    taken = replace(
        message,
        visible=wanted.visible,
        received=message.received + 1,
        first=wanted.now if message.first is None else message.first,
        nonce=wanted.nonce(),
    )
    connection.execute(
        update(messages)
        .where(messages.c.id == message.number)
        .values(visible=taken.visible, received=taken.received, first=taken.first, nonce=taken.nonce)
    )
    return taken


def _bury(connection: Connection, message: Message, wanted: Receiving) -> None:
    document = {**message.document, "Origin": wanted.origin}
    connection.execute(
        update(messages)
        .where(messages.c.id == message.number)
        .values(queue=wanted.dead, nonce="", visible=wanted.now, document=dumps(document))
    )


class Messages:
    """The table of messages. A ``queue`` is the uid of its resource, so that one made anew is empty."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, sendings: Sequence[Sending]) -> list[Message]:
        """The messages with their numbers; a duplicate has those of the first. Durable on return."""
        return await self._database.write(lambda connection: [_send(connection, each) for each in sendings])

    async def receive(self, wanted: Receiving) -> Received:
        """What can be received now. Nobody else gets it before ``wanted.visible``."""
        return await self._database.write(lambda connection: _receive(connection, wanted))

    async def find(self, queue: str, number: int) -> Message | None:
        statement = select(messages).where(messages.c.queue == queue, messages.c.id == number)

        def work(connection: Connection) -> Message | None:
            row = connection.execute(statement).first()
            return None if row is None else _read(row)

        return await self._database.read(work)

    async def delete(self, queue: str, number: int, nonce: str | None) -> bool:
        """Takes a message away; with ``nonce`` only if that receipt is the newest. False if it is not there (so)."""
        conditions = [messages.c.queue == queue, messages.c.id == number]
        if nonce is not None:
            conditions.append(messages.c.nonce == nonce)
        statement = delete(messages).where(*conditions)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def hide(self, queue: str, number: int, nonce: str, now: float, until: float) -> bool:
        """Moves the time at which a message that is out becomes visible; False if it is not out with that receipt."""
        statement = (
            update(messages)
            .where(
                messages.c.queue == queue,
                messages.c.id == number,
                messages.c.nonce == nonce,
                messages.c.visible > now,
            )
            .values(visible=until)
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def counts(self, queue: str, now: float, oldest: float) -> Counts:
        hidden = messages.c.visible > now
        statement = (
            select(hidden, messages.c.nonce != "", func.count())
            .where(messages.c.queue == queue, messages.c.sent >= oldest)
            .group_by(hidden, messages.c.nonce != "")
        )

        def work(connection: Connection) -> Counts:
            found = {(bool(row[0]), bool(row[1])): row[2] for row in connection.execute(statement)}
            visible = found.get((False, False), 0) + found.get((False, True), 0)
            return Counts(visible, found.get((True, True), 0), found.get((True, False), 0))

        return await self._database.read(work)

    async def clear(self, queue: str) -> None:
        """Takes every message of a queue away, and what is known of duplicates."""

        def work(connection: Connection) -> None:
            connection.execute(delete(messages).where(messages.c.queue == queue))
            connection.execute(delete(deduplication).where(deduplication.c.queue == queue))

        await self._database.write(work)

    async def expire(self, queue: str, oldest: float) -> None:
        """Takes away what was sent before ``oldest``."""
        await self._database.write(lambda connection: _expire(connection, queue, oldest))
