"""The snapshot in force, compiled for the hot path, and what outlives a version: requests under way and counters."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from wildsage.core.latencies import bucket
from wildsage.core.routes import (
    DIRECT,
    RANDOM,
    Endpoint,
    Instance,
    Invoker,
    Key,
    ObjectGrant,
    Routes,
    Variant,
    counted_as,
    endpoint_key,
)
from wildsage.dataplane.capture.targets import Target, target_of
from wildsage.dataplane.choice import away_seconds, by_weight, copied, least_busy
from wildsage.dataplane.rules import Rule, rule_of
from wildsage.dataplane.verdicts import NOBODY, Verdicts, of_invoker

# EndpointStatus values in which an endpoint takes traffic (API reference, DescribeEndpoint).
_SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"})
_COUNTERS_KEPT = 3600.0  # seconds that counters outlive their endpoint; control asks for them each minute


@dataclass(slots=True)
class Latency:
    """The sum in microseconds, and how many there were in each bucket of ``core.latencies``."""

    us: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, us: int) -> None:
        self.us += us
        _count(self.buckets, us)


def _count(buckets: dict[int, int], us: int) -> None:
    number = bucket(us)
    buckets[number] = buckets.get(number, 0) + 1


@dataclass(slots=True)
class Counters:
    """What one variant has done since this router started. Latencies are sums in microseconds.

    ``model``, ``overhead``: how many there were in each bucket of ``core.latencies``.
    ``errors_4xx``/``errors_5xx``: answers of the container with such a status; ``overhead_us``: time in the router.
    ``lost``: answers that never came or broke off, which count among ``errors_5xx``, and have no latency.
    ``dropped``: copies for a shadow variant that it was too busy for, or could not be reached for.
    ``captured``: records that were kept for S3; ``uncaptured``: those that there was no room for.
    ``containers``: of a pipeline, how long each of its containers took, by hostname.
    ``model_hits``, ``model_misses``: of a multi-model endpoint's requests, whether the model was loaded already;
    ``waited``: as ``overhead``, how long those waited for whose model it was not.
    ``setup``: likewise in buckets, how long workers of a serverless variant took to start.
    """

    invocations: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    lost: int = 0
    model_us: int = 0
    overhead_us: int = 0
    dropped: int = 0
    captured: int = 0
    uncaptured: int = 0
    model: dict[int, int] = field(default_factory=dict)
    overhead: dict[int, int] = field(default_factory=dict)
    containers: dict[str, Latency] = field(default_factory=dict)
    model_hits: int = 0
    model_misses: int = 0
    waited_us: int = 0
    waited: dict[int, int] = field(default_factory=dict)
    setup_us: int = 0
    setup: dict[int, int] = field(default_factory=dict)

    def missed(self) -> None:
        """One answer of the container will never be whole, by its own fault."""
        self.errors_5xx += 1
        self.lost += 1

    def waited_for_model(self, waited_us: int) -> None:
        """A request had to wait until its model was loaded."""
        self.waited_us += waited_us
        _count(self.waited, waited_us)

    def took(self, model_us: int, overhead_us: int) -> None:
        """One answer of the container was whole."""
        self.model_us += model_us
        self.overhead_us += overhead_us
        _count(self.model, model_us)
        _count(self.overhead, overhead_us)

    def contained(self, hostname: str, took_us: int) -> None:
        """A container of a pipeline gave its whole answer."""
        latency = self.containers.get(hostname)
        if latency is None:
            latency = self.containers[hostname] = Latency()
        latency.add(took_us)

    def set_up(self, setup_us: int) -> None:
        """A worker had to be started for a request."""
        self.setup_us += setup_us
        _count(self.setup, setup_us)


@dataclass(slots=True)
class Slot:
    """An instance and the requests it is working on.

    ``models``: those that it has loaded, of a multi-model endpoint (``multimodel.places``), by TargetModel.
    ``failures``: how often in a row it could not be reached; until ``away_until`` (``perf_counter``) it is passed over.
    So it is until ``doubted_until``: it can be reached, but control had no good answer to /ping from it.
    """

    instance: Instance
    outstanding: int = 0
    failures: int = 0
    away_until: float = 0.0
    doubted_until: float = 0.0
    models: dict[str, Any] = field(default_factory=dict)

    def refused(self, now: float) -> None:
        """It could not be reached."""
        self.failures += 1
        self.away_until = now + away_seconds(self.failures)

    def reached(self) -> None:
        """It can be reached, be it over a kept connection."""
        self.failures = 0

    def away(self, now: float) -> bool:
        """Whether it is passed over."""
        return self.away_until > now or self.doubted_until > now

    def asked_again(self, now: float) -> None:
        """One request finds out whether it is back; others wait for what it learns."""
        self.away_until = now + away_seconds(self.failures)


@dataclass(slots=True)
class LiveVariant:
    """A variant that can be invoked. ``capture``: what of it is kept, if anything.

    ``container``: what the container is called that answers, in errors. ``containers``: where each is invoked by name,
    the same variant as if it had that one alone.
    """

    variant: Variant
    slots: list[Slot]
    counters: Counters
    capture: Target | None = None
    turn: int = 0
    container: str = "primary"
    containers: dict[str, LiveVariant] = field(default_factory=dict)

    def pick(self, tried: Sequence[Slot] = ()) -> Slot | None:
        """The least busy instance (or any, as its RoutingConfig says) that was not tried yet and is not away.

        Where all are away, one that is: it may be back, and nobody else could answer. First those that may refuse,
        which costs the request nothing; one in doubt may keep it.
        """
        slots = self.slots if not tried else [slot for slot in self.slots if not any(slot is each for each in tried)]
        if not slots:
            return None
        slot = self._choose(slots)
        if slot.failures or slot.doubted_until:
            now = perf_counter()
            if slot.away(now):
                present = [each for each in slots if not each.away(now)]
                slot = self._choose(present or [each for each in slots if each.doubted_until <= now] or slots)
            if slot.failures:
                slot.asked_again(now)
        return slot

    def _choose(self, slots: Sequence[Slot]) -> Slot:
        if len(slots) == 1:
            return slots[0]
        if self.variant.routing == RANDOM:
            return slots[random.randrange(len(slots))]
        self.turn += 1
        return slots[least_busy(slots, self.turn)]


@dataclass(slots=True)
class LiveEndpoint:
    """An endpoint in service. ``variants``: those with an instance; ``weights`` belong to them, in order.

    There are none while its instances are being replaced, as after a restart of the machine. ``shadows``: with the part
    of the requests that each gets a copy of, from 0 to 1. ``slots``: of all its instances, by address.
    ``counted``: the names under which its counters are.
    """

    endpoint: Endpoint
    variants: list[LiveVariant]
    weights: list[float]
    shadows: list[tuple[LiveVariant, float]]
    slots: dict[str, Slot]
    counted: set[str]

    def pick(self) -> LiveVariant | None:
        """A variant by weight; None where no variant with an instance has any. An only variant needs none."""
        if len(self.variants) == len(self.endpoint.variants) == 1:
            return self.variants[0]
        if not any(weight > 0 for weight in self.weights):
            return None
        return self.variants[by_weight(self.weights, random.random())]

    def named(self, name: str) -> LiveVariant | None:
        """The variant of that name; while it moves from one fleet to another, either part by its share."""
        found = [live for live in self.variants if live.variant.name == name]
        shares = [live.variant.share for live in found]
        if len(found) < 2 or not any(shares):
            return found[0] if found else None
        return found[by_weight(shares, random.random())]


@dataclass(slots=True)
class _Grant:
    """An ObjectGrant, compiled."""

    user_id: str
    read: Rule
    write: Rule


class Table:
    """Looks things up in the newest snapshot. ``put`` swaps versions between two requests. ``now``: seconds."""

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._now = now
        self.version = 0
        self.account = ""
        self.master = b""
        self._keys: dict[str, Key] = {}
        self._invokers: Mapping[str, Invoker] = {}
        self._verdicts: dict[str, Verdicts] = {}
        self._grants: dict[str, _Grant] = {}
        self._endpoints: dict[str, LiveEndpoint] = {}
        self._slots: dict[str, Slot] = {}
        self._leaving: list[Slot] = []
        self._counters: dict[tuple[str, str], Counters] = {}
        self._gone: dict[tuple[str, str], float] = {}

    def put(self, routes: Routes) -> None:
        """Puts ``routes`` in force. Raises ValueError, and changes nothing, for an older version or a damaged one."""
        if routes.version < self.version:
            raise ValueError(f"version {routes.version} is older than {self.version}, which is in force")
        master = bytes.fromhex(routes.master)
        slots: dict[str, Slot] = {}
        endpoints = {
            key: self._kept(key, endpoint, slots, routes.account) or self._live(key, endpoint, slots, routes.account)
            for key, endpoint in routes.endpoints.items()
            if endpoint.status in _SERVING and endpoint.variants
        }
        verdicts = {
            principal: self._verdicts[principal] if self._invokers.get(principal) == invoker else of_invoker(invoker)
            for principal, invoker in routes.permissions.items()
        }
        grants = {principal: _grant(grant) for principal, grant in routes.objects.items()}
        # From here on nothing fails.
        known = (*self._leaving, *self._slots.values())
        self._leaving = [slot for slot in known if slot.outstanding and slots.get(slot.instance.address) is not slot]
        self.version, self.account, self.master = routes.version, routes.account, master
        self._invokers, self._verdicts = routes.permissions, verdicts
        self._keys, self._grants = dict(routes.keys), grants
        self._endpoints, self._slots = endpoints, slots
        self._forget_counters()

    def _forget_counters(self) -> None:
        """Those of fleets that have been gone for long; that one is gone is noticed with a new version."""
        now = self._now()
        self._gone = {name: self._gone.get(name, now) for name in self._counters if not self._counts(*name)}
        for name in [name for name, since in self._gone.items() if now - since > _COUNTERS_KEPT]:
            del self._counters[name]

    def _counts(self, key: str, counted: str) -> bool:
        live = self._endpoints.get(key)
        return live is not None and counted in live.counted

    def key(self, access_key: str) -> Key | None:
        return self._keys.get(access_key)

    def verdicts(self, principal: str, user_id: str) -> Verdicts:
        """What decides about the invocations of ``principal``, if that is the one of this unique id."""
        found = self._verdicts.get(principal, NOBODY)
        return found if found.user_id == user_id else NOBODY

    def may_read(self, principal: str, user_id: str, arn: str) -> bool:
        """Whether policies plainly allow ``s3:GetObject`` of the object ``arn``; False says nothing."""
        grant = self._grants.get(principal)
        return grant is not None and grant.user_id == user_id and grant.read.allows(arn)

    def may_write(self, principal: str, user_id: str, arn: str) -> bool:
        """As ``may_read``, of ``s3:PutObject``."""
        grant = self._grants.get(principal)
        return grant is not None and grant.user_id == user_id and grant.write.allows(arn)

    def endpoint(self, region: str, name: str) -> LiveEndpoint | None:
        return self._endpoints.get(endpoint_key(region, name))

    def counters(self) -> dict[str, dict[str, Counters]]:
        """By endpoint key and variant name; of everything served since the start but what has been gone for an hour."""
        result: dict[str, dict[str, Counters]] = {}
        for (key, variant), counters in self._counters.items():
            result.setdefault(key, {})[variant] = counters
        return result

    def underway(self) -> dict[str, int]:
        """How many requests are at an instance, by its address; also at those that are no longer in the snapshot."""
        busy = {address: slot.outstanding for address, slot in self._slots.items() if slot.outstanding}
        for slot in self._leaving:
            if slot.outstanding:
                address = slot.instance.address
                busy[address] = busy.get(address, 0) + slot.outstanding
        return busy

    def doubt(self, question: Mapping[str, Any]) -> dict[str, int]:
        """See ``core.instances``."""
        slot = self._slots.get(question["address"])
        if slot is not None:
            slot.doubted_until = self._now() + question["seconds"] if question["seconds"] else 0.0
        return {"underway": self.underway().get(question["address"], 0)}

    def slot(self, address: str) -> Slot | None:
        """The instance at ``address``, if the snapshot in force has it."""
        return self._slots.get(address)

    def left(self, question: Mapping[str, Any]) -> dict[str, bool]:
        """See ``core.instances``."""
        underway = self.underway()
        return {"left": not any(each in self._slots or each in underway for each in question["addresses"])}

    def _kept(self, key: str, endpoint: Endpoint, slots: dict[str, Slot], account: str) -> LiveEndpoint | None:
        """What is in force for ``endpoint`` if nothing of it has changed: most of what is put is as it was."""
        live = self._endpoints.get(key)
        if live is None or live.endpoint is not endpoint or account != self.account:
            return None
        slots.update(live.slots)
        return live

    def _live(self, key: str, endpoint: Endpoint, slots: dict[str, Slot], account: str) -> LiveEndpoint:
        own: dict[str, Slot] = {}

        counted: set[str] = set()

        def alive(variant: Variant, instances: Sequence[Instance], container: str = "") -> LiveVariant:
            found = [self._slot(instance, slots) for instance in instances]
            own.update((slot.instance.address, slot) for slot in found)
            name = counted_as(variant.name, container, variant.config)
            counted.add(name)
            counters = self._counters.setdefault((key, name), Counters())
            return LiveVariant(variant, found, counters, target_of(account, endpoint, variant))

        def living(variants: Sequence[Variant]) -> list[LiveVariant]:
            return [
                direct(variant, alive) if variant.mode == DIRECT else alive(variant, variant.instances)
                for variant in variants
                if variant.instances
            ]

        variants = living(endpoint.variants)
        total = sum(variant.weight for variant in endpoint.variants)
        shadows = [(live, copied(live.variant.weight, total)) for live in living(endpoint.shadows)]
        return LiveEndpoint(endpoint, variants, [live.variant.weight for live in variants], shadows, own, counted)

    def _slot(self, instance: Instance, slots: dict[str, Slot]) -> Slot:
        """The slot of an address goes on across versions, so that what is under way stays counted."""
        known = (slots.get(instance.address), self._slots.get(instance.address), *self._leaving)
        slot = next((old for old in known if old is not None and old.instance == instance), None) or Slot(instance)
        slots[instance.address] = slot
        return slot


def direct(variant: Variant, alive: Callable[[Variant, Sequence[Instance], str], LiveVariant]) -> LiveVariant:
    """A variant whose containers are invoked by name; each counts for itself."""
    found = {}
    for number, container in enumerate(variant.instances[0].containers):
        instances = [Instance(each.id, each.containers[number].address) for each in variant.instances]
        found[container.hostname] = one = alive(variant, instances, container.hostname)
        one.container = container.hostname
    first = next(iter(found.values()))
    return LiveVariant(variant, first.slots, first.counters, first.capture, containers=found)


def _grant(grant: ObjectGrant) -> _Grant:
    return _Grant(grant.user_id, rule_of(grant.read), rule_of(grant.write))
