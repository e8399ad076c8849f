"""The endpoints' part of the routing snapshot, compiled from what the store holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

from wildsage.core import routes
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.endpoints import capture, fleet, moves
from wildsage.services.sagemaker.endpoints.fleet import Fleet, Instance, State
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, log_group
from wildsage.store.resources import Key, Resource

log = logging.getLogger(__name__)

Push = Callable[[Mapping[str, routes.Endpoint]], Awaitable[None]]
Listener = Callable[[Key, Resource | None], None]
"""Hears of an endpoint as it is now, before routers do; None once it is being deleted."""


def endpoint_of(resource: Resource) -> routes.Endpoint:
    """One endpoint as a router sees it.

    An endpoint whose first fleet is up counts as InService, though it says so only once routers know of it.
    """
    state = fleet.load(resource.state)
    found = [
        (variant.shadow, _route(state, part, share, variant.name))
        for part, share in sides(state)
        for variant in part.variants
    ]
    return routes.Endpoint(
        name=resource.key.name,
        region=resource.key.region,
        arn=ENDPOINT.arn(resource.key),
        status="InService" if resource.phase == "Creating" and found else resource.phase,
        config="" if state.current is None else state.current.config,
        log_group=log_group(resource.key.name),
        variants=tuple(route for shadow, route in found if not shadow),
        shadows=tuple(route for shadow, route in found if shadow),
        asynchronous=bool(state.target.asynchronous),
        tags=resource.tags,
    )


def sides(state: State) -> Iterator[tuple[Fleet, float]]:
    """The fleets that requests go to, and which part of them; the only one of an endpoint has 1."""
    taken = 0.0 if state.rollout is None else moves.plan_of(state, state.rollout).share
    for part in state.serving:
        if taken < 1:
            yield part.fleet, part.share * (1 - taken)
    if taken > 0:
        yield state.target, taken


def _route(state: State, side: Fleet, share: float, name: str) -> routes.Variant:
    """One variant of one fleet. Where two fleets serve, the weights of each add up to its part of the requests."""
    variant = side.variant(name)
    assert variant is not None
    whole = sum(each.weight for each in side.production)
    return routes.Variant(
        name=variant.name,
        weight=variant.weight if share == 1 or not whole else share * variant.weight / whole,
        instances=tuple(map(_instance, state.serving_at((side.number, name)))),
        routing=variant.routing,
        share=share,
        capture=capture.route(side.capture, variant),
        concurrency=0 if variant.serverless is None else variant.serverless["MaxConcurrency"],
        mode=variant.mode,
        config=side.config,
    )


def _instance(instance: Instance) -> routes.Instance:
    several = instance.containers if len(instance.containers) > 1 else ()
    containers = tuple(routes.Container(each.hostname, each.address) for each in several)
    return routes.Instance(instance.id, instance.address, containers)


class RoutePublisher:
    """Tells the routers. ``push`` merges the endpoints with the rest, and returns once every router acts on it.

    What was published is kept, so that a change costs the same however many endpoints there are.
    """

    def __init__(self, platform: Platform, push: Push) -> None:
        self._platform = platform
        self._push = push
        self._turn = asyncio.Lock()
        self._listeners: list[Listener] = []
        self._endpoints: dict[str, routes.Endpoint] = {}

    def listen(self, listener: Listener) -> None:
        """What sends requests to instances besides the routers; it must act on what it hears at once."""
        self._listeners.append(listener)

    def endpoints(self) -> Mapping[str, routes.Endpoint]:
        """Those that were published, by ``core.routes.endpoint_key``; those being deleted are gone already."""
        return self._endpoints

    async def publish_all(self) -> None:
        """As ``publish``, of all endpoints: for the start."""
        async with self._turn:
            for each in await self._platform.resources.readable(ENDPOINT.name):
                self._take(each.key, each)
            await self._push(dict(self._endpoints))

    async def publish(self, key: Key) -> None:
        """What the store says now of the endpoint, or something newer, is in force when this returns."""
        async with self._turn:  # what was read first is pushed first, or an older state would stay in force
            self._take(key, await self._platform.resources.get(key))
            await self._push(dict(self._endpoints))

    def _take(self, key: Key, found: Resource | None) -> None:
        there = None if found is None or found.phase == "Deleting" else found
        for listener in self._listeners:
            listener(key, there)
        name = routes.endpoint_key(key.region, key.name)
        self._endpoints.pop(name, None)
        if there is None:
            return
        try:
            self._endpoints[name] = endpoint_of(there)
        except Exception:  # whatever it is, it must not take the requests of all other endpoints away
            log.exception("endpoint %s gets no requests: what is kept of it is not understood", key.name)
