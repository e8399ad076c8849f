"""The endpoints' part of the routing snapshot, compiled from what the store holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from wildsage.core import routes
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, log_group
from wildsage.store.resources import Resource

Push = Callable[[Mapping[str, routes.Endpoint]], Awaitable[None]]


def endpoint_of(resource: Resource) -> routes.Endpoint:
    """One endpoint as a router sees it.

    An endpoint whose first fleet is up counts as InService, though it says so only once routers know of it.
    """
    state = fleet.load(resource.state)
    variants = () if state.serving is None else state.serving.variants
    return routes.Endpoint(
        name=resource.key.name,
        region=resource.key.region,
        arn=ENDPOINT.arn(resource.key),
        status="InService" if resource.phase == "Creating" and variants else resource.phase,
        config="" if state.serving is None else state.serving.config,
        log_group=log_group(resource.key.name),
        variants=tuple(
            routes.Variant(
                variant.name,
                variant.weight,
                tuple(routes.Instance(each.id, each.address) for each in state.routed(variant.name)),
            )
            for variant in variants
        ),
    )


class RoutePublisher:
    """Tells the routers. ``push`` merges the endpoints with the rest, and returns once every router acts on it."""

    def __init__(self, platform: Platform, push: Push) -> None:
        self._platform = platform
        self._push = push

    async def endpoints(self) -> dict[str, routes.Endpoint]:
        """All endpoints of the store, by ``core.routes.endpoint_key``; those being deleted are gone already."""
        found = await self._platform.resources.all_of(ENDPOINT.name)
        return {
            routes.endpoint_key(each.key.region, each.key.name): endpoint_of(each)
            for each in found
            if each.phase != "Deleting"
        }

    async def publish(self) -> None:
        """What the store says now is in force when this returns."""
        await self._push(await self.endpoints())
