"""What instances use, as metrics: every minute, when somebody reads metrics, and at their end.

Names, units and dimensions are AWS's (Developer Guide, "Amazon SageMaker AI metrics in Amazon CloudWatch", jobs and
endpoints): CPUUtilization from 0 to 100 for each CPU, memory and disk in percent of the instance's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from wildsage.core.errors import WildsageError
from wildsage.kit.context import Platform
from wildsage.kit.metrics import announce, publish
from wildsage.runtimes.base import Handle, Runtime, Usage
from wildsage.runtimes.instances import LOCAL, InstanceType, lookup
from wildsage.services.sagemaker.instance.gpus import Load, loads
from wildsage.store.metrics import Datum, Dimensions, Metric, adding
from wildsage.store.summaries import of_values

log = logging.getLogger(__name__)

_GIB = 1 << 30
_LEAST_SECONDS = 5.0
_LEAST_AT_END = 1.0
_JUST_BEFORE = 0.5
"""A look at a full minute is about the minute that ends there."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The series of one instance. ``disk_gib``: the size of its volume, 0 for the disk of the data directory.

    ``container``: what one of several containers of an instance is called; it has a series of its own, and what all of
    the same ``instance`` use is summed up ("the sum of CPU utilization by all containers running on the instance").
    ``memory_bytes``: of one without an instance type; 0 is the type's, or the machine's.
    """

    account: str
    region: str
    namespace: str
    dimensions: Dimensions
    instance_type: str
    disk_gib: int = 0
    instance: str = ""
    container: str = ""
    memory_bytes: int = 0


@dataclass(slots=True)
class _Watched:
    runtime: Runtime
    handle: Handle
    measured: Measured
    cpu_seconds: float = 0.0
    at: float | None = None


class Gauges:
    """Those of one control process. After a restart the first look tells the average since the container's start."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._watched: dict[str, _Watched] = {}
        platform.meters.add(self.read)

    def watch(self, name: str, runtime: Runtime, handle: Handle, measured: Measured) -> None:
        """From now on, under a name that is unique for ever."""
        self._watched.setdefault(name, _Watched(runtime, handle, measured))

    def forget(self, name: str) -> None:
        self._watched.pop(name, None)

    async def read(self) -> None:
        """Publishes what the running ones used since the last look; not within a few seconds of it."""
        now = self._platform.clock.now()
        due = [each for each in self._watched.values() if each.at is None or now - each.at >= _LEAST_SECONDS]
        load = await loads() if any(_type(each.measured).gpus for each in due) else ()
        data: list[Datum] = []
        sums: dict[str, tuple[Measured, dict[str, float]]] = {}
        for each in due:
            usage = await each.runtime.usage(each.handle)
            if usage is None or usage.span is not None:
                continue
            values, measured = self._values(each, usage, now, load), each.measured
            data += _data(measured, values, now - _JUST_BEFORE)
            if measured.container:
                _add(sums.setdefault(measured.instance, (replace(measured, container=""), {}))[1], values)
        for whole, values in sums.values():
            data += _data(whole, values, now - _JUST_BEFORE)
        if data:
            await publish(self._platform, data)

    async def last(self, name: str) -> None:
        """Publishes what an ended one used since the last look, once, and forgets it."""
        each = self._watched.pop(name, None)
        if each is None:
            return
        try:
            usage = await each.runtime.usage(each.handle)
            told = f"{name}/used"
            if usage is None or usage.span is None or await self._platform.facts.cursor(told):
                return
            began, ended = usage.span
            if each.at is None or ended - each.at >= _LEAST_AT_END:
                each.at = each.at or began
                data = _data(each.measured, self._values(each, usage, ended, ()), ended)
                beside = [adding(data, self._platform.clock.now())]
                await self._platform.facts.append(told, [], told, 1, beside)
                announce(self._platform, data)
        except (OSError, WildsageError) as error:
            log.warning("what %s used cannot be kept: %s", name, error)

    def _values(self, each: _Watched, usage: Usage, now: float, load: tuple[Load, ...]) -> dict[str, float]:
        """In percent, by name of the metric."""
        measured, kind = each.measured, _type(each.measured)
        since = each.at if each.at is not None else usage.began
        values: dict[str, float] = {}
        if since is not None and now > since:
            values["CPUUtilization"] = 100 * max(usage.cpu_seconds - each.cpu_seconds, 0.0) / (now - since)
        values["MemoryUtilization"] = (
            100 * usage.memory_bytes / (measured.memory_bytes or kind.memory_bytes or _memory())
        )
        if usage.disk_bytes is not None:
            values["DiskUtilization"] = 100 * usage.disk_bytes / (measured.disk_gib * _GIB or self._disk())
        if load and kind.gpus:
            values["GPUUtilization"] = sum(gpu.busy_percent for gpu in load[: kind.gpus])
            values["GPUMemoryUtilization"] = sum(gpu.memory_percent for gpu in load[: kind.gpus])
        each.cpu_seconds, each.at = usage.cpu_seconds, now
        return values

    def _disk(self) -> int:
        disk = os.statvfs(self._platform.settings.data.root)
        return disk.f_blocks * disk.f_frsize


def _type(measured: Measured) -> InstanceType:
    return lookup(measured.instance_type) if measured.instance_type else LOCAL


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _add(whole: dict[str, float], values: Mapping[str, float]) -> None:
    """Graphics processors are asked, not containers: each of these says the same."""
    for name, value in values.items():
        whole[name] = value if name.startswith("GPU") else whole.get(name, 0.0) + value


def _data(measured: Measured, values: Mapping[str, float], at: float) -> list[Datum]:
    return [_datum(measured, name, value, at) for name, value in values.items()]


def _datum(measured: Measured, name: str, value: float, at: float) -> Datum:
    dimensions = measured.dimensions
    if measured.container:
        dimensions = tuple(sorted((*dimensions, ("ContainerName", measured.container))))
    metric = Metric(measured.account, measured.region, measured.namespace, name, dimensions)
    return Datum(metric, at, of_values({value: 1.0}), "Percent")


def job_host(job: str, host: str) -> Dimensions:
    """Of an instance of a job."""
    return (("Host", f"{job}/{host}"),)


def volume(cluster: Mapping[str, object]) -> int:
    """VolumeSizeInGB of a job's resources; 0 where there is none."""
    size = cluster.get("VolumeSizeInGB")
    return size if isinstance(size, int) else 0
