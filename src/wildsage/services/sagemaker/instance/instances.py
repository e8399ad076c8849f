"""The instances of one job: launched, watched, stopped and removed all together.

Of a job with several, each is a host on a network of the job's own; the only one of a job shares the machine's network.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from wildsage.core import trees
from wildsage.core.errors import CannotStart, ClientFault, RuntimeRefused
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.runtimes.base import Capability, Handle, Inspection, LaunchSpec, NetworkSpec, Phase, Runtime
from wildsage.services.sagemaker.instance import faults, surroundings
from wildsage.services.sagemaker.instance.attendant import Attendants, Source, final_metrics
from wildsage.services.sagemaker.instance.gauges import Measured, job_host
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.metrics import Metric
from wildsage.services.sagemaker.instance.threads import Stopped, in_thread
from wildsage.services.sagemaker.instance.together import together
from wildsage.store.codec import Document
from wildsage.store.metrics import Dimensions
from wildsage.store.resources import Resource

Handles = Mapping[str, Handle]
"""Host's name → the runtime's handle; under NETWORK that of the job's network, if it has one."""

NETWORK = "network"
CLOSED = (
    "[wildsage] The instances of this job reach one another and this server, and nothing else: this machine's kernel "
    "has no nftables for networks of this user's."
)


FULL = (
    "InternalServerError: No space left on the disk of the data directory when the container ended, so what it wrote "
    "cannot be kept. Free some space, or start the server with --data on a larger disk, and try again."
)
_LEAST_FREE = 1 << 20


class Job(Protocol):
    """What is known here of a job. ``directory``: the folder that its instances' folders lie in."""

    @property
    def directory(self) -> Path: ...

    @property
    def hosts(self) -> Sequence[Host]: ...

    def folder(self, host: Host) -> Path:
        """The folder of one instance."""
        ...


@dataclass(frozen=True, slots=True)
class Logged:
    """Where the output of one kind of job goes.

    ``prefix``: of the names that cursors are kept under. ``group``: the log group, and the namespace of metrics.
    ``metrics``: what is looked for in the log, given the create document. ``named``: the dimension that is the job's
    name. ``disk_gib``: the size of an instance's volume, given the create document. ``escaped``: as Source has it.
    """

    prefix: str
    group: str
    metrics: Callable[[Document], tuple[Metric, ...]] = lambda _: ()
    named: str = ""
    disk_gib: Callable[[Document], int] = lambda _: 0
    escaped: bool = False

    def stream(self, resource: Resource, host: Host) -> LogStream:
        """The log stream of one instance."""
        name = f"{resource.key.name}/{host.name}-{int(resource.created)}"
        return LogStream(resource.key.account, resource.key.region, self.group, name)

    def measured(self, resource: Resource, host: Host) -> Measured:
        """The series of what one instance uses."""
        key = resource.key
        size = self.disk_gib(resource.spec)
        return Measured(key.account, key.region, self.group, job_host(key.name, host.name), host.instance_type, size)

    def series(self, resource: Resource, host: Host) -> tuple[Dimensions, ...]:
        """Where values found in the log of one instance go."""
        if not self.named:
            return ()
        whole = (self.named, resource.key.name)
        return (whole,), (*job_host(resource.key.name, host.name), whole)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the instances of a job ended: all of them well (``failed`` is None), or one of them not."""

    failed: tuple[Host, Inspection] | None


class Instances:
    """What the controller knows of a runtime."""

    def __init__(self, platform: Platform, runtime: Runtime, attendants: Attendants, logged: Logged) -> None:
        self._platform = platform
        self._runtime = runtime
        self._attendants = attendants
        self._logged = logged

    async def launch(
        self, specs: Mapping[str, LaunchSpec], network: NetworkSpec | None, made: Handle | None = None
    ) -> Handles:
        """All of them, those that run already as well; or none, and the first one's fault is raised.

        ``specs``: host's name → what is launched. ``made``: the network, if it is there from before.
        """
        held: dict[str, Handle] = {}
        try:
            if network is not None:
                if Capability.PEERS not in self._runtime.capabilities:
                    raise RuntimeRefused(
                        f"The runtime {self._runtime.name} has no network for jobs of several instances."
                    )
                await in_thread(lambda _: network.directory.mkdir(parents=True, exist_ok=True))
                held[NETWORK] = made or await self._runtime.connect(network)

            async def one(name: str, spec: LaunchSpec) -> None:
                await in_thread(partial(surroundings.open_folders, spec))
                try:
                    held[name] = await self._runtime.launch(_joining(spec, held.get(NETWORK)))
                except CannotStart as error:
                    raise ClientFault(f"ClientError: {faults.of_start(error, 'the container', spec)}") from error

            await together(one(name, spec) for name, spec in specs.items())
        except (Exception, asyncio.CancelledError):
            # What was launched a moment ago is in no document yet, so nobody would find it.
            for handle in reversed(held.values()):
                await self._runtime.remove(handle)
            raise
        return held

    def closed(self, handles: Handles) -> bool:
        """Whether the job should be told that it does not reach the outside."""
        network = handles.get(NETWORK)
        return network is not None and network["outside"] and not self._runtime.reaches_outside(network)

    def attend(self, resource: Resource, job: Job, handles: Handles) -> None:
        """Follows every log from where it was left."""
        for host in job.hosts:
            self._attendants.attend(self._source(resource, host, handles))

    async def ended(self, job: Job, handles: Handles) -> Ended:
        """Returns as soon as one has failed, or all have ended well. Without their network all are as good as lost."""
        waiting: dict[asyncio.Future[Inspection], Host] = {}
        for host in job.hosts:
            waiting[asyncio.ensure_future(self._runtime.wait(handles[host.name]))] = host
        pending = set(waiting)
        beside = {asyncio.ensure_future(self._runtime.wait(handles[NETWORK]))} if NETWORK in handles else set()
        waiting |= dict.fromkeys(beside, job.hosts[0])
        try:
            while pending:
                done, _ = await asyncio.wait(pending | beside, return_when=asyncio.FIRST_COMPLETED)
                failed = [(waiting[each], each.result()) for each in done if not _well(each.result())]
                if failed:
                    # Found ended together (after a restart, say), the first to fail is what the others failed of.
                    return Ended(min(failed, key=lambda each: each[1].ended_at or 0.0))
                pending -= done
            return Ended(None)
        finally:
            for each in waiting:
                each.cancel()

    async def stop(self, job: Job, handles: Handles, grace: float) -> None:
        """SIGTERM to all, SIGKILL to what is left after ``grace`` seconds."""
        await together(self._runtime.stop(handles[host.name], grace) for host in job.hosts)

    async def release(self, job: Job, handles: Handles) -> bool:
        """Gives back what ended containers hold beside their folders; False if the disk is full all the same.

        Their private files are of no more use, and if they fill the disk nothing could be stored before they are gone.
        """
        await together(self._runtime.remove(handles[host.name]) for host in job.hosts)
        folders = [job.folder(host) for host in job.hosts]
        return not await in_thread(lambda _: any(_given_up_on_full_disk(folder) for folder in folders))

    async def last_words(self, resource: Resource, handles: Handles, host: Host, count: int) -> list[str]:
        """The last lines of an ended instance."""
        return await self._attendants.last_words(self._source(resource, host, handles), count)

    async def remove(
        self, resource: Resource, job: Job, handles: Handles, *, network_too: bool = True
    ) -> list[dict[str, Any]]:
        """Nothing of them is left but their logs, which are whole. Their final metrics, as FinalMetricDataList."""
        values: dict[str, dict[str, Any]] = {}
        for host in job.hosts:
            source, folder = self._source(resource, host, handles), job.folder(host)
            # Its files first: on a full disk there is room for the log only once they are gone.
            await self._runtime.stop(source.handle, 0)
            await in_thread(partial(_remove_files, folder))
            await self._attendants.finished(source)
            await self._runtime.remove(source.handle)
            for value in await final_metrics(self._platform, source.name, [each.name for each in source.metrics]):
                known = values.setdefault(value["MetricName"], value)
                if value["Timestamp"] > known["Timestamp"]:
                    values[value["MetricName"]] = value
        if network_too and NETWORK in handles:
            await self._runtime.remove(handles[NETWORK])
        return list(values.values())

    def _source(self, resource: Resource, host: Host, handles: Handles) -> Source:
        attempt = resource.state.get("attempt", 0)  # each has a log of its own to be read, all come to one stream
        name = f"{self._logged.prefix}/{resource.uid}/{host.name}" + (f"/{attempt}" if attempt else "")
        stream = self._logged.stream(resource, host)
        return Source(
            name,
            self._runtime,
            handles[host.name],
            stream,
            self._logged.metrics(resource.spec),
            self._logged.measured(resource, host),
            self._logged.series(resource, host),
            self._logged.escaped,
            resource.spec["RoleArn"],
        )


def _joining(spec: LaunchSpec, network: Handle | None) -> LaunchSpec:
    """The same on a network; None leaves it as it is."""
    return spec if network is None else replace(spec, joins=network)


def _given_up_on_full_disk(directory: Path) -> bool:
    """Removes an instance's files if nothing could be stored beside them; whether that was so, now or before."""
    ml = directory / "ml"
    disk = os.statvfs(directory)
    if disk.f_bavail * disk.f_frsize < _LEAST_FREE:
        trees.remove(ml)
    return not ml.exists()


def _remove_files(directory: Path, _: Stopped) -> None:
    trees.remove(directory / "ml")


def _well(found: Inspection) -> bool:
    return found.phase is Phase.EXITED and found.exit_code == 0
