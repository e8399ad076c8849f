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
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, TAGGED
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.services.sagemaker.endpoints.tagging import Tagging
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
    iris = endpoint("iris")
    one = asyncio.create_task(publisher.publish(iris.key))
    await asyncio.wait_for(first.wait(), 60)
    two = asyncio.create_task(publisher.publish(iris.key))
    await platform.resources.get(iris.key)  # had the second read before its turn, it would have now
    await platform.resources.create(iris)
    go_on.set()
    await asyncio.wait_for(asyncio.gather(one, two), 60)
    assert told == [[], ["us-east-1/iris"]]


async def test_a_change_of_one_endpoint_leaves_the_others_the_objects_that_they_were(platform: Platform) -> None:
    told: list[Mapping[str, routes.Endpoint]] = []
    heard: list[tuple[str, bool]] = []

    async def push(endpoints: Mapping[str, routes.Endpoint]) -> None:
        told.append(endpoints)

    for name in ("iris", "rose"):
        await platform.resources.create(endpoint(name))
    publisher = RoutePublisher(platform, push)
    publisher.listen(lambda key, found: heard.append((key.name, found is not None)))
    await publisher.publish_all()
    iris, rose = endpoint("iris").key, "us-east-1/rose"
    await platform.resources.edit(iris, lambda found: setattr(found, "phase", "Updating"))
    await publisher.publish(iris)
    assert told[1]["us-east-1/iris"].status == "Updating"
    assert told[1][rose] is told[0][rose]
    await platform.resources.edit(iris, lambda found: setattr(found, "phase", "Deleting"))
    await publisher.publish(iris)
    assert list(told[2]) == [rose]
    assert heard == [("iris", True), ("rose", True), ("iris", True), ("iris", False)]


async def test_a_row_that_nobody_can_read_leaves_the_others_their_routes(platform: Platform) -> None:
    """Nor does it keep the server from starting."""
    told: list[list[str]] = []

    async def push(endpoints: Mapping[str, routes.Endpoint]) -> None:
        told.append(list(endpoints))

    for name in ("iris", "rose"):
        await platform.resources.create(endpoint(name))
    words = "UPDATE resources SET state = 'damaged' WHERE name = 'iris'"
    await platform.database.write(lambda connection: connection.exec_driver_sql(words) and None)
    await RoutePublisher(platform, push).publish_all()
    assert told == [["us-east-1/rose"]]


async def test_an_endpoint_that_is_not_understood_leaves_the_others_their_routes(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Mapping[str, routes.Endpoint]] = []

    async def push(endpoints: Mapping[str, routes.Endpoint]) -> None:
        told.append(endpoints)

    strange = endpoint("strange")
    strange.state = {"of": "another age"}
    for each in (strange, endpoint("iris")):
        await platform.resources.create(each)
    await RoutePublisher(platform, push).publish_all()
    assert list(told[0]) == ["us-east-1/iris"]
    assert "endpoint strange gets no requests" in caplog.text


async def test_tags_are_waited_for_while_they_are_told_and_not_while_nobody_tells_them(platform: Platform) -> None:
    told: list[Mapping[str, routes.Endpoint]] = []
    broken = [True]

    async def push(endpoints: Mapping[str, routes.Endpoint]) -> None:
        if broken:
            raise RuntimeError("a bug")
        told.append(endpoints)

    await platform.resources.create(endpoint("iris"))
    tagging = Tagging(platform, RoutePublisher(platform, push))

    async def tag(team: str) -> None:
        await platform.resources.retag(endpoint("iris").key, lambda _: {"team": team})
        platform.hints.notify(TAGGED, "000000000000 us-east-1 iris")

    await tag("blue")
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(tagging.run(), 60)
    await tag("red")
    await asyncio.wait_for(tagging.settled(), 60)
    broken.clear()
    running = asyncio.create_task(tagging.run())
    await asyncio.sleep(0)
    await asyncio.wait_for(tagging.settled(), 60)
    assert told[-1]["us-east-1/iris"].tags == {"team": "red"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
