"""The reconciling engine, on a real store and a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from wildsage.core.clock import SystemClock
from wildsage.core.credentials import create
from wildsage.core.errors import ApiError, ClientFault
from wildsage.core.settings import DataDir, Settings
from wildsage.kit.context import Calls, Platform
from wildsage.kit.controller import Engine, Step
from wildsage.kit.hints import Hints
from wildsage.kit.kind import CHANGED, Kind, edit_resource
from wildsage.objects.local import LocalObjects
from wildsage.store.database import Database
from wildsage.store.facts import Facts
from wildsage.store.resources import Resource, Resources

THING = Kind(
    name="test.thing",
    service="sagemaker",
    resource_type="thing",
    noun="Thing",
    missing=lambda arn: ApiError("Missing", arn),
    exists=lambda arn: ApiError("Exists", arn),
    list_member="Things",
    summary=("ThingName",),
)
KEY = THING.key("000000000000", "us-east-1", "a")


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    database = await Database.open(tmp_path / "test.db")
    yield Platform(
        settings=Settings(DataDir(tmp_path)),
        credentials=create(tmp_path / "credentials.json", "000000000000"),
        clock=SystemClock(),
        database=database,
        resources=Resources(database),
        facts=Facts(database),
        hints=Hints(),
        calls=cast(Calls, None),
        runtimes={},
        objects=LocalObjects(tmp_path / "objects"),
    )
    await database.close()


class Counting:
    """Counts its steps; goes to Done at the third; honours the wish to stop; can be held."""

    kind = "test.thing"

    def __init__(self) -> None:
        self.steps = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.started = asyncio.Event()
        self.fail_first = False
        self.broken = False

    async def step(self, resource: Resource) -> Step:
        self.steps += 1
        self.started.set()
        if resource.wish == "stop":
            return Step("Stopped", resource.status, resource.state)
        await self.hold.wait()
        if self.broken:
            raise KeyError("a bug")
        if self.fail_first and self.steps == 1:
            raise ClientFault("not yet")
        count = resource.state.get("count", 0) + 1
        done = count == 3
        return Step("Done" if done else "Working", {"Count": count}, {"count": count}, after=None if done else 0)

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        return Step("Failed", {"FailureReason": reason}, resource.state)


class Hurried(SystemClock):
    """Does not wait, but says that it did."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> float:
        return super().now() + self._slept

    async def sleep(self, seconds: float) -> None:
        self._slept += seconds
        await asyncio.sleep(0)


async def settled(platform: Platform, phase: str) -> Resource:
    async with asyncio.timeout(120):
        while True:
            found = await platform.resources.get(KEY)
            if found is not None and found.phase == phase:
                return found
            await platform.hints.wait(f"resource {KEY!r}", 0.05)


async def start(platform: Platform, controller: Counting) -> asyncio.Task[Any]:
    await platform.resources.create(Resource(key=KEY, spec={}, due=platform.clock.now()))
    return asyncio.create_task(Engine(platform, [controller]).run())


async def stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_steps_follow_each_other_until_there_is_nothing_to_do(platform: Platform) -> None:
    controller = Counting()
    task = await start(platform, controller)
    found = await settled(platform, "Done")
    await stop(task)
    assert controller.steps == 3
    assert (found.status, found.due, found.lease) == ({"Count": 3}, None, None)


async def test_a_moved_wish_interrupts_the_step_under_way(platform: Platform) -> None:
    controller = Counting()
    controller.hold.clear()
    task = await start(platform, controller)
    await controller.started.wait()

    def wish(resource: Resource) -> None:
        resource.wish = "stop"

    await edit_resource(platform, THING, KEY, wish)
    found = await settled(platform, "Stopped")
    await stop(task)
    assert found.status == {}


class Still(SystemClock):
    """No lease ever runs out."""

    def now(self) -> float:
        return 1_700_000_000.0


@pytest.mark.parametrize("begun", [False, True])
async def test_a_wish_that_moves_between_the_claim_and_its_step_is_heard(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """``begun``: the step's task is there already, and has not run yet."""
    platform.clock = Still()
    controller, claim, moved = Counting(), platform.resources.claim, list[bool]()
    controller.hold.clear()  # nobody waits for the end of a step that was begun for the old wish

    def wish(resource: Resource) -> None:
        resource.wish = "stop"

    async def claim_and_move(*given: Any) -> list[Resource]:
        found = await claim(*given)
        if found and not moved:
            moved.append(True)
            await platform.resources.edit(KEY, wish)
            tell = partial(platform.hints.notify, CHANGED, repr(KEY))
            if begun:
                asyncio.get_running_loop().call_soon(tell)
            else:
                tell()
        return found

    monkeypatch.setattr(platform.resources, "claim", claim_and_move)
    task = await start(platform, controller)
    await settled(platform, "Stopped")
    await stop(task)
    assert controller.steps <= 2


async def test_a_wish_is_heard_though_who_made_it_was_cancelled(platform: Platform) -> None:
    controller = Counting()
    controller.hold.clear()
    task = await start(platform, controller)
    await controller.started.wait()

    def wish(resource: Resource) -> None:
        resource.wish = "stop"

    asking = asyncio.create_task(edit_resource(platform, THING, KEY, wish))
    await asyncio.sleep(0)  # the write is on its way to the database's thread
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()
    await settled(platform, "Stopped")
    await stop(task)


async def test_a_failed_step_is_tried_again(platform: Platform) -> None:
    controller = Counting()
    controller.fail_first = True
    task = await start(platform, controller)
    await settled(platform, "Done")
    await stop(task)
    assert controller.steps == 4


async def test_a_bug_does_not_keep_a_resource_waiting_for_ever(platform: Platform) -> None:
    controller = Counting()
    controller.broken = True
    task = await start(replace(platform, clock=Hurried()), controller)
    found = await settled(platform, "Failed")
    await stop(task)
    assert controller.steps == 5
    assert found.status["FailureReason"].startswith("InternalServerError: KeyError: 'a bug'.")
    assert found.due is None


async def test_a_stopped_engine_gives_its_leases_back(platform: Platform) -> None:
    controller = Counting()
    controller.hold.clear()
    task = await start(platform, controller)
    await controller.started.wait()
    await stop(task)
    found = await platform.resources.get(KEY)
    assert found is not None
    assert found.lease is None
    controller.hold.set()
    task = asyncio.create_task(Engine(platform, [controller]).run())
    await settled(platform, "Done")
    await stop(task)
