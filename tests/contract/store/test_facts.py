"""Facts in windows: every one once and in order, however they share rows."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from wildsage.store.database import Database
from wildsage.store.facts import Fact, Facts, Window

MARK = "\x1e"
LONG = "x" * 50_000


@pytest.fixture
async def facts(tmp_path: Path) -> AsyncIterator[Facts]:
    database = await Database.open(tmp_path / "facts.db")
    yield Facts(database)
    await database.close()


async def paged(facts: Facts, window: Window) -> list[Fact]:
    """All of a window, page by page."""
    found: list[Fact] = []
    while True:
        after = (found[-1].at, found[-1].number) if found else None
        page = await facts.read(
            Window(window.topic, window.streams, after=after, backward=window.backward, limit=window.limit)
        )
        if not page:
            return found
        assert len(page) <= window.limit
        found += page


def bodies(found: list[Fact]) -> list[str]:
    return [fact.body for fact in found]


@pytest.mark.parametrize("limit", [1, 300, 10_000])
@pytest.mark.parametrize("backward", [False, True])
async def test_every_fact_is_read_once_in_order(facts: Facts, limit: int, backward: bool) -> None:
    count = 10 if limit == 1 else 700
    for at in (5, 5, 6):
        new = [Fact(stream, at, 9, f"{stream} {at} {n}") for stream in ("a", "b") for n in range(count)]
        await facts.append("t", new)
        await facts.append("t", [Fact("a", at, 9, "alone")])
    await facts.append("other", [Fact("a", 5, 9, "not this")])
    for streams, each in ((("a",), count + 1), ((), 2 * count + 1)):
        found = await paged(facts, Window("t", streams, backward=backward, limit=limit))
        if backward:
            found.reverse()
        assert len(found) == 3 * each
        assert [(fact.at, fact.number) for fact in found] == sorted({(fact.at, fact.number) for fact in found})
        one = [f"a 5 {n}" for n in range(count)]
        assert [body for body in bodies(found) if body.startswith("a 5")] == [*one, *one]


@pytest.mark.parametrize(
    "texts", [[MARK], [MARK, "a"], [f"a{MARK}b", ""], ['["a"]', "ü", "\ud7ff"], [LONG, LONG, "end"], ["", " ", "\n"]]
)
async def test_bodies_come_back_as_they_were(facts: Facts, texts: list[str]) -> None:
    await facts.append("t", [Fact("s", 1, 2, text) for text in texts])
    assert bodies(await facts.read(Window("t"))) == texts
    (last,) = await facts.read(Window("t", backward=True, limit=1))
    assert last.body == texts[-1]


@pytest.mark.parametrize("text", [MARK, f'{MARK}{{"level": "info"}}', f"{MARK}[1, 2", f"{MARK}7"])
async def test_what_was_kept_before_rows_were_shared_is_read(facts: Facts, tmp_path: Path, text: str) -> None:
    with closing(sqlite3.connect(tmp_path / "facts.db")) as connection, connection:
        connection.execute("INSERT INTO facts (topic, stream, at, ingested, body) VALUES ('t', 's', 1, 2, ?)", (text,))
    assert bodies(await facts.read(Window("t"))) == [text]


async def test_windows_of_time(facts: Facts) -> None:
    await facts.append("t", [Fact("s", at, at, f"{at}") for at in (1, 1, 2, 2, 3)])
    assert bodies(await facts.read(Window("t", since=2, until=3))) == ["2", "2"]
    assert bodies(await facts.read(Window("t", since=2, backward=True, limit=2))) == ["3", "2"]
    await facts.forget("t", before=2)
    assert bodies(await facts.read(Window("t"))) == ["2", "2", "3"]
