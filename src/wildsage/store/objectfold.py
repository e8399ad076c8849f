"""The listing with a delimiter as one statement: the database itself jumps from entry to entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    true,
)

from wildsage.store.objectindex import decode_key, encode_key
from wildsage.store.objectshown import SHOWN, Shown, read_shown, visible
from wildsage.store.objecttables import objects
from wildsage.store.objectwalk import Entry, Page, Walk, beyond


def fold(connection: Connection, walk: Walk) -> Page[Shown]:
    """Current objects and common prefixes; ``walk.delimiter`` is not empty."""
    delimiter, most = encode_key(walk.delimiter), walk.limit + 1
    params = {
        "bucket": walk.bucket,
        "start": walk.start(),
        "top": walk.top(),
        "tail": len(encode_key(walk.prefix)) + 1,
        "delimiter": delimiter,
        "beyond": beyond(delimiter),
        "most": most,
    }
    rows = connection.execute(_FOLD, params).all()
    return Page([_entry(walk, row) for row in rows[: walk.limit]], len(rows) == most)


def _entry(walk: Walk, row: Sequence[Any]) -> Entry[Shown]:
    """An object, or, where the row has only its step's key, what that key counts as."""
    step, shown = row[0], row[1:]
    if shown[0] is None:
        return Entry(decode_key(walk.common_prefix(step) or step), None)
    item = read_shown(shown)
    return Entry(item.key, item)


def _statement() -> Select[Any]:
    """A recursive query finds the first key of each entry by one seek from the entry before it.

    That is past the common prefix that the key counts as, or just past the key. Parameters: ``tail``, where keys go on
    past the prefix, counted from 1; ``beyond``, the least text past the delimiter; those of ``fold``.
    """
    steps = select(_first(_binary("start")).label("key"), literal(1).label("number")).cte("steps", recursive=True)
    following = select(_first(_past(steps.c.key)), steps.c.number + 1).where(
        steps.c.key.is_not(None), steps.c.number < bindparam("most", type_=Integer)
    )
    steps = steps.union_all(following)
    here = and_(
        objects.c.bucket == bindparam("bucket"),
        objects.c.visible == true(),
        objects.c.key == steps.c.key,
        _position(steps.c.key) == 0,
    )
    # The outer join makes the steps the outer loop; the last of them may be no key.
    return (
        select(steps.c.key, *SHOWN)
        .select_from(steps.outerjoin(objects, here))
        .where(steps.c.key.is_not(None))
        .order_by(steps.c.number)
    )


def _binary(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=LargeBinary)


def _first(bound: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The first key of a visible object at or after ``bound``."""
    found = objects.alias()
    statement = select(found.c.key).where(found.c.key >= bound, found.c.key < _binary("top"))
    return visible(statement, found).order_by(found.c.key).limit(1).scalar_subquery()


def _position(key: ColumnElement[Any]) -> ColumnElement[int]:
    """Where ``key`` has the delimiter, counted from 1 past the prefix; 0 for nowhere."""
    return func.instr(func.substr(key, bindparam("tail", type_=Integer)), _binary("delimiter"), type_=Integer)


def _past(key: ColumnElement[Any]) -> ColumnElement[Any]:
    """Where to go on after ``key``: the arithmetic of ``beyond`` and ``Walk.common_prefix`` in SQL."""
    head = func.substr(key, 1, bindparam("tail", type_=Integer) - 2 + _position(key))
    return case(
        (_position(key) > 0, _joined(head, _binary("beyond"))),
        else_=_joined(key, literal(b"\0", LargeBinary)),
    )


def _joined(head: ColumnElement[Any], tail: ColumnElement[Any]) -> ColumnElement[Any]:
    # SQLite's || makes text of bytes, without touching them.
    return cast(head.op("||")(tail), LargeBinary)


_FOLD = _statement()
