"""Who answers the requests of one endpoint, and which of them wait. No input or output here."""

from __future__ import annotations

import random
from bisect import insort
from dataclasses import dataclass, field

from wildsage.services.sagemaker.asynchronous.rules import at_once
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.routers import Underway
from wildsage.services.sagemaker.endpoints.routes import sides
from wildsage.store.codec import Document
from wildsage.store.queued import Queued
from wildsage.store.resources import Key, Resource


@dataclass(frozen=True, slots=True)
class Place:
    """An instance that requests may be sent to. ``most``: how many at a time; ``role``: of its model, an ARN.

    ``containers``: address and name of each that a request goes through, in order; an only one has no name.
    """

    variant: str
    instance: str
    address: str
    role: str
    most: int
    containers: tuple[tuple[str, str], ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Hosts:
    """An asynchronous endpoint as it is. ``config``: its AsyncInferenceConfig; ``role``: of its first model, an ARN."""

    key: Key
    uid: str
    config: Document
    role: str
    variants: tuple[str, ...]
    places: tuple[Place, ...]


def hosts_of(resource: Resource) -> Hosts | None:
    """None for an endpoint that is not asynchronous, or has never been in service."""
    state = fleet.load(resource.state)
    if state.current is None or not state.current.asynchronous:
        return None
    config = state.current.asynchronous
    places = tuple(
        Place(
            variant.name,
            instance.id,
            instance.address,
            variant.model["ExecutionRoleArn"],
            at_once(side.asynchronous, variant),
            tuple((each.address, each.hostname) for each in instance.containers),
            share * variant.weight,
        )
        for side, share in sides(state)
        for variant in side.production
        for instance in state.serving_at((side.number, variant.name))
    )
    role = state.current.production[0].model["ExecutionRoleArn"]
    names = tuple(each.name for each in state.current.production)
    return Hosts(resource.key, resource.uid, config, role, names, places)


@dataclass(slots=True)
class Line:
    """The queue of one endpoint. ``waiting``: its head, in order of arrival; ``more``: the store may hold further ones.

    ``reached``: the number of the last that was read of the store. ``underway``: numbers of those being answered.
    ``unread``: how often in a row the store could not be read; ``readable``: when it may be again, monotonic seconds.
    """

    hosts: Hosts
    waiting: list[Queued] = field(default_factory=list)
    reached: int = 0
    more: bool = True
    underway: set[int] = field(default_factory=set)
    unread: int = 0
    readable: float = 0.0

    def put(self, requests: list[Queued], most: int) -> None:
        """What was read of the store, at most ``most``."""
        self.waiting += [each for each in requests if each.number not in self.underway]
        self.reached = max([self.reached, *(each.number for each in requests)])
        self.more = self.more or len(requests) == most

    def put_back(self, request: Queued) -> None:
        """Back to its place in the order."""
        insort(self.waiting, request, key=lambda each: each.number)

    def take(self, number: int) -> Queued | None:
        """A request out of the middle; None if it does not wait here."""
        found = next((each for each in self.waiting if each.number == number), None)
        if found is not None:
            self.waiting.remove(found)
        return found

    def can_begin(self, busy: Underway) -> bool:
        """Whether a request waits, and an instance has room for it."""
        return bool(self.waiting) and free(self.hosts.places, busy) is not None

    def begin(self, busy: Underway) -> tuple[Queued, Place]:
        """The next request and where it goes, counted as under way; only where it ``can_begin``."""
        place = free(self.hosts.places, busy)
        if place is None:
            raise LookupError(f"no instance of {self.hosts.key.name} has room")
        request = self.waiting.pop(0)
        busy.begin(place.address)
        self.underway.add(request.number)
        return request, place


def free(places: tuple[Place, ...], busy: Underway) -> Place | None:
    """The least busy instance of a variant chosen by weight among those that have room; None if none has."""
    found = [each for each in places if busy.at(each.address) < each.most and each.weight > 0]
    if not found:
        return None
    names = {each.variant for each in found}
    if len(names) > 1:
        (chosen,) = random.choices(found, [each.weight for each in found])
        found = [each for each in found if each.variant == chosen.variant]
    return min(found, key=lambda each: busy.at(each.address))
