"""Warm pools, from job to job.

A job that has a pool has a record of it beside its own, of kind ``WARM_POOL`` and under the job's name:
    phase    WarmPoolStatus.Status: InUse, Available, Reused or Terminated
    spec     what a job must have in common with this one to take the pool (rules.identity)
    status   what WarmPoolStatus has beside Status, once it is Reused or Terminated
    state    pool        its name: the folder that goes with it from job to job holds its instances' caches
             network     of several instances, once they had one: the runtime's handle, and for which loopback ports
             began       since when there are its instances, epoch seconds
             available   since when nobody uses them
             ends        until when they wait
             ending      since when its folder is being removed
A pool changes hands in one transaction, so after a crash it is the one's or the other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from wildsage.core import trees
from wildsage.core.settings import Settings
from wildsage.kit.context import Platform
from wildsage.kit.kind import DUE
from wildsage.runtimes.base import Handle, LaunchSpec, NetworkSpec, Phase, Runtime
from wildsage.services.sagemaker.instance.instances import NETWORK, Handles, Instances
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.training.warm import rules
from wildsage.store.codec import Document
from wildsage.store.companions import creation
from wildsage.store.database import Write
from wildsage.store.resources import Key, Missing, Query, Resource

WARM_POOL: Final = "sagemaker.warm-pool"
_UNUSED: Final[Document] = {"ResourceRetainedBillableTimeInSeconds": 0}
_NETWORK: Final = "network"
_LOOKED_AT: Final = 1000


class _TakenAlready(Exception):
    """Another job was faster, or its time is over."""


def record(job: Key) -> Key:
    """Where the pool of a job is recorded."""
    return replace(job, kind=WARM_POOL)


def folder(settings: Settings, pool: str) -> Path:
    """What goes from job to job: a folder for each instance."""
    return settings.data.instances / f"warm-{pool}"


class Pools:
    """What the controller of training jobs does with warm pools. Every call may be repeated."""

    def __init__(self, platform: Platform, runtime: Runtime) -> None:
        self._platform = platform
        self._runtime = runtime
        self._resources = platform.resources

    async def take(self, job: Resource) -> str:
        """The pool of a job that gets its instances now: one that waits for such a job, or its own; empty if none."""
        identity = rules.identity(job.spec)
        if identity is None:
            return ""
        own = await self._resources.get(record(job.key))
        if own is not None:
            return str(own.state["pool"])
        now = self._platform.clock.now()
        for each in await self._available(job.key):
            if each.spec == identity and await self._changes_hands(each, job, now):
                return str(each.state["pool"])
        if not rules.keep_alive(job.spec):
            return ""
        await self._resources.create(_of(job, identity, {"pool": job.uid, "began": now}))
        return job.uid

    async def _available(self, job: Key) -> list[Resource]:
        """Those that wait for a job, in the order in which their first jobs were made."""
        if not await self._resources.any(WARM_POOL, job.account, job.region, rules.AVAILABLE):
            return []  # as nearly always: a page costs thirty times as much
        query = Query(
            WARM_POOL, job.account, job.region, _LOOKED_AT, descending=False, phases=(rules.AVAILABLE,), sort="created"
        )
        return (await self._resources.page(query)).items

    async def _changes_hands(self, pool: Resource, job: Resource, now: float) -> bool:
        def change(found: Resource) -> Iterable[Write]:
            if not rules.is_to_be_had(found, now):
                raise _TakenAlready
            found.status = {
                "ResourceRetainedBillableTimeInSeconds": rules.retained(found, now),
                "ReusedByJob": job.key.name,
            }
            found.phase, found.due = rules.REUSED, None
            return [creation(_of(job, found.spec, found.state))]

        try:
            await self._resources.edit(pool.key, change)
        except (_TakenAlready, Missing):
            return False
        return True

    async def launch(
        self, job: Resource, instances: Instances, specs: Mapping[str, LaunchSpec], network: NetworkSpec | None
    ) -> Handles:
        """``Instances.launch``, on the network that the pool has from before."""
        pool = await self._resources.get(record(job.key)) if network is not None and "pool" in job.state else None
        if network is None or pool is None:
            return await instances.launch(specs, network)
        handles = await instances.launch(specs, network, await self._network(pool, network))
        kept = {"handle": dict(handles[NETWORK]), "loopback": list(network.loopback)}

        def change(found: Resource) -> None:
            found.state = {**found.state, _NETWORK: kept}

        if pool.state.get(_NETWORK) != kept:
            await self._resources.edit(pool.key, change)
        return handles

    async def _network(self, pool: Resource, spec: NetworkSpec) -> Handle | None:
        """The one of before, if it still runs and is as ``spec`` asks: our own ports may be others since a restart."""
        kept = pool.state.get(_NETWORK)
        if kept is None:
            return None
        handle: Handle = kept["handle"]
        if kept["loopback"] == list(spec.loopback) and (await self._runtime.inspect(handle)).phase is Phase.RUNNING:
            return handle
        await self._runtime.remove(handle)
        return None

    async def leave(self, job: Resource, secondary: str, reason: str) -> None:
        """The job has ended: its pool is there for the next, or is no more."""
        pool, seconds = await self._resources.get(record(job.key)), rules.keep_alive(job.spec)
        if pool is None:
            if seconds:  # it never got instances
                never = replace(_of(job, {}, {"pool": ""}), phase=rules.TERMINATED, status=_UNUSED)
                await self._resources.create(never)
        elif pool.phase != rules.IN_USE:
            return  # so it was left before a restart
        elif seconds and rules.are_kept(secondary, reason):
            await self._make_available(pool.key, seconds)
        else:
            await remove(self._platform, self._runtime, pool)
            await self._resources.edit(pool.key, _terminate)

    async def _make_available(self, pool: Key, seconds: int) -> None:
        now = self._platform.clock.now()

        def change(found: Resource) -> None:
            found.phase = rules.AVAILABLE
            found.state = rules.kept_for({**found.state, "available": now}, seconds)
            found.due = found.state["ends"]

        await self._resources.edit(pool, change)
        self._platform.hints.notify(DUE)


async def remove(platform: Platform, runtime: Runtime, pool: Resource) -> None:
    """Nothing of it is left."""
    if network := pool.state.get(_NETWORK):
        await runtime.remove(network["handle"])
    directory = folder(platform.settings, pool.state["pool"])
    await in_thread(lambda _: trees.remove(directory))


def _terminate(pool: Resource) -> None:
    """Nobody was to wait for it."""
    pool.phase, pool.status = rules.TERMINATED, _UNUSED


def _of(job: Resource, identity: Document, state: Document) -> Resource:
    """The record of a pool that the job begins to use; ``state``: of the record before, if there was one."""
    return Resource(
        key=record(job.key),
        spec=identity,
        phase=rules.IN_USE,
        state={name: state[name] for name in ("pool", "began", _NETWORK) if name in state},
        created=job.created,
        modified=job.created,
    )
