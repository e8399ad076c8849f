"""Counters of routers as metrics: nothing is lost or told twice, whoever is started again."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.services.sagemaker.conftest import Server

from wildsage.core.latencies import bounds, bucket, middle
from wildsage.core.routes import Endpoint, Instance, Variant, counted_as
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.endpoints.traffic import NAMESPACE, Traffic, difference
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server


@given(st.integers(0, 10**10))
def test_buckets_are_narrow_and_in_order(microseconds: int) -> None:
    number = bucket(microseconds)
    least, most = bounds(number)
    assert least <= microseconds <= most
    assert abs(middle(number) - microseconds) <= 0.008 * microseconds + 0.5
    assert bounds(number + 1)[0] == most + 1


def counted(invocations: int, bad: int = 0, microseconds: int = 1000) -> dict[str, Any]:
    return {
        "invocations": invocations,
        "errors_4xx": bad,
        "errors_5xx": 0,
        "model_us": invocations * microseconds,
        "overhead_us": invocations * 50,
        "model": {str(bucket(microseconds)): invocations},
        "overhead": {"50": invocations},
    }


def test_what_the_containers_of_a_pipeline_took_since() -> None:
    before = counted(2) | {
        "containers": {"one": {"us": 20, "buckets": {"10": 2}}, "two": {"us": 9, "buckets": {"9": 1}}}
    }
    now = counted(3) | {
        "containers": {"one": {"us": 31, "buckets": {"10": 2, "11": 1}}, "two": {"us": 9, "buckets": {"9": 1}}}
    }
    assert difference(now, before)["containers"] == {"one": {"us": 11, "buckets": {"11": 1}}}
    assert difference(now, counted(2))["containers"] == now["containers"]


class Router:
    """Answers what it is told to have counted."""

    def __init__(self) -> None:
        self.pid = 1
        self.counts = counted(0)
        self.config = ""
        self.underway: dict[str, int] = {}

    def told(self) -> bytes:
        endpoints = {"us-east-1/iris": {counted_as("AllTraffic", "", self.config): self.counts}}
        return json.dumps({"pid": self.pid, "since": 1.5, "underway": self.underway, "endpoints": endpoints}).encode()

    async def answer(self, _request: Request) -> Response:
        return Response(200, [], self.told())


async def metric(server: Server, name: str, config: str = "") -> Mapping[str, float]:
    now = server.control.platform.clock.now()
    dimensions = {"VariantName": "AllTraffic", "EndpointName": "iris"}
    if config:
        dimensions["EndpointConfigName"] = config
    answer = await server.call(
        "cloudwatch",
        "GetMetricStatistics",
        Namespace=NAMESPACE,
        MetricName=name,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - 1800,
        EndTime=now + 60,
        Period=3600,
        Statistics=["Sum", "Average", "SampleCount", "Minimum", "Maximum"],
    )
    found: Mapping[str, float] = next(iter(answer["Datapoints"]), {"Sum": 0})
    return found


async def test_percentiles_are_those_of_all_routers_together(server: Server) -> None:
    dice = random.Random(7)
    latencies = [[round(dice.lognormvariate(centre, 0.6)) for _ in range(4000)] for centre in (7.0, 9.0)]
    data, client = server.control.platform.settings.data, Client()
    traffic = Traffic(server.control.platform, Routers(data, client), server.control.routes.endpoints)
    routers = [Router(), Router()]
    listening = [
        await start_server(router.answer, path=data.router_socket(number)) for number, router in enumerate(routers)
    ]
    await traffic.read()  # of a new store the first look is a beginning
    for router, taken in zip(routers, latencies, strict=True):
        counts = counted(len(taken), bad=1)
        counts |= {"model_us": sum(taken), "model": Counter(str(bucket(each)) for each in taken), "lost": 0}
        router.pid, router.counts = id(router), counts
    await traffic.read()
    now = server.control.platform.clock.now()
    (point,) = (
        await server.call(
            "cloudwatch",
            "GetMetricStatistics",
            Namespace=NAMESPACE,
            MetricName="ModelLatency",
            Dimensions=[{"Name": "VariantName", "Value": "AllTraffic"}, {"Name": "EndpointName", "Value": "iris"}],
            StartTime=now - 1800,
            EndTime=now + 60,
            Period=3600,
            ExtendedStatistics=["p10", "p50", "p90", "p99"],
        )
    )["Datapoints"]
    everything = sorted(each for taken in latencies for each in taken)
    for percent, name in ((10, "p10"), (50, "p50"), (90, "p90"), (99, "p99")):
        exact = everything[len(everything) * percent // 100]
        assert abs(point["ExtendedStatistics"][name] - exact) <= 0.02 * exact, name
    assert point["Unit"] == "Microseconds"
    simple = await metric(server, "ModelLatency")
    assert (simple["Sum"], simple["SampleCount"]) == (sum(everything), len(everything))
    assert abs(simple["Minimum"] - everything[0]) <= 0.016 * everything[0]
    assert abs(simple["Maximum"] - everything[-1]) <= 0.016 * everything[-1]
    errors = await metric(server, "Invocation4XXErrors")
    assert (errors["Sum"], errors["SampleCount"]) == (2, len(everything))
    for each in listening:
        await each.close(1)
    client.close()


async def test_each_fleet_of_an_update_has_its_own_series_besides_the_variants(server: Server) -> None:
    """An alarm that is to roll an update back watches the new fleet by EndpointConfigName."""
    data, client, router = server.control.platform.settings.data, Client(), Router()
    traffic = Traffic(server.control.platform, Routers(data, client), server.control.routes.endpoints)
    listening = await start_server(router.answer, path=data.router_socket())
    await traffic.read()
    for router.config, router.counts in (("old", counted(6)), ("new", counted(4, bad=1, microseconds=3000))):
        await traffic.read()
    for config, total, bad, latency in (("", 10, 1, 1800), ("old", 6, 0, 1000), ("new", 4, 1, 3000)):
        found = {name: await metric(server, name, config) for name in ("Invocations", "InvocationsPerInstance")}
        assert {name: point["Sum"] for name, point in found.items()} == dict.fromkeys(found, total)
        errors = await metric(server, "Invocation4XXErrors", config)
        assert (errors["Sum"], errors["SampleCount"]) == (bad, total)
        assert (await metric(server, "ModelLatency", config))["Average"] == latency
    await listening.close(1)
    client.close()


async def test_requests_under_way_are_published_though_none_has_ended(server: Server) -> None:
    data, client, router = server.control.platform.settings.data, Client(), Router()
    variant = Variant("AllTraffic", 1.0, tuple(Instance(f"i-{place}", f"unix:/{place}") for place in (1, 2)))
    iris = Endpoint("iris", "us-east-1", "arn:iris", "InService", "config", "/group", (variant,))
    traffic = Traffic(server.control.platform, Routers(data, client), lambda: {"us-east-1/iris": iris})
    listening = await start_server(router.answer, path=data.router_socket())
    router.counts = counted(0) | {"invocations": 7, "model": {}, "overhead": {}}
    router.underway = {"unix:/1": 7}
    await traffic.read()
    found = await metric(server, "ConcurrentRequestsPerModel")
    assert (found["Average"], found["Maximum"], found["SampleCount"]) == (3.5, 7, 2)
    await listening.close(1)
    client.close()


async def test_an_error_is_a_sample_of_its_own_invocation(server: Server) -> None:
    """Begun before a look and failed after it: one sample, no matter when somebody looks."""
    data, client, router = server.control.platform.settings.data, Client(), Router()
    traffic = Traffic(server.control.platform, Routers(data, client), server.control.routes.endpoints)
    listening = await start_server(router.answer, path=data.router_socket())
    await traffic.read()
    under_way = counted(0) | {"invocations": 10, "model": {}, "overhead": {}}
    for counts in (under_way, counted(8, bad=1) | {"invocations": 10, "errors_5xx": 2, "lost": 2}):
        router.counts = counts
        await traffic.read()
    for name, total in (("Invocation4XXErrors", 1), ("Invocation5XXErrors", 2), ("InvocationModelErrors", 3)):
        found = await metric(server, name)
        assert (found["Sum"], found["SampleCount"]) == (total, 10)
    assert (await metric(server, "Invocations"))["Sum"] == 10
    await listening.close(1)
    client.close()


def test_an_endpoint_that_was_forgotten_and_is_back_is_counted_from_nothing() -> None:
    assert difference(counted(5), counted(3))["invocations"] == 2
    assert difference(counted(2), counted(3)) == counted(2)


async def test_restarts_neither_lose_nor_repeat(server: Server) -> None:
    router, client = Router(), Client()
    data, platform = server.control.platform.settings.data, server.control.platform

    async def traffic() -> None:
        """As a control process that has just started sees it."""
        reader = Traffic(platform, Routers(data, client), server.control.routes.endpoints)
        await reader.read()
        await reader.read()

    listening = await start_server(router.answer, path=data.router_socket())
    router.counts = counted(5)
    await traffic()
    assert (await metric(server, "Invocations"))["Sum"] == 0  # counted before the store was there
    router.counts = counted(15, bad=3)
    await traffic()
    await traffic()
    assert (await metric(server, "Invocations"))["Sum"] == 10
    bad = await metric(server, "Invocation4XXErrors")
    assert (bad["Sum"], bad["SampleCount"], bad["Average"]) == (3, 10, 0.3)
    latency = await metric(server, "ModelLatency")
    assert (latency["SampleCount"], latency["Average"]) == (10, 1000)
    assert 980 <= latency["Minimum"] <= 1000 <= latency["Maximum"] <= 1020
    # It ends in order and leaves its counters; the next begins at nothing.
    router.counts = counted(20, bad=3)
    left = data.run / "counters-1.json"
    left.write_bytes(router.told())
    router.pid, router.counts = 2, counted(4)
    counts = left.read_bytes()
    await traffic()
    assert not left.exists()
    # Had control been killed between the transaction and the removal of the file, it would find it again.
    left.write_bytes(counts)
    await traffic()
    assert (await metric(server, "Invocations"))["Sum"] == 19
    await listening.close(1)
    await traffic()
    client.close()


async def test_what_a_router_counted_that_hung_is_not_told_again(server: Server) -> None:
    hangs, still = Router(), Router()
    still.pid, client = 2, Client()
    data, platform = server.control.platform.settings.data, server.control.platform
    go_on = asyncio.Event()
    go_on.set()

    async def answer(request: Request) -> Response:
        await go_on.wait()
        return await hangs.answer(request)

    listening = [
        await start_server(each, path=data.router_socket(number)) for number, each in enumerate((answer, still.answer))
    ]
    reader = Traffic(platform, Routers(data, client, patience=0.5), server.control.routes.endpoints)
    await reader.read()
    hangs.counts = counted(1000)
    await reader.read()
    go_on.clear()
    still.counts = counted(10)
    await reader.read()
    assert (await metric(server, "Invocations"))["Sum"] == 1010
    go_on.set()
    hangs.counts = counted(1001)
    await reader.read()
    assert (await metric(server, "Invocations"))["Sum"] == 1011
    client.close()
    for each in listening:
        await each.close(1)
