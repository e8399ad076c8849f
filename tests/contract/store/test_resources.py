"""The store's contract: resources, leases, paging; facts and cursors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from wildsage.store.companions import Companions, creation, removal
from wildsage.store.database import Database, Write
from wildsage.store.facts import Fact, Facts, Window
from wildsage.store.resources import AlreadyExists, Key, Missing, Query, Resource, Resources, alone


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "test.db")
    yield opened
    await opened.close()


@pytest.fixture
def resources(database: Database) -> Resources:
    return Resources(database)


def key(name: str) -> Key:
    return Key("thing", "000000000000", "us-east-1", name)


def thing(name: str, created: float = 0.0, due: float | None = None, phase: str = "") -> Resource:
    return Resource(key=key(name), spec={"Name": name}, created=created, modified=created, due=due, phase=phase)


async def test_a_document_comes_back_as_it_was_stored(resources: Resources) -> None:
    spec = {
        "Text": "ü",
        "When": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "Bytes": b"\0\xff",
        "Many": [1, 2.5],
    }
    await resources.create(Resource(key=key("a"), spec=spec))
    found = await resources.get(key("a"))
    assert found is not None
    assert found.spec == spec


async def test_a_name_can_be_taken_once(resources: Resources) -> None:
    await resources.create(thing("a"))
    with pytest.raises(AlreadyExists) as caught:
        await resources.create(thing("a"))
    assert caught.value.existing.key == key("a")


async def test_only_one_of_many_concurrent_creates_wins(resources: Resources) -> None:
    outcomes = await asyncio.gather(*(resources.create(thing("a")) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(each, Resource) for each in outcomes) == 1


async def test_an_edit_that_raises_keeps_nothing(resources: Resources) -> None:
    await resources.create(thing("a"))

    def change(resource: Resource) -> None:
        resource.wish = "stop"
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await resources.edit(key("a"), change)
    found = await resources.get(key("a"))
    assert found is not None
    assert (found.wish, found.generation) == ("present", 1)


async def test_states_are_found_by_a_member_however_deep(resources: Resources) -> None:
    states: list[dict[str, object]] = [{"handles": {"algo-1": {"runtime": "sandbox"}}}, {"said": "runtime"}, {}]
    for number, state in enumerate(states):
        await resources.create(Resource(key=key(f"n{number}"), spec={"runtime": "of no interest"}, state=state))
    assert await resources.states_with("runtime") == states[:1]


async def test_what_is_missing_is_said(resources: Resources) -> None:
    assert await resources.get(key("a")) is None
    with pytest.raises(Missing):
        await resources.remove(key("a"))
    with pytest.raises(Missing):
        await resources.edit(key("a"), lambda resource: None)


@pytest.mark.parametrize("sort", ["name", "created", "modified", "phase"])
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_cover_everything_once_and_in_order(resources: Resources, sort: str, descending: bool) -> None:
    for number in range(25):
        # Equal values on purpose: the order among them must hold across pages too.
        await resources.create(thing(f"n{number:02}", created=number // 4, phase="AB"[number % 2]))
    seen: list[Resource] = []
    after = None
    while True:
        page = await resources.page(
            Query("thing", "000000000000", "us-east-1", limit=4, sort=sort, descending=descending, after=after)
        )
        seen += page.items
        after = page.following
        if after is None:
            break
    assert len({each.key.name for each in seen}) == len(seen) == 25
    values = [getattr(each.key, sort) if sort == "name" else getattr(each, sort) for each in seen]
    assert values == sorted(values, reverse=descending)


async def test_a_claim_is_exclusive_until_its_lease_runs_out(resources: Resources) -> None:
    await resources.create(thing("a", due=5.0))
    assert await resources.claim(["thing"], now=4.0, until=10.0, limit=5) == []
    claims = await asyncio.gather(*(resources.claim(["thing"], now=5.0, until=10.0, limit=5) for _ in range(10)))
    assert sum(len(claim) for claim in claims) == 1
    assert await resources.claim(["thing"], now=9.0, until=20.0, limit=5) == []
    (again,) = await resources.claim(["thing"], now=10.5, until=20.0, limit=5)
    (first,) = [claim[0] for claim in claims if claim]
    assert not await resources.renew(first, until=30.0)
    assert await resources.renew(again, until=30.0)
    assert not await resources.apply(first, first, now=11.0)
    assert await resources.apply(again, again, now=11.0)


async def test_a_row_that_nobody_can_read_holds_up_no_other(database: Database, resources: Resources) -> None:
    async def write(state: str) -> None:
        words = f"UPDATE resources SET state = '{state}' WHERE name = 'damaged'"
        await database.write(lambda connection: connection.exec_driver_sql(words) and None)

    for name in ("damaged", "whole"):
        await resources.create(thing(name, due=1.0))
    await write("damaged")
    (whole,) = await resources.claim(["thing"], now=1.0, until=10.0, limit=5)
    assert whole.key.name == "whole"
    assert await resources.claim(["thing"], now=9.0, until=20.0, limit=5) == []
    assert [each.key.name for each in await resources.readable("thing")] == ["whole"]
    assert len(await resources.uids("thing")) == 2
    await write("{}")
    claimed = await resources.claim(["thing"], now=10.5, until=20.0, limit=5)
    assert {each.key.name for each in claimed} == {"damaged", "whole"}


async def test_a_step_cannot_overwrite_a_wish_that_moved(resources: Resources) -> None:
    await resources.create(thing("a", due=1.0))
    (claimed,) = await resources.claim(["thing"], now=1.0, until=10.0, limit=1)

    def stop(resource: Resource) -> None:
        resource.wish, resource.phase = "stop", "Stopping"

    await resources.edit(key("a"), stop)
    claimed.phase = "InProgress"
    assert not await resources.apply(claimed, claimed, now=2.0)
    found = await resources.get(key("a"))
    assert found is not None
    assert (found.wish, found.phase, found.due, found.lease) == ("stop", "Stopping", 2.0, None)


async def test_facts_come_in_the_order_of_time_then_arrival(database: Database) -> None:
    facts = Facts(database)
    await facts.append("t", [Fact("s", 2, 9, "c"), Fact("s", 1, 9, "a"), Fact("s", 1, 9, "b"), Fact("o", 1, 9, "x")])
    assert [fact.body for fact in await facts.read(Window("t", ["s"]))] == ["a", "b", "c"]
    assert [fact.body for fact in await facts.read(Window("t", ["s"], backward=True, limit=2))] == ["c", "b"]
    first = (await facts.read(Window("t", ["s"], limit=1)))[0]
    after = (first.at, first.number)
    assert [fact.body for fact in await facts.read(Window("t", ["s"], after=after))] == ["b", "c"]
    assert [fact.body for fact in await facts.read(Window("t", since=2))] == ["c"]


async def test_a_cursor_moves_with_its_facts(database: Database) -> None:
    facts = Facts(database)
    assert await facts.cursor("c") == 0
    await facts.append("t", [Fact("s", 1, 1, "a")], cursor="c", position=17)
    assert await facts.cursor("c") == 17
    assert len(await facts.read(Window("t"))) == 1


async def test_writes_in_a_burst_fail_and_succeed_each_for_itself(resources: Resources) -> None:
    names = [f"n{number % 10}" for number in range(100)]
    outcomes = await asyncio.gather(*(resources.create(thing(name)) for name in names), return_exceptions=True)
    assert sum(isinstance(each, Resource) for each in outcomes) == 10
    assert sum(isinstance(each, AlreadyExists) for each in outcomes) == 90


def beside(name: str, phase: str) -> Resource:
    return Resource(key=replace(key(name), kind="shadow"), spec={"Of": name}, phase=phase)


async def test_what_stands_beside_others_is_found_and_filters_them(resources: Resources, database: Database) -> None:
    for number, phase in enumerate(("light", "dark", "light", "")):
        await resources.create(thing(f"t{number}", created=float(number), phase="big" if number else "small"))
        if phase:
            await resources.create(beside(f"t{number}", phase))
    found = await Companions(database, "shadow").of("000000000000", "us-east-1", ["t1", "t2", "t3", "absent"])
    assert {name: each.phase for name, each in found.items()} == {"t1": "dark", "t2": "light"}
    assert await Companions(database, "shadow").of("000000000000", "us-east-1", []) == {}
    for sort in ("name", "created", "modified", "phase"):
        query = Query("thing", "000000000000", "us-east-1", 1, sort=sort, companion=("shadow", "light"))
        names, page = [], await resources.page(query)
        while page.following is not None:
            names += [each.key.name for each in page.items]
            page = await resources.page(replace(query, after=page.following))
        assert sorted([*names, *(each.key.name for each in page.items)]) == ["t0", "t2"]
    query = Query("thing", "000000000000", "us-east-1", phases=("small",), companion=("shadow", "light"))
    assert [each.key.name for each in (await resources.page(query)).items] == ["t0"]


async def test_companions_change_in_one_transaction(resources: Resources) -> None:
    await resources.create(thing("a"))
    await resources.create(beside("a", "light"))

    def change(resource: Resource, name: str) -> list[Write]:
        resource.phase = "moved"
        return [creation(beside(name, "dark")), removal(beside("absent", "").key)]

    with pytest.raises(IntegrityError):
        await resources.edit(key("a"), lambda resource: change(resource, "a"))
    kept = await resources.get(key("a"))
    assert kept is not None
    assert kept.phase == "", "all or nothing"
    await resources.edit(key("a"), lambda resource: change(resource, "b"))
    assert await resources.get(beside("b", "").key) is not None
    await resources.remove(key("a"), [removal(beside("a", "").key)])
    assert await resources.get(beside("a", "").key) is None


async def test_a_name_may_be_kept_from_differing_in_case_alone(resources: Resources) -> None:
    first = thing("Forest")
    await resources.create(first, [alone(first.key)])
    with pytest.raises(AlreadyExists) as caught:
        await resources.create(thing("FOREST"), [alone(key("FOREST"))])
    assert caught.value.existing.key == first.key
    assert await resources.get(key("FOREST")) is None
    await resources.create(thing("forests"), [alone(key("forests"))])


async def test_tags_are_found_whatever_the_case_of_the_name(resources: Resources) -> None:
    for name in ("Forest", "tree"):
        await resources.create(Resource(key=key(name), spec={}, tags={"is": name}))
    assert await resources.tags(key("tree")) == {"is": "tree"}
    assert await resources.tags(key("forest")) == {"is": "Forest"}
    assert await resources.tags(key("bush")) == {}
