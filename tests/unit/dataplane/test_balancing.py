"""Where requests go, and what happens where nobody is, or the wrong one."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.dataplane.conftest import impatient
from tests.unit.dataplane.plant import Plant, endpoint

from wildsage.core.instances import DOUBT
from wildsage.core.routes import RANDOM, Endpoint, Instance, Routes, Variant
from wildsage.dataplane.choice import away_seconds, copied
from wildsage.dataplane.table import LiveVariant, Table
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.wire.http.messages import BytesBody, Request, Response


def named(name: str) -> Any:
    async def answer(request: Request) -> Response:
        return Response(200, [], name.encode())

    return answer


def variant(*names: str, routing: str = "LEAST_OUTSTANDING_REQUESTS") -> LiveVariant:
    instances = tuple(Instance(name, f"unix:/{name}") for name in names)
    iris = Endpoint("iris", "r", "arn", "InService", "c", "/l", (Variant("A", 1.0, instances, routing),))
    table = Table()
    table.put(Routes(1, "000000000000", "ab", endpoints={"r/iris": iris}))
    live = table.endpoint("r", "iris")
    assert live is not None
    return live.variants[0]


def picked(live: LiveVariant) -> str:
    slot = live.pick()
    assert slot is not None
    return slot.instance.id


def test_the_least_busy_instance_is_picked() -> None:
    live = variant("a", "b", "c")
    live.slots[0].outstanding, live.slots[2].outstanding = 2, 1
    assert {picked(live) for _ in range(10)} == {"b"}
    live.slots[1].outstanding = 1
    assert {picked(live) for _ in range(10)} == {"b", "c"}


def test_random_routing_does_not_look() -> None:
    live = variant("a", "b", routing=RANDOM)
    live.slots[0].outstanding = 100
    found = Counter(picked(live) for _ in range(1000))
    assert 400 < found["a"] < 600


def test_weights_decide_over_twenty_thousand_requests() -> None:
    """Pearson's test: with three degrees of freedom, more than 30.7 happens once in a million runs."""
    weights = {"A": 1.0, "B": 3.0, "C": 0.5, "D": 5.5, "none": 0.0}
    variants = tuple(Variant(name, weight, (Instance(name, f"unix:/{name}"),)) for name, weight in weights.items())
    table = Table()
    table.put(
        Routes(
            1,
            "000000000000",
            "ab",
            endpoints={"r/iris": Endpoint("iris", "r", "arn", "InService", "c", "/l", variants)},
        )
    )
    live = table.endpoint("r", "iris")
    assert live is not None
    found = Counter(each.variant.name for _ in range(20_000) if (each := live.pick()) is not None)
    assert sum(found.values()) == 20_000
    assert "none" not in found
    wanted = {name: 20_000 * weight / 10 for name, weight in weights.items() if weight}
    assert sum((found[name] - count) ** 2 / count for name, count in wanted.items()) < 30.7


def test_an_instance_that_refused_is_passed_over_and_asked_by_one() -> None:
    live = variant("a", "b")
    now = time.perf_counter()
    live.slots[0].refused(now)
    live.slots[1].outstanding = 100
    live.slots[0].away_until = now + 60
    assert {picked(live) for _ in range(10)} == {"b"}
    live.slots[0].away_until = now
    live.slots[0].failures = 20  # the next look is seconds away
    assert [picked(live) for _ in range(3)] == ["a", "b", "b"]
    live.slots[0].failures = 0
    assert picked(live) == "a"


def test_an_instance_in_doubt_is_passed_over_while_another_can_answer() -> None:
    live = variant("a", "b")
    doubted, other = live.slots
    doubted.doubted_until = time.perf_counter() + 60
    other.outstanding = 100
    assert {picked(live) for _ in range(10)} == {"b"}
    assert live.pick((other,)) is doubted
    other.refused(time.perf_counter())
    other.away_until += 60
    assert {picked(live) for _ in range(10)} == {"b"}  # it may refuse, which costs nothing; the other may hang
    doubted.doubted_until = time.perf_counter()
    assert picked(live) == "a"


async def test_control_asks_whether_an_instance_is_left(plant: Plant) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Response:
        started.set()
        await go_on.wait()
        return Response(200, [], b"done")

    instance = await plant.serve("m", slow)
    routers = Routers(plant.data, plant.client)
    plant.put(endpoint("iris", Variant("A", 1.0, (instance,))))
    assert not await routers.done_with([instance.address]), "it may be sent a request"
    asking = asyncio.create_task(plant.invoke())
    await started.wait()
    plant.put()
    assert not await routers.done_with([instance.address]), "it works on one"
    go_on.set()
    assert (await asking)["Body"] == b"done"
    assert await routers.done_with([instance.address])


async def test_control_says_what_is_in_doubt(plant: Plant) -> None:
    first, second = await plant.serve("first", named("first")), await plant.serve("second", named("second"))
    plant.put(endpoint("iris", Variant("A", 1.0, (first, second))))
    boto = plant.boto()

    async def doubt(address: str, seconds: float) -> Any:
        body = json.dumps({"address": address, "seconds": seconds}).encode()
        request = Request("POST", DOUBT, [("host", "router"), ("content-length", str(len(body)))], BytesBody(body))
        return json.loads((await plant.client.whole(f"unix:{plant.data.router_socket()}", request)).body)

    async def answering() -> set[bytes]:
        return {(await plant.invoke(boto))["Body"] for _ in range(4)}

    assert await doubt(first.address, 3600) == {"underway": 0}
    assert await answering() == {b"second"}
    assert await doubt(first.address, 0) == {"underway": 0}
    assert await answering() == {b"first", b"second"}
    assert await doubt("unix:/nobody", 3600) == {"underway": 0}
    slot = plant.router.table.slot(first.address)
    assert slot is not None
    slot.outstanding = 2
    assert await doubt(first.address, 0) == {"underway": 2}


def test_where_all_are_away_one_is_asked_all_the_same() -> None:
    live = variant("a", "b")
    for slot in live.slots:
        slot.refused(time.perf_counter())
        slot.away_until += 60
    first = live.pick()
    assert first is not None
    assert live.pick((first,)) not in (None, first)
    assert live.pick(live.slots) is None


def test_waits_grow_up_to_a_limit() -> None:
    waits = [away_seconds(failures) for failures in range(1, 10_000)]
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (0.05, 0.1, 5.0)


@pytest.mark.parametrize(("shadow", "sum_", "part"), [(1, 1, 1), (0.5, 1, 0.5), (1, 4, 0.25), (3, 1, 1), (1, 0, 0)])
def test_what_a_shadow_gets(shadow: float, sum_: float, part: float) -> None:
    assert copied(shadow, sum_) == part


async def test_an_instance_that_comes_back_gets_requests_again(plant: Plant) -> None:
    late = Instance("late", f"unix:{plant.data.root}/late.sock")
    plant.put(endpoint("iris", Variant("A", 1.0, (late, await plant.serve("m", named("m"))))))
    boto = plant.boto()
    for _ in range(20):
        assert (await plant.invoke(boto))["Body"] == b"m"
    await plant.serve("late", named("late"))
    deadline = time.monotonic() + 60
    while (await plant.invoke(boto))["Body"] != b"late":
        assert time.monotonic() < deadline


async def test_an_instance_that_answers_over_a_kept_connection_is_not_away(plant: Plant) -> None:
    both = (await plant.serve("a", named("a")), await plant.serve("b", named("b")))
    plant.put(endpoint("iris", Variant("A", 1.0, both)))
    boto = plant.boto()
    assert {(await plant.invoke(boto))["Body"] for _ in range(4)} == {b"a", b"b"}
    live = plant.router.table.endpoint("us-east-1", "iris")
    assert live is not None
    slot = live.variants[0].slots[0]
    for _ in range(5):
        slot.refused(time.perf_counter())  # one more connection, say, while its listener was full
    deadline = time.monotonic() + 60
    while (await plant.invoke(boto))["Body"] != b"a":
        assert time.monotonic() < deadline
    assert Counter([(await plant.invoke(boto))["Body"] for _ in range(10)]) == {b"a": 5, b"b": 5}


class Raw:
    """A container that reads a request and does with the connection what it likes. ``asked``: requests so far."""

    def __init__(self, act: Callable[[asyncio.StreamWriter], Any]) -> None:
        self._act = act
        self.asked = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n1,2")
                self.asked += 1
                await self._act(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextmanager
def raw_server(plant: Plant, raw: Raw) -> Iterator[Instance]:
    path = Path(plant.data.root / "raw.sock")
    loop = asyncio.get_running_loop()
    starting = loop.create_task(asyncio.start_unix_server(raw.connected, path))
    yield Instance("raw", f"unix:{path}")
    starting.result().close()


GARBAGE = b"\x00\x01 this is no HTTP\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        GARBAGE,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello",
    ],
)
async def test_garbage_is_a_model_error(plant: Plant, answer: bytes) -> None:
    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    with raw_server(plant, Raw(act)) as instance:
        plant.put(endpoint("iris", Variant("A", 1.0, (instance,))))
        with pytest.raises(ClientError) as caught:
            await plant.invoke()
        assert caught.value.response["Error"]["Code"] == "ModelError"
        assert plant.router.table.underway() == {}


@impatient
async def test_a_connection_that_fails_when_the_invocation_is_over_leaves_nothing_under_way(plant: Plant) -> None:
    path = str(plant.data.root / "full.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(path)
        listener.listen(0)
        waiting.connect(path)  # nobody else finds room
        plant.put(endpoint("iris", Variant("A", 1.0, (Instance("full", f"unix:{path}"),))))
        with pytest.raises(ClientError, match="timed out"):
            await plant.invoke()
    live = plant.router.table.endpoint("us-east-1", "iris")
    assert live is not None
    deadline = time.monotonic() + 60
    while not live.variants[0].slots[0].failures:  # it is refused now
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    assert plant.router.table.underway() == {}


async def test_a_head_without_end_is_given_up(plant: Plant) -> None:
    sent = 0

    async def act(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-more: " + b"y" * 10_000 + b"\r\n")
            await writer.drain()
            sent += 10_000

    with raw_server(plant, Raw(act)) as instance:
        plant.put(endpoint("iris", Variant("A", 1.0, (instance,))))
        with pytest.raises(ClientError) as caught:
            await plant.invoke()
        assert caught.value.response["Error"]["Code"] == "ModelError"
        assert sent < 5_000_000


@impatient
async def test_an_answer_without_end_is_cut_when_its_time_is_over(plant: Plant) -> None:
    async def endless(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield bytes(10_000)
                await asyncio.sleep(0.01)

        return Response(200, [], chunks())

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", endless),))))
    with pytest.raises(Exception, match=r"Connection broken|Connection reset|ended prematurely"):
        await plant.invoke()
    assert plant.router.table.underway() == {}


@impatient
async def test_a_client_that_does_not_read_keeps_the_container_waiting(plant: Plant) -> None:
    """And its answer is not cut while it is the client that everybody waits for."""
    total, sent = 40 * 1024 * 1024, 0
    loop = asyncio.get_running_loop()

    async def large(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            nonlocal sent
            while sent < total:
                yield bytes(256 * 1024)
                sent += 256 * 1024

        return Response(200, [("content-length", str(total))], chunks())

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", large),))))

    def call() -> int:
        body = plant.boto().invoke_endpoint(EndpointName="iris", Body=b"")["Body"]
        size = len(body.read(1))
        time.sleep(2.0)  # slower than the model may be
        held.append(asyncio.run_coroutine_threadsafe(look(), loop).result(30))
        return size + len(body.read())

    async def look() -> int:
        return sent

    held: list[int] = []
    assert await asyncio.to_thread(call) == total
    assert held[0] < total / 2


async def test_a_kept_connection_that_was_closed_costs_no_request(plant: Plant) -> None:
    """The container closes after its answer without having said so; the router may not have heard of it yet."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    raw = Raw(act)
    with raw_server(plant, raw) as instance:
        plant.put(endpoint("iris", Variant("A", 1.0, (instance,))))
        boto = plant.boto()
        for _ in range(100):
            assert (await plant.invoke(boto))["Body"] == b"ok"
        assert raw.asked == 100


async def test_what_is_not_there_yet_is_refused_by_name(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", named("m")),))))
    for name, value, words in (
        ("TargetModel", "m.tar.gz", "is not a multi-model endpoint and does not support target model header"),
        ("TargetContainerHostname", "second", "does not support target container hostname header"),
        ("EnableExplanations", "`true`", "does not support enable explanations header"),
        ("InferenceComponentName", "part", "Please remove Inference Component Name header"),
    ):
        with pytest.raises(ClientError, match=words) as caught:
            await plant.invoke(**{name: value})
        assert caught.value.response["Error"]["Code"] == "ValidationError"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
