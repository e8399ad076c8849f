"""Writes that share a transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from wildsage.store.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = await Database.open(tmp_path / "a.db")
    await made.write(lambda connection: connection.exec_driver_sql("CREATE TABLE kept (name TEXT)") and None)
    yield made
    await made.close()


def keep(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO kept VALUES ('a')")


def fail(connection: Connection) -> None:
    keep(connection)
    raise ValueError("no")


def fail_as_a_broken_disk_does(connection: Connection) -> None:
    """SQLite ends the transaction by itself on some errors, such as SQLITE_IOERR."""
    connection.connection.cursor().execute("ROLLBACK")
    raise OSError("disk I/O error")


async def together(database: Database, *works: Callable[[Connection], None]) -> list[object]:
    """What became of works in one transaction, by the type of what they raised."""
    begun, go_on = threading.Event(), threading.Event()

    def first(_: Connection) -> None:
        begun.set()
        go_on.wait(60)

    writes = [asyncio.ensure_future(database.write(first))]
    await asyncio.to_thread(begun.wait, 60)
    writes += [asyncio.ensure_future(database.write(work)) for work in works]
    await asyncio.sleep(0)  # they are handed over
    go_on.set()
    return [type(each) for each in (await asyncio.gather(*writes, return_exceptions=True))[1:]]


async def count(database: Database) -> int:
    return await database.read(
        lambda connection: int(connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one())
    )


async def test_one_that_fails_leaves_the_others(database: Database) -> None:
    assert await together(database, keep, fail, keep) == [type(None), ValueError, type(None)]
    assert await count(database) == 2


async def test_none_is_told_that_it_is_kept_when_the_transaction_has_ended(database: Database) -> None:
    assert await together(database, keep, fail_as_a_broken_disk_does, keep) == [OSError] * 3
    assert await count(database) == 0
    await database.write(keep)
    assert await count(database) == 1


def stumble(connection: Connection) -> None:
    """Raises amid the rows that it reads, in another error's place."""
    try:
        rows = connection.exec_driver_sql("SELECT name FROM kept")
        assert [int(row.name) for row in rows]
    except ValueError as error:
        raise KeyError("no number") from error


@pytest.mark.parametrize("writes", [False, True])
async def test_work_that_fails_amid_rows_leaves_no_old_snapshot_behind(
    database: Database, tmp_path: Path, writes: bool
) -> None:
    for _ in range(3):
        await database.write(keep)
    errors = []  # whoever keeps them keeps their tracebacks
    for _ in range(4):  # every connection of the pool
        with pytest.raises(KeyError) as error:
            await (database.write(stumble) if writes else database.read(stumble))
        errors.append(error.value)
    assert await together(database, keep, stumble) == [type(None), KeyError]
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as another:
        another.execute("INSERT INTO kept VALUES ('b')")
    for _ in range(4):
        assert await count(database) == 5
    for _ in range(4):
        await database.write(keep)
    assert await count(database) == 9
