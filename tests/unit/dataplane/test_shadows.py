"""Shadow variants get copies, and nobody notices."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.unit.dataplane.plant import Plant, echo, endpoint
from tests.waiting import until

from wildsage.core.routes import Endpoint, Instance, Variant
from wildsage.dataplane.shadows import Shadows
from wildsage.dataplane.table import Counters
from wildsage.wire.http.client_connection import Pool
from wildsage.wire.http.messages import Request, Response


async def shadowed(plant: Plant, shadow: Instance, weight: float = 1.0) -> Endpoint:
    iris = endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),)))
    iris = replace(iris, shadows=(Variant("Shadow", weight, (shadow,)),))
    plant.put(iris)
    return iris


def counted(plant: Plant) -> Counters:
    return plant.router.table.counters()["us-east-1/iris"]["Shadow"]


async def test_a_shadow_gets_the_same_request(plant: Plant) -> None:
    seen: list[tuple[bytes, str | None, str | None]] = []

    async def shadow(request: Request) -> Response:
        body = await request.body.read(1 << 20)
        seen.append((body, request.header("content-type"), request.header("x-amzn-sagemaker-inference-id")))
        return Response(200, [], b"thrown away")

    await shadowed(plant, await plant.serve("s", shadow))
    large = b"x" * 300_000
    for body in (b"1", large):
        assert (await plant.invoke(Body=body, InferenceId="id-1"))["InvokedProductionVariant"] == "A"
    await until(lambda: counted(plant).model)
    await until(lambda: len(seen) == 2)
    assert seen == [(b"1", "text/csv", "id-1"), (large, "text/csv", "id-1")]
    await until(lambda: sum(counted(plant).model.values()) == 2)
    assert (counted(plant).invocations, counted(plant).dropped) == (2, 0)
    assert plant.router.table.underway() == {}


async def test_a_part_of_the_requests_is_copied_by_weight(plant: Plant) -> None:
    count = 0

    async def shadow(request: Request) -> Response:
        nonlocal count
        count += 1
        return Response(500)

    iris = await shadowed(plant, await plant.serve("s", shadow), weight=0.5)
    boto = plant.boto()
    for _ in range(200):
        await plant.invoke(boto)
    await until(lambda: counted(plant).errors_5xx == counted(plant).invocations)
    assert 60 < count < 140  # 100 on average, with a standard deviation of 7
    plant.put(replace(iris, shadows=(replace(iris.shadows[0], weight=0.0),)))
    before = counted(plant).invocations
    for _ in range(20):
        await plant.invoke(boto)
    assert counted(plant).invocations == before


async def test_a_shadow_that_hangs_gets_only_so_many(plant: Plant) -> None:
    goes_on = asyncio.Event()

    async def hanging(request: Request) -> Response:
        await goes_on.wait()
        return Response(200)

    await shadowed(plant, await plant.serve("s", hanging))
    live = plant.router.table.endpoint("us-east-1", "iris")
    assert live is not None
    shadows = Shadows(Pool(), 0.5)
    for _ in range(100):
        shadows.copy(live, b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n", b"1")
    assert counted(plant).dropped == 36
    assert list(plant.router.table.underway().values()) == [64]
    await until(lambda: plant.router.table.underway() == {})  # given up, as any answer that takes too long
    assert (counted(plant).invocations, counted(plant).errors_5xx) == (64, 64)
    goes_on.set()
    shadows.close()


async def test_bodies_that_are_too_much_together_are_not_kept(plant: Plant) -> None:
    await shadowed(plant, Instance("away", "unix:/nowhere"))
    live = plant.router.table.endpoint("us-east-1", "iris")
    assert live is not None
    shadows = Shadows(Pool(), 0.5)
    body = bytes(25 * 1024 * 1024)
    for _ in range(5):
        shadows.copy(live, b"", body)
    assert counted(plant).dropped == 3
    await until(lambda: counted(plant).dropped == 5)
    shadows.copy(live, b"", body)  # there is room again
    assert counted(plant).dropped == 5
    await until(lambda: counted(plant).dropped == 6)
    shadows.close()


async def test_a_shadow_that_is_away_costs_the_caller_nothing(plant: Plant) -> None:
    await shadowed(plant, Instance("away", "unix:/nowhere"))
    for _ in range(5):
        assert (await plant.invoke())["Body"]
    await until(lambda: counted(plant).dropped == 5)
    assert counted(plant).invocations == 0


async def test_a_shadow_without_an_instance_is_none(plant: Plant) -> None:
    iris = endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),)))
    plant.put(replace(iris, shadows=(Variant("Shadow", 1.0),)))
    assert (await plant.invoke())["Body"]
