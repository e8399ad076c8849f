"""The metrics of one container's log, found by a process that may take its time (``measure``)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wildsage.services.sagemaker.instance.measure import LENGTH

_PROGRAM = str(Path(__file__).with_name("measure.py"))


@dataclass(frozen=True, slots=True)
class Metric:
    """One of AlgorithmSpecification's MetricDefinitions: the first group of ``regex`` is the value."""

    name: str
    regex: str


@dataclass(frozen=True, slots=True)
class Measured:
    """``values``: position of the line, metric, value. ``given_up``: metrics that took too long, from now on absent."""

    values: Sequence[tuple[int, str, float]]
    given_up: Sequence[str]


class Metrics:
    """Finds the values of ``metrics``; without any it starts no process."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = list(metrics)
        self._process: asyncio.subprocess.Process | None = None

    async def find(self, texts: Sequence[str]) -> Measured:
        """Of lines that follow those of the last call."""
        if not self._metrics:
            return Measured((), ())
        try:
            values, given_up = await self._ask(texts)
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.close()  # somebody killed it; a second death in a row is an error
            values, given_up = await self._ask(texts)
        names = [metric.name for metric in self._metrics]
        return Measured([(line, names[number], value) for line, number, value in values], [names[n] for n in given_up])

    async def _ask(self, texts: Sequence[str]) -> Any:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _PROGRAM), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            await self._send([metric.regex for metric in self._metrics])
        await self._send(list(texts))
        output = self._process.stdout
        if output is None:
            raise RuntimeError("no pipe")
        (length,) = LENGTH.unpack(await output.readexactly(LENGTH.size))
        return json.loads(await output.readexactly(length))

    async def _send(self, value: object) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("no pipe")
        data = json.dumps(value).encode()
        self._process.stdin.write(LENGTH.pack(len(data)) + data)
        await self._process.stdin.drain()

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
