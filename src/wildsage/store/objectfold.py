"""The listing with a delimiter as one statement: the database itself jumps from entry to entry."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    ScalarSelect,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    true,
)

from wildsage.store.objectindex import ObjectVersion, decode_key, encode_key, read_version
from wildsage.store.objecttables import objects
from wildsage.store.objectwalk import Entry, Page, Walk, beyond


def fold(connection: Connection, walk: Walk) -> Page[ObjectVersion]:
    """Current objects and common prefixes; ``walk.delimiter`` is not empty.

    A recursive query finds the first key of each entry by one seek from the entry before it: past the common prefix
    that the key counts as, or just past the key.
    """
    most = walk.limit + 1
    steps = select(_first(walk, literal(walk.start())).label("key"), literal(1).label("number")).cte(recursive=True)
    following = select(_first(walk, _past(walk, steps.c.key)), steps.c.number + 1).where(
        steps.c.key.is_not(None), steps.c.number < most
    )
    steps = steps.union_all(following)
    here = and_(objects.c.bucket == walk.bucket, objects.c.visible == true(), objects.c.key == steps.c.key)
    # The outer join makes the steps the outer loop; the last of them may be no key.
    statement = (
        select(objects)
        .select_from(steps.outerjoin(objects, here))
        .where(objects.c.key.is_not(None))
        .order_by(steps.c.number)
    )
    rows = connection.execute(statement).all()
    entries: list[Entry[ObjectVersion]] = []
    for row in rows[: walk.limit]:
        prefix = walk.common_prefix(row.key)
        if prefix is None:
            entries.append(Entry(decode_key(row.key), read_version(row)))
        else:
            entries.append(Entry(decode_key(prefix), None))
    return Page(entries, len(rows) == most)


def _first(walk: Walk, bound: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The first key of a visible object at or after ``bound``."""
    found = objects.alias()
    statement = select(found.c.key).where(
        found.c.bucket == walk.bucket, found.c.visible == true(), found.c.key >= bound
    )
    if walk.prefix:
        statement = statement.where(found.c.key < beyond(encode_key(walk.prefix)))
    return statement.order_by(found.c.key).limit(1).scalar_subquery()


def _past(walk: Walk, key: ColumnElement[Any]) -> ColumnElement[Any]:
    """Where to go on after ``key``: the arithmetic of ``beyond`` and ``Walk.common_prefix`` in SQL."""
    prefix, delimiter = encode_key(walk.prefix), encode_key(walk.delimiter)
    position = func.instr(func.substr(key, len(prefix) + 1), delimiter)
    head = func.substr(key, 1, len(prefix) + position - 1)
    return case(
        (position > 0, _joined(head, beyond(delimiter))),
        else_=_joined(key, b"\0"),
    )


def _joined(head: ColumnElement[Any], tail: bytes) -> ColumnElement[Any]:
    # SQLite's || makes text of bytes, without touching them.
    return cast(head.op("||")(tail), LargeBinary)
