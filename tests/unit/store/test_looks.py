"""Single rows that are read without another thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Float, Integer, Row, Table, Text, bindparam, insert, select

from wildsage.store.database import Database, metadata

things = Table(
    "things_of_the_test_of_looks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("at", Float),
)
FIND = (
    select(things).where(things.c.name == bindparam("of_name"), things.c.id > bindparam("least")).order_by(things.c.at)
)


def add(connection: Connection, rows: list[dict[str, object]]) -> None:
    connection.execute(insert(things), rows)


def first(connection: Connection, given: Mapping[str, object]) -> Row[Any] | None:
    return connection.execute(FIND, given).first()


async def test_it_is_the_row_that_read_finds(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "a.db")
    await database.write(partial(add, rows=[{"name": "a", "at": 1.0}, {"name": "b", "at": None}]))
    for name in ("a", "b", "c"):
        given = {"least": 0, "of_name": name}
        read = await database.read(partial(first, given=given))
        look = await database.look(FIND, given)
        assert (None if read is None else read._asdict()) == (None if look is None else vars(look))
    await database.close()


async def test_it_sees_every_commit_and_holds_none_up(tmp_path: Path) -> None:
    """A look that kept its snapshot would hide later commits, and keep SQLite from starting its log anew."""
    database = await Database.open(tmp_path / "a.db")
    for number in range(3):
        await database.write(partial(add, rows=[{"name": f"n{number}", "at": 0.0}]))
        assert (await database.look(FIND, {"least": 0, "of_name": f"n{number}"})).name == f"n{number}"
    with sqlite3.connect(tmp_path / "a.db") as other:
        _, frames, moved = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    other.close()
    assert frames == moved  # nobody reads what the log was before
    await database.close()
