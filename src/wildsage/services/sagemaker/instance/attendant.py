"""Follows the output of containers into CloudWatch Logs, and picks the metrics out of it on the way.

The lines and the place they were read up to are kept in one transaction, so that after a crash of the control process
no line is missing and none appears twice.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.kit.metrics import announce
from wildsage.runtimes.base import Handle, LogLine, Runtime
from wildsage.runtimes.taking import Taking
from wildsage.services.sagemaker.instance import permitted
from wildsage.services.sagemaker.instance.gauges import Gauges, Measured
from wildsage.services.sagemaker.instance.metrics import Metric, Metrics
from wildsage.store.facts import Fact, Window
from wildsage.store.metrics import Datum, Dimensions, adding
from wildsage.store.metrics import Metric as SeriesOf
from wildsage.store.summaries import of_values

_AT_ONCE = 2000
_GATHER_SECONDS = 0.1
"""What comes so soon after lines that were just kept is kept together: each time costs a flush of the disk."""
_CHARACTERS = 1 << 20  # of lines read and not kept yet: a line can have 256 KiB
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_TOO_SLOW = (
    "[wildsage] The regular expression of metric {} takes too long on lines of this log (nested repetitions such as "
    "(a+)+ do that); the metric is not looked for any more in this job."
)


@dataclass(frozen=True, slots=True)
class Source:
    """A container whose output is followed. ``name``: unique for ever; the cursor's name.

    ``role``: the ARN of the role that logs and metrics are written as; empty for what the service itself writes.
    ``escaped``: control characters are written as ``#`` and three octal digits before anybody sees them.
    ``measured``: the series of what it uses; those of ``metrics`` are in the same namespace, under each of ``series``.
    """

    name: str
    runtime: Runtime
    handle: Handle
    stream: LogStream
    metrics: tuple[Metric, ...] = ()
    measured: Measured | None = None
    series: tuple[Dimensions, ...] = ()
    escaped: bool = False
    role: str = ""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What a source's role may write."""

    logs: bool = True
    metrics: bool = True


def metrics_topic(source: str) -> str:
    """The topic of the metric values of one source; one stream a metric."""
    return f"metrics:{source}"


async def final_metrics(platform: Platform, source: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """The last value of each metric, as FinalMetricDataList has it."""
    found = []
    for name in dict.fromkeys(names):
        for fact in await platform.facts.read(Window(metrics_topic(source), (name,), backward=True, limit=1)):
            found.append({"MetricName": name, "Value": json.loads(fact.body), "Timestamp": fact.at / 1000})
    return found


class Attendants:
    """The attendants of one control process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._gauges = Gauges(platform)

    def attend(self, source: Source) -> None:
        """Follows the source from where it was left; does nothing if that goes on already."""
        task = self._tasks.get(source.name)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            self._tasks[source.name] = asyncio.create_task(self._follow(source), name=f"log of {source.name}")

    async def finished(self, source: Source) -> None:
        """Returns once the whole output of an ended container is kept; raises what kept it from that."""
        self.attend(source)
        await asyncio.shield(self._tasks[source.name])
        del self._tasks[source.name]

    async def last_words(self, source: Source, count: int) -> list[str]:
        """The last lines of an ended container, from its log stream; from where they come if its role may not write
        there."""
        await self.finished(source)
        if not source.role or await permitted.opened(self._platform, source.role, source.stream):
            return await logstreams.tail(self._platform, source.stream, count)
        last: deque[str] = deque(maxlen=count)
        async for line in source.runtime.logs(source.handle, 0, follow=False):
            last.append(escape(line.text) if source.escaped else line.text)
        return list(last)

    async def close(self) -> None:
        """Stops following; what was read is kept, the rest is read after the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    async def _follow(self, source: Source) -> None:
        allowed = await self._begin(source)
        start = await self._platform.facts.cursor(source.name)
        waiting = Waiting()
        reader = asyncio.create_task(self._read(source, start, waiting))
        metrics = Metrics(source.metrics)
        taking = Taking(source.runtime, source.handle)
        try:
            last = 0
            ended = False
            while not ended:
                lines, ended = await waiting.take()
                if lines:
                    last = await self._keep(source, allowed, metrics, lines, last)
                    await taking.up_to(lines[-1].offset)
                if not ended:
                    await waiting.gather()
            await reader
            await self._gauges.last(source.name)
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
            await metrics.close()

    async def _begin(self, source: Source) -> _Allowed:
        """Opens its stream and begins to measure it, as far as its role may."""
        if not source.role:
            await logstreams.ensure(self._platform, source.stream)
            allowed = _Allowed()
        else:
            logs = await permitted.opened(self._platform, source.role, source.stream)
            where = source.measured
            metrics = where is None or await permitted.may_publish(
                self._platform, source.role, where.region, where.namespace
            )
            allowed = _Allowed(logs, metrics)
        if source.measured is not None and allowed.metrics:
            self._gauges.watch(source.name, source.runtime, source.handle, source.measured)
        return allowed

    async def _read(self, source: Source, start: int, waiting: Waiting) -> None:
        try:
            async for line in source.runtime.logs(source.handle, start, follow=True):
                if waiting.full:
                    await waiting.room()
                waiting.put(line)
        finally:
            waiting.end()

    async def _keep(
        self, source: Source, allowed: _Allowed, metrics: Metrics, lines: Sequence[LogLine], last: int
    ) -> int:
        """Keeps one batch; times never go back within a stream, whatever the machine's clock does."""
        timed = []
        for line in lines:
            last = max(last, round(line.at * 1000))
            timed.append((last, escape(line.text) if source.escaped else line.text))
        found = await metrics.find([text for _, text in timed])
        if found.values:
            # Before the lines: should the machine stop in between, a value is kept twice, which changes nothing.
            values = [Fact(name, timed[at][0], timed[at][0], json.dumps(value)) for at, name, value in found.values]
            await self._platform.facts.append(metrics_topic(source.name), values)
        timed += [(last, _TOO_SLOW.format(name)) for name in found.given_up]
        data: list[Datum] = []
        if allowed.metrics:
            data += _published(source, [(timed[at][0] / 1000, name, value) for at, name, value in found.values])
        beside = [adding(data, self._platform.clock.now())] if data else []
        kept = timed if allowed.logs else ()
        await logstreams.append(self._platform, source.stream, kept, source.name, lines[-1].offset, beside)
        announce(self._platform, data)
        return last


def escape(text: str) -> str:
    """As the logs of training jobs on AWS have it, and the metrics of its XGBoost image expect it."""
    return _CONTROL.sub(lambda found: f"#{ord(found[0]):03o}", text)


def _published(source: Source, values: Sequence[tuple[float, str, float]]) -> Iterator[Datum]:
    """What was found in a log, as CloudWatch has it."""
    if source.measured is None:
        return
    where = source.measured
    for at, name, value in values:
        for dimensions in source.series:
            metric = SeriesOf(where.account, where.region, where.namespace, name, dimensions)
            yield Datum(metric, at, of_values({value: 1.0}))


class Waiting:
    """Lines that were read and are not kept yet: a bounded number of them, and of characters in them."""

    def __init__(self) -> None:
        self._lines: list[LogLine] = []
        self._characters = 0
        self._ended = False
        self._there = asyncio.Event()
        self._room = asyncio.Event()
        self._pressing = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self._lines) >= _AT_ONCE or self._characters >= _CHARACTERS

    async def room(self) -> None:
        """Waits until it is not full."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    def put(self, line: LogLine) -> None:
        self._lines.append(line)
        self._characters += len(line.text)
        self._there.set()
        if self.full:
            self._pressing.set()

    def end(self) -> None:
        """There will be no more."""
        self._ended = True
        self._there.set()
        self._pressing.set()

    async def gather(self) -> None:
        """Lets a moment pass for more, unless it is full or there will be no more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_SECONDS):
                await self._pressing.wait()

    async def take(self) -> tuple[list[LogLine], bool]:
        """What waits now, at least one line unless this is the end; True at the end."""
        await self._there.wait()
        lines, self._lines, self._characters = self._lines, [], 0
        self._there.clear()
        if not self._ended:
            self._pressing.clear()
        self._room.set()
        return lines, self._ended
