"""ConcurrentRequestsPerModel: how many requests are under way at an instance, the metric by which AWS scales soonest.

Developer Guide, "Define a scaling policy": of high resolution, every ten seconds. Here a sample is taken when metrics
are looked at, once in ten seconds at most: at every full minute, and as often as an alarm of it is due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wildsage.core import routes
from wildsage.store.summaries import Summary, of_values

NAME = "ConcurrentRequestsPerModel"
EVERY = 10.0
TOLD_IDLE = 1800.0
"""Seconds that who is invoked no more is told to have nothing to do; after that there is no data, as at first."""


class Concurrency:
    """What is under way at production variants that have instances and were invoked lately."""

    def __init__(self) -> None:
        self._slot = -1
        self._totals: Mapping[tuple[str, str], int] = {}
        self._busy: dict[tuple[str, str], float] = {}

    def samples(
        self, told: Sequence[Mapping[str, Any]], endpoints: Mapping[str, routes.Endpoint], at: float
    ) -> Iterator[tuple[str, str, Summary]]:
        """Endpoint key, variant, and of ``at`` a value for each instance. ``told``: what routers say (``Told``)."""
        slot = int(at // EVERY)
        if slot == self._slot:
            return
        self._slot = slot
        self._notice(told, at)
        underway: Counter[str] = Counter()
        for router in told:
            underway.update(router.get("underway", {}))
        for key, variant in self._busy:
            endpoint = endpoints.get(key)
            loads = Counter(_loads(endpoint, variant, underway)) if endpoint is not None else None
            if loads:
                yield key, variant, of_values({float(load): times for load, times in loads.items()})

    def _notice(self, told: Sequence[Mapping[str, Any]], at: float) -> None:
        """Who was invoked since the last look; at the first one, since routers began."""
        totals: Counter[tuple[str, str]] = Counter()
        for router in told:
            for key, variants in router["endpoints"].items():
                for counted, counts in variants.items():
                    totals[key, routes.what_counted(counted)[0]] += counts["invocations"]
        invoked = {each: at for each, total in totals.items() if total > self._totals.get(each, 0)}
        self._busy = {each: when for each, when in {**self._busy, **invoked}.items() if at - when < TOLD_IDLE}
        self._totals = totals


def _loads(endpoint: routes.Endpoint, name: str, underway: Mapping[str, int]) -> Iterator[int]:
    """The requests at each instance of a variant, of both fleets if it moves from one to the other."""
    if endpoint.asynchronous:
        return
    for variant in endpoint.variants:
        if variant.name == name and not variant.concurrency:
            for instance in variant.instances:
                addresses = {instance.address, *(each.address for each in instance.containers)}
                yield sum(underway.get(each, 0) for each in addresses)
