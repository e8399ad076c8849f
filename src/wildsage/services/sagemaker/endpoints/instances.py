"""What is done to one instance of an endpoint: filled, launched, watched, disposed of."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from wildsage.core import trees
from wildsage.core.errors import ClientFault, InternalFault, JobFault, RuntimeRefused
from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.runtimes.base import Inspection, Phase, Runtime
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.fleet import Instance, Variant
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, LOG_GROUPS, log_group
from wildsage.services.sagemaker.endpoints.moves import STOP_GRACE, ending
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.instance.attendant import Attendants, Source
from wildsage.services.sagemaker.instance.gauges import Measured
from wildsage.services.sagemaker.instance.health import Patience, until_healthy, until_ill
from wildsage.services.sagemaker.instance.images import Images
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.models.launch import Placement
from wildsage.services.sagemaker.models.launching import Launching
from wildsage.store.resources import Key

_TAIL_LINES = 12
_DRAIN_FIRST_WAIT = 0.05
_DRAIN_LONGEST_WAIT = 1.0


class NotHealthy(JobFault):
    """A container that ended, or gave no healthy answer in time, before it ever served."""


class Instances:
    """The hands of the endpoint controller."""

    def __init__(
        self, platform: Platform, runtime: Runtime, images: Images, attendants: Attendants, routers: Routers
    ) -> None:
        self._platform = platform
        self._runtime = runtime
        self._launching = Launching(platform, runtime, images)
        self._attendants = attendants
        self._routers = routers
        self._patience = Patience()

    def _directory(self, instance: Instance) -> Path:
        return self._platform.settings.data.instances / f"host-{instance.id}"

    def _stream(self, endpoint: Key, instance: Instance) -> LogStream:
        name = f"{instance.variant}/{instance.id}"
        return LogStream(endpoint.account, endpoint.region, log_group(endpoint.name), name)

    def _source(self, endpoint: Key, instance: Instance, variant: Variant | None = None) -> Source:
        measured = None
        if variant is not None:
            dimensions = (("EndpointName", endpoint.name), ("VariantName", variant.name))
            kind = str(variant.document.get("InstanceType") or "")
            measured = Measured(endpoint.account, endpoint.region, LOG_GROUPS, dimensions, kind)
        stream = self._stream(endpoint, instance)
        return Source(f"host/{instance.id}", self._runtime, instance.handle, stream, measured=measured)

    def _place(self, endpoint: Key, instance: Instance, variant: Variant) -> Placement:
        return Placement(
            arn=ENDPOINT.arn(endpoint),
            region=endpoint.region,
            model=variant.model,
            container=variant.containers[0],
            instance_type=variant.document["InstanceType"],
            directory=self._directory(instance),
        )

    async def next(self, endpoint: Key, instance: Instance, variant: Variant | None) -> Instance | None:
        """The instance as it is once something has become of it; None: nothing is left of it.

        Raises JobFault, RuntimeRefused or OSError if it does not come up. ``variant`` is None if that is not known any
        more, which does not matter for one that is to go.
        """
        if instance.stage == fleet.ENDING:
            await self.dispose(endpoint, instance, variant)
            return None
        if instance.stage in (fleet.LAUNCHED, fleet.SERVING, fleet.RETIRED):
            self._attendants.attend(self._source(endpoint, instance, variant))
        if instance.stage == fleet.RETIRED:
            await self.drained(instance)
            return ending(instance, self._platform.clock.now())
        if instance.stage == fleet.SERVING:
            return replace(instance, stage=fleet.RETIRED if await self.ill(instance) else fleet.ENDING)
        if instance.stage == fleet.LAUNCHED:
            return await self.started(endpoint, instance)
        if variant is None:
            raise InternalFault(f"InternalServerError: variant {instance.variant} is no longer known")
        if instance.stage == fleet.FILLED:
            return await self.launch(endpoint, instance, variant)
        await self._platform.clock.sleep(instance.not_before - self._platform.clock.now())
        return await self.fill(endpoint, instance, variant)

    async def fill(self, endpoint: Key, instance: Instance, variant: Variant) -> Instance:
        """The image is at hand, the model and its code lie in the instance's folder. Raises JobFault, OSError."""
        place, stream = self._place(endpoint, instance, variant), self._stream(endpoint, instance)
        await self._launching.prepare(place, stream, once=f"notice/{instance.id}")
        if await _first(self._launching.fill(place), self._platform.clock.sleep(variant.download_timeout)) == 1:
            raise ClientFault(
                f"The model data of production variant {variant.name} was not downloaded and extracted within "
                f"{variant.download_timeout:g} seconds (ModelDataDownloadTimeoutInSeconds)."
            )
        return replace(instance, stage=fleet.FILLED)

    async def launch(self, endpoint: Key, instance: Instance, variant: Variant) -> Instance:
        """The process exists; a second call finds the first's. Raises JobFault, RuntimeRefused."""
        place, stream = self._place(endpoint, instance, variant), self._stream(endpoint, instance)
        handle = await self._launching.launch(place, stream)
        return replace(
            instance,
            stage=fleet.LAUNCHED,
            handle=dict(handle),
            address=self._runtime.address_of(handle),
            deadline=self._platform.clock.now() + variant.startup_timeout,
        )

    async def started(self, endpoint: Key, instance: Instance) -> Instance:
        """Returns once a launched instance serves; raises NotHealthy once it is clear that it will not."""
        ending = self._runtime.wait(instance.handle)
        healthy = until_healthy(self._platform.clock, instance.address)
        left = max(instance.deadline - self._platform.clock.now(), 0.0)
        first = await _first(healthy, ending, self._platform.clock.sleep(left))
        if first == 0:
            return replace(instance, stage=fleet.SERVING, since=self._platform.clock.now())
        found = await self._runtime.inspect(instance.handle)
        raise NotHealthy(await self._reason(endpoint, instance, found))

    async def ill(self, instance: Instance) -> bool:
        """Returns once a serving instance is not well any more; False if it has ended."""
        ill = until_ill(self._platform.clock, instance.address, self._patience)
        return await _first(self._runtime.wait(instance.handle), ill) == 1

    async def drained(self, instance: Instance) -> None:
        """Returns once no router sends anything there or has anything under way there, or at its deadline."""
        clock, wait = self._platform.clock, _DRAIN_FIRST_WAIT
        ending = asyncio.ensure_future(self._runtime.wait(instance.handle))
        try:
            while not ending.done() and clock.now() < instance.deadline:
                if await self._routers.done_with(instance.address):
                    return
                await clock.sleep(wait)
                wait = min(2 * wait, _DRAIN_LONGEST_WAIT)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _reason(self, endpoint: Key, instance: Instance, found: Inspection) -> str:
        words = (
            f"The primary container for production variant {instance.variant} did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint."
        )
        if found.phase is Phase.RUNNING:
            return f"{words} It was still running when the time for its start was over."
        if found.phase is Phase.EXITED:
            await self._attendants.finished(self._source(endpoint, instance))
        if found.out_of_memory:
            return f"{words} It ran out of memory; use an instance type with more."
        how = "It was killed." if found.phase is Phase.LOST else f"It ended with exit code {found.exit_code}."
        log = await logstreams.tail(self._platform, self._stream(endpoint, instance), _TAIL_LINES)
        return f"{words} {how} Its log ends: " + "\n".join(log)

    async def dispose(self, endpoint: Key, instance: Instance, variant: Variant | None) -> None:
        """Nothing of it is left but its log, whatever stage it was in. It is killed at its deadline, if it has one."""
        left = instance.deadline - self._platform.clock.now()
        grace = min(max(left, 0.0), STOP_GRACE) if instance.stage == fleet.ENDING else STOP_GRACE
        if not instance.handle and variant is not None and self._directory(instance).exists():
            # It may have been launched just before the handle could be kept; launching again finds out.
            with suppress(JobFault, RuntimeRefused):
                instance = await self.launch(endpoint, instance, variant)
        if instance.handle:
            await self._runtime.stop(instance.handle, grace)
            if (self._directory(instance) / "log").exists():
                await self._attendants.finished(self._source(endpoint, instance))
            await self._runtime.remove(instance.handle)
        directory = self._directory(instance)
        await in_thread(lambda _: trees.remove(directory))


async def _first(*works: Coroutine[Any, Any, Any]) -> int:
    """The number of the work that ends first (of several the lowest), raising what it raised; the rest is cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        number = next(number for number, task in enumerate(tasks) if task.done())
        tasks[number].result()
        return number
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
