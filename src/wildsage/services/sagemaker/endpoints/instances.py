"""What is done to one instance of an endpoint: filled, launched, watched, disposed of."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from wildsage.core import trees
from wildsage.core.errors import ClientFault, InternalFault, JobFault, RuntimeRefused
from wildsage.core.routes import DIRECT
from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.runtimes.base import Phase, Runtime
from wildsage.services.sagemaker.endpoints import fleet, serverless
from wildsage.services.sagemaker.endpoints.fleet import Instance, Running, State, Variant
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, LOG_GROUPS, log_group
from wildsage.services.sagemaker.endpoints.moves import STOP_GRACE, ending
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.instance.attendant import Attendants, Source
from wildsage.services.sagemaker.instance.gauges import Measured
from wildsage.services.sagemaker.instance.health import Patience, until_healthy, until_ill
from wildsage.services.sagemaker.instance.images import Images
from wildsage.services.sagemaker.instance.threads import Stopped, in_thread
from wildsage.services.sagemaker.instance.together import together
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
        self,
        platform: Platform,
        runtime: Runtime,
        images: Images,
        attendants: Attendants,
        routers: Routers,
        patience: Patience,
    ) -> None:
        self._platform = platform
        self._runtime = runtime
        self._launching = Launching(platform, runtime, images)
        self._attendants = attendants
        self._routers = routers
        self._patience = patience

    def _directory(self, instance: Instance, number: int) -> Path:
        """Of a container; ``number`` from 1."""
        name = f"host-{instance.id}" if number == 1 else f"host-{instance.id}-{number}"
        return self._platform.settings.data.instances / name

    def _stream(self, endpoint: Key, instance: Instance, hostname: str) -> LogStream:
        name = "/".join(filter(None, (instance.variant, instance.id, hostname)))
        return LogStream(endpoint.account, endpoint.region, log_group(endpoint.name), name)

    def _sources(self, endpoint: Key, instance: Instance, variant: Variant | None = None) -> Iterator[Source]:
        """The output of each container that was launched.

        Without ``variant`` as the service's own: it is followed already, unless control was started again just now.
        """
        for each in instance.containers:
            measured = None
            if variant is not None:
                dimensions = (("EndpointName", endpoint.name), ("VariantName", variant.name))
                kind, name = str(variant.document.get("InstanceType") or ""), each.hostname
                where = (endpoint.account, endpoint.region, LOG_GROUPS, dimensions)
                memory = serverless.worker_bytes(variant.serverless)
                measured = Measured(*where, kind, instance=instance.id, container=name, memory_bytes=memory)
            yield Source(
                _unique("host", instance, each.number),
                self._runtime,
                each.handle,
                self._stream(endpoint, instance, each.hostname),
                measured=measured,
                role="" if variant is None else variant.model["ExecutionRoleArn"],
            )

    def _places(self, endpoint: Key, instance: Instance, variant: Variant) -> list[Placement]:
        """Of each container of its model."""
        settings, config = self._platform.settings.serverless, variant.serverless
        return [
            Placement(
                arn=ENDPOINT.arn(endpoint),
                region=endpoint.region,
                model=variant.model,
                container=container,
                instance_type=variant.document.get("InstanceType", ""),
                directory=self._directory(instance, container.number),
                variables={} if config is None else serverless.variables(config, settings, container.environment),
                memory_bytes=0 if config is None else serverless.memory_bytes(config),
                shares=config is not None,
                called=f"the model container for variant {variant.name}",
                volume_bytes=variant.volume,
                pinned=variant.images[container.number - 1] if variant.images else "",
            )
            for container in variant.containers
        ]

    async def next(self, endpoint: Key, instance: Instance, variant: Variant | None) -> Instance | None:
        """The instance as it is once something has become of it; None: nothing is left of it.

        Raises JobFault, RuntimeRefused or OSError if it does not come up. ``variant`` is None if that is not known any
        more, which does not matter for one that is to go.
        """
        if instance.stage == fleet.ENDING:
            await self.dispose(endpoint, instance, variant)
            return None
        if instance.stage in (fleet.LAUNCHED, fleet.SERVING, fleet.RETIRED):
            for source in self._sources(endpoint, instance, variant):
                self._attendants.attend(source)
        if instance.stage == fleet.RETIRED:
            await self.drained(instance)
            return ending(instance, self._platform.clock.now())
        if instance.stage == fleet.SERVING:
            return replace(instance, stage=fleet.RETIRED if await self.ill(instance, variant) else fleet.ENDING)
        if instance.stage == fleet.LAUNCHED:
            return await self.started(endpoint, instance, variant)
        if variant is None:
            raise InternalFault(f"InternalServerError: variant {instance.variant} is no longer known")
        if instance.stage == fleet.FILLED:
            return await self.launch(endpoint, instance, variant)
        await self._platform.clock.sleep(instance.not_before - self._platform.clock.now())
        return await self.fill(endpoint, instance, variant)

    async def fill(self, endpoint: Key, instance: Instance, variant: Variant) -> Instance:
        """Images are at hand, models and their code lie in the containers' folders. Raises JobFault, OSError."""
        places = self._places(endpoint, instance, variant)
        found = []
        for place in places:
            stream = self._stream(endpoint, instance, place.container.hostname)
            once = _unique("notice", instance, place.container.number)
            found.append(await self._launching.prepare(place, stream, once))
        filling = _all(self._launching.fill(place) for place in places)
        if await _first(filling, self._platform.clock.sleep(variant.download_timeout)) == 1:
            raise ClientFault(
                f"The model data of production variant {variant.name} was not downloaded and extracted within "
                f"{variant.download_timeout:g} seconds (ModelDataDownloadTimeoutInSeconds)."
            )
        images, resolved = tuple(each.image for each in found), tuple(each.resolved for each in found)
        return replace(instance, stage=fleet.FILLED, images=images, resolved=resolved)

    async def launch(self, endpoint: Key, instance: Instance, variant: Variant) -> Instance:
        """The processes exist; a second call finds the first's. Raises JobFault, RuntimeRefused."""
        places = self._places(endpoint, instance, variant)
        return replace(
            instance,
            stage=fleet.LAUNCHED,
            containers=tuple(await together(self._launch(endpoint, instance, place) for place in places)),
            deadline=self._platform.clock.now() + variant.startup_timeout,
        )

    async def _launch(self, endpoint: Key, instance: Instance, place: Placement) -> Running:
        hostname = place.container.hostname
        handle = await self._launching.launch(place, self._stream(endpoint, instance, hostname))
        return Running(dict(handle), self._runtime.address_of(handle), place.container.number, hostname)

    async def started(self, endpoint: Key, instance: Instance, variant: Variant | None) -> Instance:
        """Returns once a launched instance serves; raises NotHealthy once it is clear that it will not."""
        clock, waiting = self._platform.clock, list(instance.containers)

        async def well(container: Running) -> None:
            await until_healthy(clock, container.address)
            waiting.remove(container)

        healthy = _all(map(well, instance.containers))
        endings = [self._runtime.wait(each.handle) for each in instance.containers]
        left = max(instance.deadline - clock.now(), 0.0)
        first = await _first(healthy, *endings, clock.sleep(left))
        if first == 0:
            return replace(instance, stage=fleet.SERVING, since=clock.now())
        ended = instance.containers[first - 1 : first]  # none of them where time was over
        failed = list(ended) or waiting or list(instance.containers)
        raise NotHealthy(await self._reason(endpoint, instance, variant, failed))

    async def _ended(self, instance: Instance) -> None:
        """Returns once one of its containers has ended."""
        await _first(*(self._runtime.wait(each.handle) for each in instance.containers))

    async def ill(self, instance: Instance, variant: Variant | None) -> bool:
        """Returns once a container of a serving instance is not well any more; False if it has ended.

        A serverless one is not asked, which would start a worker each time; its pool looks after its workers.
        """
        if variant is not None and variant.serverless is not None and serverless.pooled(instance.address):
            await serverless.tell(instance.address, variant.serverless)
            await self._ended(instance)
            return False
        by_name = variant is not None and variant.mode == DIRECT
        ills = (
            until_ill(
                self._platform.clock,
                each.address,
                self._patience,
                self._routers.watched(each.address if by_name else instance.address),
            )
            for each in instance.containers
        )
        return await _first(self._ended(instance), *ills) != 0

    async def tell(self, state: State) -> None:
        """Serverless instances hear how many workers they are to keep."""
        for instance in state.of(fleet.SERVING):
            variant = state.variant_of(instance)
            if variant is not None and variant.serverless is not None:
                await serverless.tell(instance.address, variant.serverless)

    async def drained(self, instance: Instance) -> None:
        """Returns once no router sends anything there or has anything under way there, or at its deadline."""
        clock, wait = self._platform.clock, _DRAIN_FIRST_WAIT
        ending = asyncio.ensure_future(self._ended(instance))
        try:
            while not ending.done() and clock.now() < instance.deadline:
                if await self._routers.done_with([each.address for each in instance.containers]):
                    return
                await clock.sleep(wait)
                wait = min(2 * wait, _DRAIN_LONGEST_WAIT)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _reason(self, endpoint: Key, instance: Instance, variant: Variant | None, failed: list[Running]) -> str:
        """``failed``: the containers that were not well. Of the first of them it is said how and why."""
        words = (
            f"The {_named(failed)} for production variant {instance.variant} did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint."
        )
        first = failed[0]
        found = await self._runtime.inspect(first.handle)
        if found.phase is Phase.RUNNING:
            return f"{words} It was still running when the time for its start was over."
        if found.phase is Phase.EXITED:
            (source,) = self._sources(endpoint, replace(instance, containers=(first,)), variant)
            log = await self._attendants.last_words(source, _TAIL_LINES)
        else:
            log = await logstreams.tail(self._platform, self._stream(endpoint, instance, first.hostname), _TAIL_LINES)
        if found.out_of_memory:
            return f"{words} It ran out of memory; use an instance type with more."
        lost = f"It was lost: {found.reason}." if found.reason else "It was killed."
        how = lost if found.phase is Phase.LOST else f"It ended with exit code {found.exit_code}."
        return f"{words} {how} Its log ends: " + "\n".join(log)

    async def dispose(self, endpoint: Key, instance: Instance, variant: Variant | None) -> None:
        """Nothing of it is left but its logs, whatever stage it was in. It is killed at its deadline, if it has one."""
        left = instance.deadline - self._platform.clock.now()
        grace = min(max(left, 0.0), STOP_GRACE) if instance.stage == fleet.ENDING else STOP_GRACE
        places = [] if variant is None else self._places(endpoint, instance, variant)
        if not instance.containers:
            instance = replace(instance, containers=await self._launched(endpoint, instance, places))
        await together(self._runtime.stop(each.handle, grace) for each in instance.containers)
        for each, source in zip(instance.containers, self._sources(endpoint, instance, variant), strict=True):
            await self._attendants.finished(source)
            await self._runtime.remove(each.handle)
        for number in {1, *(each.number for each in instance.containers), *(each.container.number for each in places)}:
            await in_thread(partial(_remove, self._directory(instance, number)))

    async def _launched(self, endpoint: Key, instance: Instance, places: list[Placement]) -> tuple[Running, ...]:
        """What may have been launched just before its handle could be kept; launching again finds out."""
        found = []
        for place in places:
            if place.directory.exists():
                with suppress(JobFault, RuntimeRefused):
                    found.append(await self._launch(endpoint, instance, place))
        return tuple(found)


def _unique(kind: str, instance: Instance, number: int) -> str:
    """A name of a container's for ever; ``number`` from 1."""
    return f"{kind}/{instance.id}" if number == 1 else f"{kind}/{instance.id}/{number}"


def _named(containers: list[Running]) -> str:
    """As AWS has it for an only container, and "all the containers that failed the ping check" of several."""
    names = [each.hostname or "primary" for each in containers]
    if len(names) == 1:
        return f"{names[0]} container"
    return f"{', '.join(names[:-1])} and {names[-1]} containers"


def _remove(directory: Path, _: Stopped) -> None:
    trees.remove(directory)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    await together(works)


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
