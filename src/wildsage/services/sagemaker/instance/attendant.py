"""Follows the output of containers into CloudWatch Logs, and picks the metrics out of it on the way.

The lines and the place they were read up to are kept in one transaction, so that after a crash of the control process
no line is missing and none appears twice.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.runtimes.base import Handle, LogLine, Runtime
from wildsage.store.facts import Fact, Window

_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Metric:
    """One of AlgorithmSpecification's MetricDefinitions: the first group of ``pattern`` is the value."""

    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A container whose output is followed. ``name``: unique for ever; the cursor's name. ``since``: as ``offset``."""

    name: str
    runtime: Runtime
    handle: Handle
    stream: LogStream
    metrics: tuple[Metric, ...] = ()


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

    async def close(self) -> None:
        """Stops following; what was read is kept, the rest is read after the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    async def _follow(self, source: Source) -> None:
        await logstreams.ensure(self._platform, source.stream)
        start = await self._platform.facts.cursor(source.name)
        queue: asyncio.Queue[LogLine | None] = asyncio.Queue(_AT_ONCE)
        reader = asyncio.create_task(self._read(source, start, queue))
        try:
            last = 0
            ended = False
            while not ended:
                lines, ended = await _gather(queue)
                if lines:
                    last = await self._keep(source, lines, last)
            await reader
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    async def _read(self, source: Source, start: int, queue: asyncio.Queue[LogLine | None]) -> None:
        try:
            async for line in source.runtime.logs(source.handle, start, follow=True):
                await queue.put(line)
        except Exception:
            await queue.put(None)
            raise
        await queue.put(None)

    async def _keep(self, source: Source, lines: Sequence[LogLine], last: int) -> int:
        """Keeps one batch; times never go back within a stream, whatever the machine's clock does."""
        timed = []
        for line in lines:
            last = max(last, round(line.at * 1000))
            timed.append((last, line.text))
        values = [value for at, text in timed for value in _measure(source.metrics, at, text)]
        if values:
            # Before the lines: should the machine stop in between, a value is kept twice, which changes nothing.
            await self._platform.facts.append(metrics_topic(source.name), values)
        await logstreams.append(self._platform, source.stream, timed, source.name, lines[-1].offset)
        return last


async def _gather(queue: asyncio.Queue[LogLine | None]) -> tuple[list[LogLine], bool]:
    """What waits now, at least one line; True at the end."""
    lines: list[LogLine] = []
    entry = await queue.get()
    while entry is not None:
        lines.append(entry)
        if len(lines) == _AT_ONCE or queue.empty():
            return lines, False
        entry = queue.get_nowait()
    return lines, True


def _measure(metrics: Sequence[Metric], at: int, text: str) -> list[Fact]:
    found = []
    for metric in metrics:
        match = metric.pattern.search(text)
        if match is None:
            continue
        try:
            value = float(match[1] if match.re.groups else match[0])
        except (TypeError, ValueError):
            continue  # as in AWS, what is not a number is not a data point
        found.append(Fact(metric.name, at, at, json.dumps(value)))
    return found
