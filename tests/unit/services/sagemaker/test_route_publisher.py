"""Routers are told of the newest state, whoever tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from tests.unit.services.conftest import data, platform, services
from tests.unit.services.sagemaker.fleets import serving, variant

from wildsage.core import routes
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.store.resources import Key, Resource

__all__ = ["data", "platform", "services"]


def endpoint(name: str) -> Resource:
    key = Key(ENDPOINT.name, "000000000000", "us-east-1", name)
    return Resource(key, {}, phase="InService", state=fleet.dump(serving(1, variant("a"))))


async def test_the_store_is_read_in_the_order_in_which_routers_are_told(platform: Platform) -> None:
    told: list[list[str]] = []
    first, go_on = asyncio.Event(), asyncio.Event()

    async def push(endpoints: Mapping[str, routes.Endpoint]) -> None:
        first.set()
        await go_on.wait()
        told.append(list(endpoints))

    publisher = RoutePublisher(platform, push)
    one = asyncio.create_task(publisher.publish())
    await asyncio.wait_for(first.wait(), 60)
    two = asyncio.create_task(publisher.publish())
    await publisher.endpoints()  # had the second read before its turn, it would have now
    await platform.resources.create(endpoint("iris"))
    go_on.set()
    await asyncio.wait_for(asyncio.gather(one, two), 60)
    assert told == [[], ["us-east-1/iris"]]


async def test_an_endpoint_that_is_not_understood_leaves_the_others_their_routes(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    async def push(endpoints: Mapping[str, routes.Endpoint]) -> None: ...

    strange = endpoint("strange")
    strange.state = {"of": "another age"}
    for each in (strange, endpoint("iris")):
        await platform.resources.create(each)
    assert list(await RoutePublisher(platform, push).endpoints()) == ["us-east-1/iris"]
    assert "endpoint strange gets no requests" in caplog.text
