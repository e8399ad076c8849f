"""Invocations of multi-model endpoints: where models are, and what happens where they are not."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.dataplane.conftest import impatient
from tests.unit.dataplane.plant import USER, Plant, allow, deny, endpoint, invoker
from tests.unit.dataplane.test_large_bodies import written
from tests.waiting import until

from wildsage.core.routes import MULTI_MODEL, Instance, Variant
from wildsage.dataplane.multimodel.places import CROWDED, Place, another, loaded_at, preferred
from wildsage.dataplane.table import Slot
from wildsage.wire.http.messages import BytesBody, Request, Response
from wildsage.wire.http.server import start_server

Answer = tuple[int, dict[str, Any]]


@dataclass
class World:
    """Control, and containers that pass requests on to their models: ``loaded`` by instance.

    ``asked``: what control was asked to load. ``answers``: how it answers instead of loading.
    ``free``: containers answer; ``under_way``: requests that wait for that.
    """

    plant: Plant
    loaded: dict[str, set[str]] = field(default_factory=dict)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: dict[tuple[str, str], Callable[[], Answer]] = field(default_factory=dict)
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    instances: dict[str, Instance] = field(default_factory=dict)
    unloaded: list[str] = field(default_factory=list)
    keep: bool = True
    free: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    async def control(self, request: Request) -> Response:
        question = json.loads(await request.body.read(65536))
        name, model = question["instance"], question["model"]
        if request.path == "/unload":
            self.unloaded.append(model)
            return Response(200, [], b"{}")
        self.asked[name, model] += 1
        await self.turn.wait()
        if (answer := self.answers.get((name, model))) is not None:
            status, said = answer()
            return Response(status, [], json.dumps(said).encode())
        self.loaded[name].add(model)
        where = {"address": self.instances[name].address, "path": f"/models/{model}/invoke", "keep": self.keep}
        return Response(200, [], json.dumps(where).encode())

    async def add(self, name: str) -> Instance:
        self.loaded[name] = set()

        async def container(request: Request) -> Response:
            body = await request.body.read(1 << 20)
            model = request.path.split("/")[2]
            self.under_way += 1
            try:
                await self.free.wait()
            finally:
                self.under_way -= 1
            if model not in self.loaded[name]:
                return Response(404, [], b"who?")
            return Response(200, [("content-type", "text/plain")], f"{name} {model} {body.decode()}".encode())

        self.instances[name] = await self.plant.serve(name, container)
        return self.instances[name]

    async def ask(self, model: str = "a", **more: Any) -> str:
        answer = await self.plant.invoke(TargetModel=model, **more)
        return str(answer["Body"].decode())

    async def refused(self, model: str = "a") -> dict[str, Any]:
        with pytest.raises(ClientError) as caught:
            await self.ask(model)
        return dict(caught.value.response)

    async def tell(self, path: str, question: dict[str, str]) -> Any:
        """What control asks of the router."""
        body = json.dumps(question).encode()
        request = Request("POST", path, [("host", "r"), ("content-length", str(len(body)))], BytesBody(body))
        address = f"unix:{self.plant.data.router_socket(0)}"
        return json.loads((await self.plant.client.whole(address, request, 10)).body)


async def world(plant: Plant, *names: str, answers: bool = True) -> World:
    found = World(plant)
    found.turn.set()
    found.free.set()
    instances = tuple([await found.add(name) for name in names])
    plant.put(endpoint("iris", Variant("all", 1.0, instances, mode=MULTI_MODEL)))
    if answers:
        await open_control(found)
    return found


async def open_control(found: World) -> None:
    found.plant.servers.append(await start_server(found.control, path=found.plant.data.models_socket))


def counters(plant: Plant) -> Any:
    return plant.router.table.counters()["us-east-1/iris"]["all"]


async def test_a_model_is_loaded_once_however_many_ask(plant: Plant) -> None:
    here = await world(plant, "one")
    boto = plant.boto()
    assert await here.ask("b", boto=boto) == "one b 1,2"
    here.turn.clear()
    asking = [asyncio.create_task(here.ask(boto=boto)) for _ in range(4)]
    await until(lambda: counters(plant).model_misses == 5)
    here.turn.set()
    assert await asyncio.gather(*asking) == ["one a 1,2"] * 4
    assert await here.ask() == "one a 1,2"
    assert here.asked == {("one", "a"): 1, ("one", "b"): 1}
    assert (counters(plant).model_hits, sum(counters(plant).waited.values())) == (1, 5)
    assert plant.router.table.underway() == {}


async def test_a_container_that_has_forgotten_a_model_gets_it_again(plant: Plant) -> None:
    here = await world(plant, "one")
    assert await here.ask() == "one a 1,2"
    for body in (b"1,2", b""):
        here.loaded["one"].clear()
        assert await here.ask(Body=body) == f"one a {body.decode()}"
    assert here.asked == {("one", "a"): 3}


async def test_a_fault_of_control_is_an_error_at_once(plant: Plant) -> None:
    def fails() -> Answer:
        raise RuntimeError("a fault, as it should be")

    here = await world(plant, "one")
    here.answers["one", "a"] = fails
    answer = await here.refused()
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("InternalFailure", 500)
    assert plant.router.table.underway() == {}


async def test_a_model_that_answers_404_is_not_asked_for_ever(plant: Plant) -> None:
    here = await world(plant, "one")
    address = here.instances["one"].address
    where = {"address": address, "path": "/models/unknown/invoke", "keep": True}
    here.answers["one", "a"] = lambda: (200, where)
    answer = await here.refused()
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 404)
    assert here.asked == {("one", "a"): 2}
    assert plant.router.table.underway() == {}


async def test_control_learns_what_was_used_and_takes_what_is_not_in_use(plant: Plant) -> None:
    here = await world(plant, "one")
    address = here.instances["one"].address
    assert await here.tell("/models/used", {"address": address}) == {"models": {}}
    await here.ask("a")
    await here.ask("b")
    used = (await here.tell("/models/used", {"address": address}))["models"]
    assert used["a"]["idle"] >= used["b"]["idle"] >= 0
    assert await here.tell("/models/release", {"address": address, "model": "a"}) == {"released": True}
    assert set((await here.tell("/models/used", {"address": address}))["models"]) == {"b"}
    assert await here.tell("/models/release", {"address": "unix:/gone", "model": "a"}) == {"released": True}
    await here.ask("a")
    assert here.asked["one", "a"] == 2


async def test_what_is_not_kept_is_unloaded_after_use(plant: Plant) -> None:
    here = await world(plant, "one")
    here.keep = False
    await here.ask("a")
    await until(lambda: here.unloaded == ["a"])


async def test_a_container_that_cannot_load_a_model_is_quoted(plant: Plant) -> None:
    here = await world(plant, "one")
    here.answers["one", "a"] = lambda: (424, {"status": 507, "body": "no memory"})
    answer = await here.refused()
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 507)
    assert 'Received server error (507) from primary with message "no memory"' in answer["Error"]["Message"]
    here.answers["one", "a"] = lambda: (400, {"code": "ValidationError", "message": "Not there."})
    assert (await here.refused())["Error"] == {"Code": "ValidationError", "Message": "Not there."}
    del here.answers["one", "a"]
    assert await here.ask() == "one a 1,2"


@impatient
async def test_a_model_that_takes_too_long_is_not_ready_and_is_later(plant: Plant) -> None:
    here = await world(plant, "one")
    here.turn.clear()
    answer = await here.refused()
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelNotReadyException", 429)
    here.turn.set()
    await until(lambda: here.loaded["one"] == {"a"})
    assert await here.ask() == "one a 1,2"
    assert here.asked == {("one", "a"): 1}


async def test_a_request_waits_for_control(plant: Plant) -> None:
    here = await world(plant, "one", answers=False)
    asking = asyncio.create_task(here.ask())
    await until(lambda: counters(plant).model_misses == 1)
    await open_control(here)
    assert await asking == "one a 1,2"


async def test_another_instance_loads_what_one_that_is_gone_had(plant: Plant) -> None:
    here = await world(plant, "one", "two")
    for name in ("one", "two"):
        other = {"one": "two", "two": "one"}[name]
        model = next(f"m{n}" for n in range(99) if preferred(slots("one", "two"), f"m{n}")[0].instance.id == name)
        here.answers[name, model] = lambda: (404, {})
        assert await here.ask(model) == f"{other} {model} 1,2"


async def test_models_are_asked_where_they_are(plant: Plant) -> None:
    here = await world(plant, "one", "two")
    for _ in range(3):
        for number in range(20):
            await here.ask(f"m{number}")
    assert sum(here.asked.values()) == 20
    assert min(len(models) for models in here.loaded.values()) > 2


@pytest.mark.parametrize("target", ["", "../a", "a/../b", "s3://x/y", "a//b", "x" * 1025])
async def test_what_is_no_path_below_the_prefix(plant: Plant, target: str) -> None:
    here = await world(plant, "one")
    with pytest.raises(ClientError) as caught:
        await plant.invoke(**({"TargetModel": target} if target else {}))
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert not here.asked


async def test_a_client_that_hangs_up_unloads_nothing(plant: Plant) -> None:
    here = await world(plant, "one")
    await here.ask()
    here.free.clear()
    _, writer = await asyncio.open_connection(*plant.router.home())
    writer.write(written(plant, b"1,2", ("x-amzn-sagemaker-target-model", "a")) + b"1,2")
    await until(lambda: here.under_way == 1)
    writer.close()
    at = {"address": here.instances["one"].address}
    await until(lambda: not plant.router.table.underway())
    here.free.set()
    assert list((await here.tell("/models/used", at))["models"]) == ["a"]
    await here.ask()
    assert here.asked["one", "a"] == 1


async def test_a_slash_before_a_model_is_no_way_around_a_policy(plant: Plant) -> None:
    """It belongs to the prefix: /secret is the model called secret."""
    here = await world(plant, "one")
    live = plant.routes.endpoints["us-east-1/iris"]
    boto = plant.boto("AKIAUSER", "user-secret")

    def permit(*statements: tuple[bool, str, str]) -> None:
        found = [
            (allow if allows else deny)(live.arn, Condition={operator: {"sagemaker:TargetModel": name}})
            for allows, operator, name in statements
        ]
        plant.put(live, **{USER: invoker(*found, *([] if statements[0][0] else [allow(live.arn)]))})

    permit((False, "StringEquals", "secret"), (False, "StringEquals", "/hidden"))
    for name in ("secret", "/secret", "/hidden"):
        with pytest.raises(ClientError, match="AccessDenied"):
            await here.ask(name, boto=boto)
    permit((True, "StringNotEquals", "secret"))
    for name in ("secret", "/secret"):
        with pytest.raises(ClientError, match="AccessDenied"):
            await here.ask(name, boto=boto)
    assert await here.ask("/a", boto=boto) == "one a 1,2"
    permit((True, "StringLike", "mine/*"))
    assert await here.ask("/a", boto=plant.boto()) == "one a 1,2"
    with pytest.raises(ClientError, match="AccessDenied"):
        await here.ask("/a", boto=boto)


def slots(*names: str) -> list[Slot]:
    return [Slot(Instance(name, f"unix:/{name}")) for name in names]


def test_all_routers_prefer_the_same_instances() -> None:
    names = ("i-1", "i-2", "i-3")
    first = Counter(preferred(slots(*names), f"model-{number}")[0].instance.id for number in range(300))
    assert min(first[name] for name in names) > 60
    for number in range(50):
        before = [slot.instance.id for slot in preferred(slots(*names), f"model-{number}")]
        after = [slot.instance.id for slot in preferred(slots("i-3", "i-1"), f"model-{number}")]
        assert after == [name for name in before if name != "i-2"]


def test_a_crowded_model_gets_another_instance() -> None:
    one, two = slots("one", "two")
    place = Place(one, "a", "unix:/a", "/invocations", True)
    one.models["a"] = place
    for _ in range(CROWDED - 1):
        place.begin()
    assert another([one, two], place) is None
    place.begin()
    assert another([one, two], place) is two
    assert another([one], place) is None
    two.outstanding = CROWDED
    assert another([one, two], place) is None


def test_a_model_at_an_instance_in_doubt_is_asked_for_elsewhere() -> None:
    one, two = slots("one", "two")
    place = one.models["a"] = Place(one, "a", "unix:/a", "/invocations", True)
    assert loaded_at([one, two], "a") is place
    one.doubted_until = time.perf_counter() + 60
    assert loaded_at([one, two], "a") is None
    assert preferred([one, two], "a") == [two, one]
    assert loaded_at([one], "a") is place  # nobody else could answer
    one.doubted_until = time.perf_counter()
    assert loaded_at([one, two], "a") is place
