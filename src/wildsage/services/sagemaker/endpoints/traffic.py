"""Metrics of endpoints, out of the counters of routers (Developer Guide, "Endpoint invocation metrics").

Routers count from their start on. What was read of which router is kept in the transaction that publishes the
difference, so a restart of control neither loses nor repeats a request; a router that ends in order leaves its counters
in a file. Of a router that is killed, what it did since the last look is lost: a minute at most.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wildsage.core import routes
from wildsage.core.latencies import bounds, middle
from wildsage.kit.context import Platform
from wildsage.kit.meters import MINUTE
from wildsage.kit.metrics import announce, publish
from wildsage.services.sagemaker.endpoints import concurrency
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.store.database import Write
from wildsage.store.metrics import Datum, Metric, adding
from wildsage.store.resources import Key, Resource
from wildsage.store.summaries import Summary, of_values

log = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
CAPTURE = "Wildsage/DataCapture"
"""AWS does not say how many records it captured and how many it had to drop."""
LEFT = "counters-*.json"
"""What routers leave in the run folder."""

_KEY = Key("sagemaker.traffic", "", "", "routers")
_JUST_BEFORE = 0.5
"""A look at a full minute is about the minute that ends there."""

Counts = Mapping[str, Any]
"""Of one variant, as ``dataplane.table.Counters`` has them."""

Router = Mapping[str, Mapping[str, Counts]]
"""Endpoint key → variant, and container and configuration (``routes.counted_as``) → counts."""

Endpoints = Callable[[], Mapping[str, routes.Endpoint]]


class Traffic:
    """The meter of invocations."""

    def __init__(self, platform: Platform, routers: Routers, endpoints: Endpoints) -> None:
        self._platform = platform
        self._routers = routers
        self._endpoints = endpoints
        self._concurrency = concurrency.Concurrency()
        self._seen: Mapping[str, Router] | None = None
        self._high = platform.settings.scaling.period < MINUTE  # as AWS has it, unless scaling looks more often
        platform.meters.add(self.read)

    async def read(self) -> None:
        """Publishes what was invoked since the last look."""
        left = await asyncio.to_thread(_left, self._platform.settings.data.run)
        found = dict(left.values())
        told = await self._routers.told()
        found |= map(_of, told.answers)
        if self._seen is None or any(self._seen.get(name) != counts for name, counts in found.items()):
            await self._publish(found, told.whole)
        self._seen = found
        for path in left:
            path.unlink(missing_ok=True)  # only now that what it says is in the store
        at = self._platform.clock.now() - _JUST_BEFORE
        if samples := list(self._concurrency.samples(told.answers, self._endpoints(), at)):
            account = self._platform.settings.account
            await publish(self._platform, [_underway(account, *sample, at) for sample in samples])

    async def _publish(self, found: Mapping[str, Router], whole: bool) -> None:
        """``whole``: routers that are not in ``found`` have ended, so that nobody need know what they counted."""
        resources, now = self._platform.resources, self._platform.clock.now()
        if await resources.get(_KEY) is None:
            # The store is new, or was emptied: what routers counted before is not of this store's endpoints.
            await resources.create(Resource(_KEY, {}, status={"routers": found}, created=now))
            return
        endpoints = self._endpoints()
        data: list[Datum] = []

        def change(kept: Resource) -> Iterable[Write]:
            before = kept.status["routers"]
            data[:] = self._data(found, before, endpoints, now - _JUST_BEFORE)
            kept.status = {"routers": found if whole else {**before, **found}}
            return [adding(data, now)]

        await resources.edit(_KEY, change)
        announce(self._platform, data)

    def _data(
        self,
        found: Mapping[str, Router],
        before: Mapping[str, Router],
        endpoints: Mapping[str, routes.Endpoint],
        at: float,
    ) -> Iterator[Datum]:
        for name, router in found.items():
            for key, variants in router.items():
                for variant, counts in variants.items():
                    new = difference(counts, before.get(name, {}).get(key, {}).get(variant))
                    for series in _series(self._platform.settings.account, key, variant, endpoints.get(key)):
                        for datum in series.data(new, at):
                            yield replace(datum, high=self._high)


def _underway(account: str, key: str, variant: str, sample: Summary, at: float) -> Datum:
    """A sample of ``concurrency``: of high resolution however often scaling looks."""
    return replace(_Series(account, key, variant, None)._datum(concurrency.NAME, at, sample), high=True)


def _series(account: str, key: str, counted: str, endpoint: routes.Endpoint | None) -> Iterator[_Series]:
    """What counts are of: the variant, its fleet, and the container if that was invoked by name.

    Of the fleet: Developer Guide, "Auto-rollback configuration and monitoring", whose alarms watch the new one alone.
    """
    variant, container, config = routes.what_counted(counted)
    yield _Series(account, key, variant, endpoint)
    if config:
        yield _Series(account, key, variant, endpoint, config=config)
    if container:
        yield _Series(account, key, variant, endpoint, container)


class _Series:
    """The metrics of one variant, of it under one configuration, or of one of its containers."""

    def __init__(
        self,
        account: str,
        key: str,
        variant: str,
        endpoint: routes.Endpoint | None,
        container: str = "",
        config: str = "",
    ) -> None:
        self._account = account
        self._region, _, self._endpoint = key.partition("/")
        self._variant = variant
        self._container = container
        self._config = config
        there = () if endpoint is None else (*endpoint.variants, *endpoint.shadows)
        these = [each for each in there if each.name == variant and config in {"", each.config}]
        self._instances = sum(len(each.instances) for each in these) or 1

    def data(self, new: Counts, at: float) -> Iterator[Datum]:
        """What ``new`` counts, as AWS publishes it: one sample an invocation.

        Errors are sampled once it is known how an invocation ended; what has no outcome (a client that hung up, an
        instance that could not be reached) has no sample of these.
        """
        count, bad, broken = new["invocations"], new["errors_4xx"], new["errors_5xx"]
        ended = sum(new["model"].values()) + new.get("lost", 0)
        if count:
            yield self._datum("Invocations", at, of_values({1.0: count}))
        if ended:
            yield self._datum("Invocation4XXErrors", at, _share(bad, ended))
            yield self._datum("Invocation5XXErrors", at, _share(broken, ended))
        if not self._container:
            yield from self._of_variant(new, ended, at)
        model = "ContainerLatency" if self._container else "ModelLatency"
        for name, member in (
            (model, "model"),
            ("OverheadLatency", "overhead"),
            ("ModelLoadingWaitTime", "waited"),
            ("ModelSetupTime", "setup"),
        ):
            if new.get(member):
                yield self._datum(name, at, _latency(new[member], new[f"{member}_us"]), "Microseconds")
        for hostname, took in new.get("containers", {}).items() if not self._config else ():
            latency = _latency(took["buckets"], took.get("us", 0))
            yield self._datum("ContainerLatency", at, latency, "Microseconds", container=hostname)

    def _of_variant(self, new: Counts, ended: int, at: float) -> Iterator[Datum]:
        """What AWS has no series of for a container alone."""
        if new["invocations"]:
            yield self._datum("InvocationsPerInstance", at, of_values({1 / self._instances: new["invocations"]}))
        if ended:
            yield self._datum("InvocationModelErrors", at, _share(new["errors_4xx"] + new["errors_5xx"], ended))
        for name, member in (("CapturedRecords", "captured"), ("DroppedRecords", "uncaptured")):
            if new.get(member) and not self._config:
                yield self._datum(name, at, of_values({1.0: new[member]}), namespace=CAPTURE)
        hits, misses = new.get("model_hits", 0), new.get("model_misses", 0)
        if hits or misses:
            yield self._datum("ModelCacheHit", at, _share(hits, hits + misses))

    def _datum(
        self,
        name: str,
        at: float,
        summary: Summary,
        unit: str = "None",
        namespace: str = NAMESPACE,
        container: str = "",
    ) -> Datum:
        """``container``: if it is of another than the series' own."""
        dimensions: tuple[tuple[str, str], ...] = (("EndpointName", self._endpoint), ("VariantName", self._variant))
        if container or self._container:
            dimensions = (("ContainerName", container or self._container), *dimensions)
        if self._config:
            dimensions = (("EndpointConfigName", self._config), *dimensions)
        return Datum(Metric(self._account, self._region, namespace, name, dimensions), at, summary, unit)


def difference(now: Counts, before: Counts | None) -> Counts:
    """What was added since; everything if nothing is known of before, or the router has begun at nothing again."""
    if before is None or now["invocations"] < before["invocations"]:
        return now
    return {name: _more(value, before.get(name)) for name, value in now.items()}


def _more(now: Any, before: Any) -> Any:
    """The difference of two numbers, or of those in two mappings; of the latter, without what has not changed."""
    if not isinstance(now, Mapping):
        return now - (before or 0)
    more = {name: _more(value, (before or {}).get(name)) for name, value in now.items()}
    return {name: value for name, value in more.items() if value}


def _share(ones: int, count: int) -> Summary:
    """1 for each of ``ones``, 0 for every other of ``count``."""
    return of_values({value: times for value, times in ((1.0, ones), (0.0, count - ones)) if times})


def _latency(buckets: Mapping[str, int], total: int) -> Summary:
    numbers = {int(number): count for number, count in buckets.items()}
    known = of_values({middle(number): float(count) for number, count in numbers.items()})
    least, most = bounds(min(numbers))[0], bounds(max(numbers))[1]
    return Summary(known.count, float(total), float(least), float(most), known.distribution)


def _left(run: Path) -> dict[Path, tuple[str, Router]]:
    """What routers left that have ended."""
    found = {}
    for path in run.glob(LEFT):
        try:
            found[path] = _of(json.loads(path.read_bytes()))
        except ValueError:
            log.warning("%s cannot be read; what it counted is lost", path)
            path.unlink(missing_ok=True)
    return found


def _of(told: Mapping[str, Any]) -> tuple[str, Router]:
    """Which router, and its counters."""
    return f"{told['pid']}-{told['since']}", told["endpoints"]
