"""The store's contract: pages of resources hold what was asked for, and no page reads rows that it leaves out."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from wildsage.store.database import Database
from wildsage.store.resources import Key, Query, Resource, Resources

SORTS = ("name", "created", "modified", "phase")
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"name_contains": "b_"},
    {"name_contains": "B"},
    {"name_contains": "100%"},
    {"name_prefix": "a"},
    {"phases": ("Failed",)},
    {"phases": ("Failed", "Stopped")},
    {"created_after": 3.0, "created_before": 9.0},
    {"modified_after": 2.0, "modified_before": 6.0},
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "test.db")
    yield opened
    await opened.close()


@pytest.fixture
def resources(database: Database) -> Resources:
    return Resources(database)


def some(many: int) -> list[Resource]:
    """Resources of one kind with few different times and names that are alike, so that there are ties."""
    dice = random.Random(4)
    names = [f"{''.join(dice.choices('aAbB_%-1', k=3))}100%{number}" for number in range(many)]
    return [
        Resource(
            Key("thing", "000000000000", "us-east-1", name),
            {"Name": name},
            phase=dice.choice(("Completed", "Failed", "Stopped")),
            created=float(dice.randrange(12)),
            modified=float(dice.randrange(12)),
        )
        for name in names
    ]


def fits(each: Resource, query: Query) -> bool:
    """What ``Query`` says, in Python."""
    name, infinity = each.key.name, float("inf")
    return (
        query.name_contains.lower() in name.lower()
        and name.startswith(query.name_prefix)
        and (not query.phases or each.phase in query.phases)
        and (-infinity if query.created_after is None else query.created_after) < each.created
        and each.created < (infinity if query.created_before is None else query.created_before)
        and (-infinity if query.modified_after is None else query.modified_after) < each.modified
        and each.modified < (infinity if query.modified_before is None else query.modified_before)
    )


async def read_all(resources: Resources, query: Query) -> list[str]:
    found: list[str] = []
    while True:
        page = await resources.page(query)
        found += [each.key.name for each in page.items]
        if page.following is None:
            return found
        query = replace(query, after=page.following)


async def test_every_filter_and_order_finds_what_fits_and_nothing_else(resources: Resources) -> None:
    there = some(60)
    for each in there:
        await resources.create(each)
    await resources.create(Resource(Key("other", "000000000000", "us-east-1", "ab_100%"), {}))
    pairs = [{**one, **other} for one, other in itertools.combinations(FILTERS, 2)]
    for given, sort, descending in itertools.product(pairs, SORTS, (True, False)):
        query = Query("thing", "000000000000", "us-east-1", limit=7, sort=sort, descending=descending, **given)
        orders = {
            "name": lambda at: (there[at].key.name,),
            "created": lambda at: (there[at].created, at),
            "modified": lambda at: (there[at].modified, at),
            "phase": lambda at: (there[at].phase, there[at].created, at),
        }
        numbers = [number for number, each in enumerate(there) if fits(each, query)]
        expected = [there[at].key.name for at in sorted(numbers, key=orders[sort], reverse=descending)]
        assert await read_all(resources, query) == expected, query


async def test_a_prefix_ends_where_its_last_character_does(resources: Resources) -> None:
    names = ["a", "a\ud7ff", "a\ue000", "a\U0010ffff", "a\U0010ffffb", "b", "\U0010ffff"]
    for name in names:
        await resources.create(Resource(Key("thing", "", "", name), {}))
    for prefix in ("a", "a\ud7ff", "a\U0010ffff", "\U0010ffff", "b"):
        query = Query("thing", "", "", sort="name", descending=False, name_prefix=prefix)
        assert await read_all(resources, query) == sorted(name for name in names if name.startswith(prefix))


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_are_found_in_an_index_alone(database: Database, resources: Resources, sort: str) -> None:
    """SQLite's own plan: the numbers of a page's rows come from an index that holds all that is asked of them."""
    for each in some(30):
        await resources.create(each)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(Connection, "before_cursor_execute", note)
    try:
        for given in FILTERS:
            query = Query("thing", "000000000000", "us-east-1", limit=3, sort=sort, **given)
            following = (await resources.page(query)).following
            await resources.page(replace(query, after=following))
    finally:
        event.remove(Connection, "before_cursor_execute", note)
    for statement, parameters in asked:
        plan = await database.read(partial(_plan, statement=statement, parameters=parameters))
        (search,) = [step for step in plan if step.startswith("SEARCH resources ")]
        assert "USING COVERING INDEX" in search, plan
        # What sorts is told apart: the rows of one page, and, by time of change alone, what fits.
        sorting = [step for step in plan if "TEMP B-TREE" in step]
        assert len(sorting) == (2 if sort == "modified" else 1), plan


def _plan(connection: Connection, statement: str, parameters: Any) -> list[str]:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    return [str(row[3]) for row in rows]


async def test_what_has_work_is_found_without_a_look_at_the_rest(database: Database, resources: Resources) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(Connection, "before_cursor_execute", note)
    try:
        await resources.claim(["thing", "other"], now=1.0, until=2.0, limit=3)
        await resources.next_due(["thing", "other"])
        await resources.all_of("thing", due=True)
        await resources.release_all()
    finally:
        event.remove(Connection, "before_cursor_execute", note)
    asked = [(statement, parameters) for statement, parameters in asked if "resources" in statement]
    assert len(asked) == 4
    for statement, parameters in asked:
        plan = await database.write(partial(_plan, statement=statement, parameters=parameters))
        assert any("USING INDEX resources_with_work" in step for step in plan), plan


async def test_an_older_database_gets_the_indexes_of_today(tmp_path: Path) -> None:
    def age(connection: Connection) -> None:
        connection.exec_driver_sql("DROP INDEX resources_by_name")
        connection.exec_driver_sql("CREATE INDEX resources_created ON resources (kind, created)")

    def indexes(connection: Connection) -> set[str]:
        rows = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return {str(row[0]) for row in rows}

    database = await Database.open(tmp_path / "test.db")
    of_today = await database.read(indexes)
    await database.write(age)
    await database.close()
    database = await Database.open(tmp_path / "test.db")
    assert await database.read(indexes) == of_today
    assert await read_all(Resources(database), Query("thing", "", "", sort="name")) == []
    await database.close()
