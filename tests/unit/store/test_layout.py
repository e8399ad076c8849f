"""The layout of the database: what was written once can be read by every later version."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

import wildsage.compose.table
from wildsage.core.errors import SettingsError
from wildsage.store import layout
from wildsage.store.database import Database

RECORDED = Path(__file__).with_name("layout.sql")
TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"


def tables(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    try:
        return {name: " ".join(sql.split()) for name, sql in connection.execute(TABLES)}
    finally:
        connection.close()


def test_every_part_of_the_server_is_imported() -> None:
    """So its tables are those that the tests below compare."""
    assert wildsage.compose.table.SERVICES


async def test_tables_are_as_they_were_written_down(tmp_path: Path) -> None:
    """Fails for a changed table: raise LAYOUT, bring older databases there, and only then write it down anew."""
    made = await Database.open(tmp_path / "new.db")
    await made.close()
    old = tmp_path / "old.db"
    connection = sqlite3.connect(old)
    connection.executescript(RECORDED.read_text())
    connection.close()
    found = tables(tmp_path / "new.db")
    assert {name: found.get(name) for name in tables(old)} == tables(old)
    ours = {name for name in found if "_of_the_test_" not in name}  # other tests of the process have their own
    assert ours == tables(old).keys(), "a new table: write it down in layout.sql"


async def test_a_database_without_a_number_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(RECORDED.read_text())
    connection.close()
    opened = await Database.open(path)
    await opened.close()
    layout.check(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (layout.LAYOUT,)
    connection.close()


async def test_a_newer_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {layout.LAYOUT + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=r"newer\.db was written by a newer Wildsage"):
        await Database.open(path)
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    path.write_bytes(b"not a database, but somebody's file" * 100)
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="cannot be read as the database of a data directory"):
        await Database.open(path)
    assert path.read_bytes() == before
