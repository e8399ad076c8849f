"""The models of one instance: fetched once, loaded, unloaded for others, and found again by another control."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wildsage.core import trees
from wildsage.core.caller import Caller
from wildsage.core.clock import ManualClock, SystemClock
from wildsage.core.errors import ApiError
from wildsage.core.settings import DataDir
from wildsage.services.sagemaker.endpoints.multimodel import shelf as shelves
from wildsage.services.sagemaker.endpoints.multimodel.blame import Blame, Hands
from wildsage.services.sagemaker.endpoints.multimodel.container import Container
from wildsage.services.sagemaker.endpoints.multimodel.shelf import Common, Shelf, Source, Unloadable, name_of
from wildsage.services.sagemaker.endpoints.multimodel.turns import Turns
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.instance.places import Location
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.store.codec import Document
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

ROLE = Caller("000000000000", "arn:aws:iam::000000000000:role/r", "AROA", "arn:aws:iam::000000000000:role/r", "")


@dataclass
class World:
    """A bucket (``objects``) and somebody else's container, which has room for ``room`` models.

    ``found``: TargetModel → whether it was whole when the container was last told to load it.
    ``deadly``: those at which it hangs up; ``together``: how many it had to load each time that it did.
    """

    folder: Path
    client: Client
    objects: dict[str, bytes] = field(default_factory=dict)
    fetched: Counter[str] = field(default_factory=Counter)
    loaded: list[str] = field(default_factory=list)
    room: int = 2
    broken: bool = False
    measured: Counter[str] = field(default_factory=Counter)
    found: dict[str, bool] = field(default_factory=dict)
    common: Common = field(default_factory=lambda: Common(SystemClock()))
    deadly: set[str] = field(default_factory=set)
    together: list[int] = field(default_factory=list)
    loading: int = 0

    async def call(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> Document:
        """The bucket."""
        assert (service, operation) == ("s3", "GetObject")
        self.fetched[params["Key"]] += 1
        await asyncio.sleep(0)
        if params["Key"] not in self.objects:
            raise ApiError("NoSuchKey", "The specified key does not exist.", 404)
        return {"Body": self.objects[params["Key"]]}

    async def allowed(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> bool:
        return True

    async def container(self, request: Request) -> Response:
        body = await request.body.read(65536)
        if request.method == "GET":
            page = int(request.query.rpartition("=")[2] or 0)  # one model a page
            names = [{"modelName": name, "modelUrl": "-"} for name in self.loaded[page : page + 1]]
            more = {"nextPageToken": str(page + 1)} if page + 1 < len(self.loaded) else {}
            return Response(200, [], json.dumps({"models": names, **more}).encode())
        if request.method == "DELETE":
            self.loaded.remove(request.path.rpartition("/")[2])
            return Response(200, [], b"{}")
        name = json.loads(body)["model_name"]
        place = self.folder / "models" / name
        self.found[(place / "target").read_text()] = (place / "model" / "weights").exists()
        if name in self.loaded:
            return Response(409, [], b"{}")
        self.loading += 1
        await asyncio.sleep(0.05)
        self.loading -= 1
        if (place / "target").read_text() in self.deadly:
            self.together.append(self.loading + 1)
            return Response(200, [("content-length", "9")], _breaks_off())
        if self.broken:
            return Response(500, [], b"broken")
        if len(self.loaded) >= self.room:
            return Response(507, [], b"full")
        self.loaded.append(name)
        return Response(200, [], b"{}")

    def shelf(self) -> Shelf:
        """As a control that has just started has it."""
        address = f"unix:{self.folder}/c.sock"
        routers = Routers(DataDir(self.folder), self.client)

        def measure(name: str, seconds: float) -> None:
            self.measured[name] += 1

        return Shelf(self.folder / "models", Container(self.client, address), routers, self.common, measure)

    @property
    def source(self) -> Source:
        return Source(Location("bucket", "models/"), Transfers(self, ROLE, "us-east-1"))

    def on_disk(self, *targets: str) -> list[bool]:
        return [(self.folder / "models" / name_of(target) / "model" / "weights").exists() for target in targets]

    def in_memory(self, *targets: str) -> list[bool]:
        return [name_of(target) in self.loaded for target in targets]


async def _breaks_off() -> AsyncIterator[bytes]:
    yield b"{"
    raise ConnectionError("the container ends")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "models").mkdir()
    found = World(tmp_path, Client())
    for name in "abcd":
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.addfile(tarfile.TarInfo("weights"), io.BytesIO())
        found.objects[f"models/{name}"] = packed.getvalue()
    server = await start_server(found.container, path=tmp_path / "c.sock")
    yield found
    found.client.close()
    await server.close(0.1)


async def test_it_is_fetched_and_loaded_once(world: World) -> None:
    shelf = world.shelf()
    places = await asyncio.gather(*(shelf.load("a", world.source) for _ in range(5)))
    assert set(places) == {(f"unix:{world.folder}/c.sock", f"/models/{name_of('a')}/invoke")}
    assert world.fetched == {"models/a": 1}
    assert world.measured == {"ModelDownloadingTime": 1, "ModelLoadingTime": 1}


async def test_the_one_not_used_for_longest_goes(world: World) -> None:
    shelf = world.shelf()
    for target in "abca":
        await shelf.load(target, world.source)
    assert world.in_memory(*"abc") == [True, False, True]
    assert world.on_disk(*"abc") == [True, True, True]
    assert world.fetched == {"models/a": 1, "models/b": 1, "models/c": 1}
    assert world.measured["ModelUnloadingTime"] == 2


async def test_all_get_their_turn_where_there_is_room_for_one(world: World) -> None:
    world.room = 1
    shelf = world.shelf()
    await asyncio.gather(*(shelf.load(target, world.source) for target in "abcdabcd"))
    assert len(world.loaded) == 1


async def test_another_control_goes_on(world: World) -> None:
    for target in "ab":
        await world.shelf().load(target, world.source)
    shelf = world.shelf()
    await shelf.load("a", world.source)
    await shelf.load("c", world.source)
    assert world.in_memory(*"abc") == [True, False, True]
    assert world.measured["ModelLoadingTime"] == 3  # not of the one that was there


async def test_what_is_not_loaded_leaves_a_disk_that_is_short(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = world.shelf()
    for target in "abc":
        await shelf.load(target, world.source)
    assert world.on_disk(*"abc") == [True, True, True]
    monkeypatch.setattr(shelves, "_SPARE_BYTES", 1 << 62)
    await shelf.load("d", world.source)
    assert world.on_disk(*"abcd") == [False, True, True, True]


async def test_a_model_that_is_not_kept(world: World) -> None:
    shelf = world.shelf()
    await shelf.load("a", world.source)
    await shelf.unload("a")
    assert (world.in_memory("a"), world.on_disk("a")) == ([False], [False])


async def test_what_cannot_be_had(world: World) -> None:
    shelf = world.shelf()
    with pytest.raises(ApiError, match=r"Failed to download model data\(bucket: bucket, key: models/x\)"):
        await shelf.load("x", world.source)
    world.broken = True
    with pytest.raises(Unloadable, match="500"):
        await shelf.load("a", world.source)
    assert world.on_disk("a") == [False]
    world.broken, world.room = False, 0
    with pytest.raises(Unloadable, match="507"):
        await shelf.load("a", world.source)


async def test_a_model_that_is_asked_for_while_the_disk_is_cleared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.room = 1
    shelf = world.shelf()
    for target in "abc":
        await shelf.load(target, world.source)
    assert world.in_memory(*"abc") == [False, False, True]
    monkeypatch.setattr(shelves, "_SPARE_BYTES", 1 << 62)
    await asyncio.gather(shelf.load("d", world.source), *(shelf.load(each, world.source) for each in "ab"))
    assert world.found == dict.fromkeys("abcd", True), "each was whole when it was loaded"


async def test_what_a_kill_left_of_a_removal_is_no_model(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = world.shelf()
    await shelf.load("a", world.source)
    remove = trees.remove

    def killed(root: Path) -> None:
        if root.exists():
            raise OSError(errno.EIO, "killed")

    monkeypatch.setattr(trees, "remove", killed)
    with pytest.raises(OSError, match="killed"):
        await shelf.unload("a")
    monkeypatch.setattr(trees, "remove", remove)
    await world.shelf().load("a", world.source)
    assert world.fetched["models/a"] == 2
    assert world.on_disk("a") == [True]


async def _loaded_at_last(world: World, target: str, shelf: Shelf | None = None) -> int:
    """As routers ask, again and again, each time a new instance; how often until it is loaded. Raises Unloadable."""
    for number in range(1, 10):
        with suppress(AnswerLost):
            await (shelf or world.shelf()).load(target, world.source)
            return number
    raise AssertionError("it is tried for ever")


async def test_a_model_that_ends_its_container_is_given_up(world: World) -> None:
    world.deadly = {"a"}
    with pytest.raises(Unloadable, match="ended twice while it loaded the model a"):
        await _loaded_at_last(world, "a")
    assert world.together == [1, 1]
    with pytest.raises(Unloadable, match="not tried again for 300 seconds"):
        await world.shelf().load("a", world.source)
    assert len(world.together) == 2
    assert await _loaded_at_last(world, "b") == 1


async def test_only_the_model_that_ends_its_container_is_blamed(world: World) -> None:
    """Those that were loaded beside it are tried again."""
    world.deadly, world.room = {"a"}, 4
    shelf = world.shelf()
    targets = ("a", "b", "c")
    found = await asyncio.gather(*(shelf.load(each, world.source) for each in targets), return_exceptions=True)
    assert [isinstance(each, AnswerLost) for each in found] == [True, False, False]
    world.loaded.clear()
    tried = await asyncio.gather(*(_loaded_at_last(world, each, shelf) for each in targets), return_exceptions=True)
    assert isinstance(tried[0], Unloadable)
    assert tried[1:] == [1, 1]
    assert world.together[-1] == 1, "a suspect has the container to itself"


async def test_a_suspect_that_hangs_keeps_no_others() -> None:
    clock = ManualClock()
    blame = Blame(clock)
    hands, order = Hands(blame, clock), []

    async def load(target: str, done: asyncio.Event, lost: bool = False) -> None:
        async with hands.loading(target):
            order.append(target)
            await done.wait()
            if lost:
                raise AnswerLost("the container ended")

    over, never = asyncio.Event(), asyncio.Event()
    over.set()
    with pytest.raises(AnswerLost):
        await load("a", over, lost=True)
    tasks = [asyncio.create_task(load("a", never, lost=True)), asyncio.create_task(load("b", over))]
    for _ in range(5):
        await asyncio.sleep(0)
    await clock.advance(19.0)
    assert order == ["a", "a"]
    await clock.advance(2.0)
    await tasks[1]
    never.set()
    with pytest.raises(AnswerLost):
        await tasks[0]
    blame.check("a")  # b was loaded beside it: nobody knows whose doing it was


async def test_models_that_do_not_fit_on_the_volume(world: World) -> None:
    source = Source(world.source.prefix, world.source.transfers, 1000)
    with pytest.raises(ApiError, match="does not fit: unpacked it has more than"):
        await world.shelf().load("a", source)
    assert not any((world.folder / "models").iterdir())


async def test_turns_that_take_long_count_no_more() -> None:
    clock = ManualClock()
    turns, order = Turns(1, 20.0, clock), []
    never = asyncio.Event()

    async def work(name: str, done: asyncio.Event) -> None:
        async with turns.one():
            order.append(name)
            await done.wait()

    over = asyncio.Event()
    over.set()
    tasks = [asyncio.create_task(work("hangs", never)), asyncio.create_task(work("next", over))]
    for _ in range(5):
        await asyncio.sleep(0)
    await clock.advance(19.0)
    assert order == ["hangs"]
    await clock.advance(2.0)
    await tasks[1]
    assert order == ["hangs", "next"]
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await work("last", over)
