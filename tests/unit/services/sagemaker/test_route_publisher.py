"""Routers are told of the newest state, whoever tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.unit.services.conftest import data, platform, services
from tests.unit.services.sagemaker.fleets import serving, variant

from wildsage.core import routes
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.store.resources import Key, Resource

__all__ = ["data", "platform", "services"]


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
    key = Key(ENDPOINT.name, "000000000000", "us-east-1", "iris")
    state = fleet.dump(serving(1, variant("a")))
    await platform.resources.create(Resource(key, {}, phase="InService", state=state))
    go_on.set()
    await asyncio.wait_for(asyncio.gather(one, two), 60)
    assert told == [[], ["us-east-1/iris"]]
