"""One worker: a container that has a function's code, and works on one event at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wildsage.core.clock import Clock
from wildsage.core.errors import CannotStart
from wildsage.core.functions import LATEST
from wildsage.kit.context import Platform
from wildsage.runtimes.base import Handle, Inspection, LaunchSpec, Phase, Runtime
from wildsage.services.lambda_.workers import events
from wildsage.services.lambda_.workers.api import Delivery
from wildsage.services.lambda_.workers.events import Event, Outcome, Report
from wildsage.services.lambda_.workers.output import Output
from wildsage.services.lambda_.workers.program import Program

INIT_SECONDS = 10.0
"""What a start may take beyond the time of the event that it is for (Developer Guide, "Init phase")."""
_LOOK_SECONDS = 1.0
_MIB = 1 << 20


class NotDelivered(Exception):
    """The worker ended before it took the event: another one can have it."""


@dataclass(slots=True)
class _Work:
    """An event and what becomes of it. ``began``: when the worker took it."""

    event: Event
    outcome: asyncio.Future[Outcome]
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = 0.0


class Worker:
    """``api.Client``. ``expires``: when its credentials do; ``idle_since``: when it last had an answer.

    ``retired``: the function runs something else by now. ``leaving``: it is being taken away. ``settled``: its start is
    over, for good or ill.
    """

    def __init__(self, platform: Platform, runtime: Runtime, program: Program, directory: Path, expires: float) -> None:
        self.program = program
        self.directory = directory
        self.expires = expires
        self.idle_since = 0.0
        self.retired = self.leaving = False
        self.host = ""
        self.handle: Handle | None = None
        self._platform = platform
        self._runtime = runtime
        self._clock: Clock = platform.clock
        self._output: Output | None = None
        self._ended: asyncio.Task[Inspection] | None = None
        self._cannot: CannotStart | None = None
        self._work: _Work | None = None
        self._later: asyncio.Task[None] | None = None
        self._given = asyncio.Event()
        self.settled = asyncio.Event()
        self._begun = 0.0
        self._setup: float | None = None
        self._was_ready = False
        self._peak = 0
        self._measured = float("-inf")

    async def launch(self, spec: LaunchSpec, output: Output, notice: str | None) -> None:
        """Returns once the process exists, or cannot. Raises as ``Runtime.launch``, but for CannotStart.

        That is an answer to the event, as an exit right after the start is.
        """
        self._output = output
        if notice is not None:
            output.say(notice)
        self._begun = self._clock.monotonic()
        try:
            self.handle = await self._runtime.launch(spec)
        except CannotStart as cannot:
            self._cannot = cannot
            self.settled.set()
            return
        self._ended = asyncio.create_task(self._runtime.wait(self.handle), name=f"end of {spec.name}")
        self._ended.add_done_callback(lambda _: self.settled.set())

    @property
    def alive(self) -> bool:
        return self._ended is not None and not self._ended.done()

    async def run(self, event: Event) -> Outcome:
        """What became of it. Raises NotDelivered if it was not even taken, by a worker that has taken others."""
        if self._cannot is not None and self._output is not None:
            return self._not_begun(event, str(self._cannot), self._output)
        if self._ended is None or self._output is None:
            raise RuntimeError("the worker was not launched")
        if self._later is not None:
            self._later.cancel()
        cold = not self._was_ready
        self._work = work = _Work(event, asyncio.get_running_loop().create_future())
        self._output.begin()
        self._given.set()
        try:
            outcome = await self._outcome(work, self._ended)
            if not work.taken.is_set():
                if not cold:
                    raise NotDelivered
                self._output.say(events.start_line(event))
            return await self._finish(work, outcome, cold)
        finally:
            self._work = None
            self._given.clear()

    def _not_begun(self, event: Event, words: str, output: Output) -> Outcome:
        outcome, seconds = events.not_begun(event, words), self._clock.monotonic() - self._begun
        output.begin()
        output.say(
            f"[wildsage] The container engine says: {words}",
            events.init_line(seconds),
            events.start_line(event),
            *events.end_lines(event, outcome, self.program.timeout, self._clock.now()),
            Report(seconds, (self.program.memory, 1)).line(event, outcome),
        )
        return replace(outcome, log=output.tail)

    async def _outcome(self, work: _Work, ended: asyncio.Task[Inspection]) -> Outcome:
        """The first of: an answer, the end of the process, the end of the time."""
        taken = asyncio.create_task(work.taken.wait())
        try:
            limit = self.program.timeout
            found = await self._first(INIT_SECONDS + limit, work.outcome, ended, taken)
            if found and not work.outcome.done() and not ended.done():
                found = await self._first(limit, work.outcome, ended)
        finally:
            taken.cancel()
        if work.outcome.done():
            return work.outcome.result()
        if not found:
            return events.timed_out(work.event, self.program.timeout)
        end = ended.result()
        code = end.exit_code if end.phase is Phase.EXITED else None
        return events.exited(work.event, code, end.out_of_memory)

    async def _first(self, seconds: float, *awaited: asyncio.Future[Any]) -> bool:
        """Whether one of them is done in time; what is printed meanwhile is kept."""
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            while not alarm.done() and not any(each.done() for each in awaited):
                look = asyncio.ensure_future(self._clock.sleep(_LOOK_SECONDS))
                await asyncio.wait({*awaited, alarm, look}, return_when=asyncio.FIRST_COMPLETED)
                if look.done():
                    await self._look()
                look.cancel()
        finally:
            alarm.cancel()
        return any(each.done() for each in awaited)

    async def _look_later(self) -> None:
        """What is printed after the answer is logged, too, if no other event comes."""
        await self._clock.sleep(_LOOK_SECONDS)
        await self._look()

    async def _look(self) -> None:
        if self._output is not None and self.handle is not None:
            await self._output.collect(self.handle)
            await self._measure()

    async def _measure(self) -> None:
        """The most memory it was seen with; a look takes some milliseconds, so it is not for every event."""
        now = self._clock.monotonic()
        if self.handle is None or now - self._measured < _LOOK_SECONDS:
            return
        self._measured = now
        found = await self._runtime.usage(self.handle)
        if found is not None:
            self._peak = max(self._peak, found.memory_bytes)

    async def _finish(self, work: _Work, outcome: Outcome, cold: bool) -> Outcome:
        """Writes down how it ended."""
        output, now = self._output, self._clock.monotonic()
        if output is None or self.handle is None:
            raise RuntimeError("the worker was not launched")
        seconds = now - work.began if work.taken.is_set() else now - self._begun
        if outcome.error == events.TIMED_OUT:
            seconds = self.program.timeout
        await output.collect(self.handle)
        if cold or outcome.spent:
            await self._measure()
        limit, wall = self.program.timeout, self._clock.now()
        output.say(*events.end_lines(work.event, outcome, limit, wall))
        memory = (self.program.memory, max(1, self._peak // _MIB))
        output.say(Report(seconds, memory, self._setup if cold else None).line(work.event, outcome))
        spent = outcome.spent or (self._ended is not None and self._ended.done())
        self.idle_since = now
        if not spent:
            self._later = asyncio.create_task(self._look_later())
        return replace(outcome, log=output.tail, spent=spent)

    async def next_event(self) -> Delivery:
        """``api.Client``: the process asks for work."""
        if not self._was_ready:
            self._was_ready, self._setup = True, self._clock.monotonic() - self._begun
            self.settled.set()
        while self._work is None or self._work.taken.is_set():
            self._given.clear()
            await self._given.wait()
        work, output = self._work, self._output
        if output is None or self.handle is None:
            raise RuntimeError("the worker was not launched")
        await output.collect(self.handle)
        output.say(events.start_line(work.event))
        work.began = self._clock.monotonic()
        work.taken.set()
        deadline = int((self._clock.now() + self.program.timeout) * 1000)  # never more than the time-out is left
        headers = [
            ("lambda-runtime-aws-request-id", work.event.request_id),
            ("lambda-runtime-deadline-ms", str(deadline)),
            ("lambda-runtime-invoked-function-arn", self.program.arn),
            ("lambda-runtime-trace-id", _trace(int(self._clock.now()))),
        ]
        if work.event.client_context:
            headers.append(("lambda-runtime-client-context", work.event.client_context))
        return Delivery(headers, work.event.payload)

    def settle(self, request_id: str, outcome: Outcome) -> bool:
        work = self._work
        if work is None or work.event.request_id != request_id or not work.taken.is_set() or work.outcome.done():
            return False
        work.outcome.set_result(outcome)
        return True

    def cannot_start(self, outcome: Outcome) -> None:
        if self._work is not None and not self._work.outcome.done():
            self._work.outcome.set_result(replace(outcome, spent=True))

    async def end(self) -> None:
        """Takes the container away; its log is whole then."""
        for task in (self._ended, self._later):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        if self.handle is not None:
            await self._runtime.stop(self.handle, 0.0)
            if self._output is not None:
                await self._output.collect(self.handle)
            await self._runtime.remove(self.handle)
        if self._output is not None:
            await self._output.close()


def _trace(now: int) -> str:
    root = f"1-{now:08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"


def notice(program: Program, versions: Mapping[str, str]) -> str:
    """Which version was asked for and which runs, in one sentence for the log."""
    return (
        f"[wildsage] {program.name} {LATEST} asks for {program.spec['Runtime']}; what runs is Python "
        f"{versions['python']} with awslambdaric {versions['awslambdaric']}, from this machine."
    )
