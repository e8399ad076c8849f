"""How many requests are under way, as it is sampled from what routers tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wildsage.core.routes import Container, Endpoint, Instance, Variant, counted_as
from wildsage.services.sagemaker.endpoints.concurrency import EVERY, TOLD_IDLE, Concurrency

KEY = "us-east-1/iris"
OLD = Variant("one", 0.5, (Instance("i-1", "unix:/1"),), config="old")
SEVERAL = Instance("i-2", "unix:/2", (Container("a", "unix:/2"), Container("b", "unix:/3")))
NEW = Variant("one", 0.5, (SEVERAL,), config="new")
IRIS = Endpoint("iris", "us-east-1", "arn:iris", "InService", "old", "/group", (OLD, NEW, Variant("two", 1.0)))


def told(invocations: int, **underway: int) -> Mapping[str, Any]:
    counts = {counted_as("one", "", "old"): {"invocations": invocations}, "two": {"invocations": 0}}
    return {"endpoints": {KEY: counts}, "underway": {f"unix:/{name[1:]}": count for name, count in underway.items()}}


def seen(found: Concurrency, endpoint: Endpoint, at: float, *routers: Mapping[str, Any]) -> list[dict[str, float]]:
    data = list(found.samples(routers, {KEY: endpoint}, at))
    assert {(key, variant) for key, variant, _ in data} <= {(KEY, "one")}
    return [{"count": each.count, "sum": each.sum, "max": each.maximum} for _, _, each in data]


def test_a_value_for_each_instance_of_both_fleets_and_all_routers() -> None:
    found = Concurrency()
    assert seen(found, IRIS, 100.0, told(0), told(0)) == []
    values = seen(found, IRIS, 110.0, told(7, _1=3, _2=1), told(2, _1=2, _3=4))
    assert values == [{"count": 2, "sum": 10, "max": 5}]
    assert seen(found, IRIS, 110.0 + EVERY / 2, told(9, _1=9)) == []


def test_who_is_invoked_no_more_is_told_as_idle_and_then_not_at_all() -> None:
    found = Concurrency()
    assert seen(found, IRIS, 100.0, told(5, _1=1))
    for at in (200.0, 100.0 + TOLD_IDLE - EVERY):
        assert seen(found, IRIS, at, told(5)) == [{"count": 2, "sum": 0, "max": 0}]
    assert seen(found, IRIS, 100.0 + TOLD_IDLE, told(5)) == []
    assert seen(found, IRIS, 5000.0, told(6)) == [{"count": 2, "sum": 0, "max": 0}]


def test_queues_and_variants_without_instances_have_none() -> None:
    serverless = replace(OLD, concurrency=5)
    for at, other in enumerate(
        (replace(IRIS, asynchronous=True), replace(IRIS, variants=(serverless,)), replace(IRIS, variants=()))
    ):
        assert seen(Concurrency(), other, 100.0 * at, told(5, _1=1)) == []
    assert list(Concurrency().samples([told(5, _1=1)], {}, 100.0)) == []
