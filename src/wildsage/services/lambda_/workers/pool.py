"""The workers of all functions: kept while they are used, as many as there are events at once."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime

from wildsage.core import sessions, trees
from wildsage.core.caller import Caller, session_of
from wildsage.core.errors import ApiError, JobFault, RuntimeRefused
from wildsage.images.environments import Environments
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.kit.roles import find_role
from wildsage.runtimes.base import Runtime
from wildsage.services.lambda_ import code
from wildsage.services.lambda_.controller import RECIPE
from wildsage.services.lambda_.functions import CHANGED, GONE
from wildsage.services.lambda_.names import error
from wildsage.services.lambda_.workers import leftovers
from wildsage.services.lambda_.workers.api import RuntimeApi
from wildsage.services.lambda_.workers.events import Event, Outcome
from wildsage.services.lambda_.workers.output import Output
from wildsage.services.lambda_.workers.program import HOSTS, Place, Program, hosts, launch_spec
from wildsage.services.lambda_.workers.turns import Turns
from wildsage.services.lambda_.workers.worker import NotDelivered, Worker, notice

log = logging.getLogger(__name__)

_CREDENTIALS_SECONDS = 12 * 3600.0
_REST_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_REASON = "ConcurrentInvocationLimitExceeded"
_RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Workers:
    """Those of one control process."""

    def __init__(self, platform: Platform, runtime: Runtime, environments: Environments) -> None:
        self._platform = platform
        self._runtime = runtime
        self._environments = environments
        self._api = RuntimeApi()
        self._began = platform.clock.now()
        self._open = asyncio.Event()
        self._idle: list[Worker] = []  # the last used at the end
        self._busy: set[Worker] = set()
        self._starting: list[Program] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._gone: set[str] = set()
        self._quiet = asyncio.Event()
        self._turns = Turns()
        platform.hints.listen(CHANGED, self._retire)
        platform.hints.listen(GONE, self._forget)

    async def run(self) -> None:
        """Until cancelled; no worker is left then."""
        try:
            await leftovers.sweep(self._platform, self._began)
            await self._api.open()
            self._open.set()
            while True:
                await self._end_idle()
        finally:
            self._open.clear()
            for worker in [*self._idle, *self._busy]:
                self._end(worker)
            self._idle.clear()
            await self._rest()
            await self._api.close()

    async def _rest(self) -> None:
        """Until all that was begun has ended, starts that are given up meanwhile included."""
        end = self._platform.clock.monotonic() + _REST_SECONDS
        while self._ending or ((self._starting or self._busy) and self._platform.clock.monotonic() < end):
            if self._ending:
                await asyncio.wait(self._ending)
            else:
                await self._platform.clock.sleep(_LOOK_SECONDS)

    async def invoke(self, program: Program, event: Event) -> Outcome:
        """What becomes of an event. Raises TooManyRequestsException, and what a worker's start raises."""
        await self._open.wait()
        while True:
            worker = self._take(program) or await self._start(program)
            self._busy.add(worker)
            outcome: Outcome | None = None
            try:
                outcome = await worker.run(event)
                return outcome
            except NotDelivered:
                continue
            finally:
                self._busy.discard(worker)
                self._clear(program.uid)
                if outcome is None or outcome.spent or worker.retired or not self._open.is_set():
                    self._end(worker)
                else:
                    self._idle.append(worker)
                    self._quiet.set()

    def _take(self, program: Program) -> Worker | None:
        """The one that was used last, so that those that are too many become idle; raises if there may be no more."""
        running = [*(each.program for each in self._busy), *self._starting]
        mine = sum(each.uid == program.uid for each in running)
        if program.reserved is not None and mine >= program.reserved:
            raise _throttled(_RESERVED_REASON)
        if len(running) >= self._platform.settings.functions.concurrency:
            raise _throttled(_REASON)
        return self._unused(program)

    def _unused(self, program: Program) -> Worker | None:
        """The one of those that are idle that was used last."""
        latest = self._platform.clock.now() + program.timeout
        for worker in reversed(self._idle):
            if worker.program.build == program.build:
                self._idle.remove(worker)
                if worker.alive and worker.expires > latest:
                    return worker
                self._end(worker)
        return None

    async def _start(self, program: Program) -> Worker:
        self._starting.append(program)
        try:
            async with self._turns.mine() as turn:
                if (idle := self._unused(program)) is not None:  # it has become idle meanwhile
                    return idle
                if not self._open.is_set():
                    raise error("ServiceException", "The function could not be started: the server is stopping.", 500)
                # One that nobody needs now makes room.
                if len(self._idle) + len(self._busy) >= self._platform.settings.functions.concurrency and self._idle:
                    self._end(self._idle.pop(0))
                worker = await self._launch(program)
                turn.over = worker.settled
                return worker
        finally:
            self._starting.remove(program)

    async def _launch(self, program: Program) -> Worker:
        platform = self._platform
        software = None if program.image else await self._environments.resolve(RECIPE)
        caller = await self._assume(program)
        now = platform.clock.now()
        credentials = sessions.issue(platform.credentials.master, caller, now, now + _CREDENTIALS_SECONDS)
        directory = platform.settings.data.instances / f"{leftovers.PREFIX}{os.urandom(8).hex()}"
        worker = Worker(platform, self._runtime, program, directory, credentials.expires)
        worker.host = self._api.admit(worker)
        place = Place(directory, worker.host, self._api.port, _stream(program, now))
        try:
            await asyncio.to_thread(_prepare, place, program.image)
            spec = launch_spec(program, place, software, platform.settings, credentials)
            output = Output(platform, self._runtime, place.stream, caller)
            await worker.launch(spec, output, None if software is None else notice(program, software.versions))
            if worker.handle is not None:
                await asyncio.to_thread(leftovers.record, directory, program.image, worker.handle)
        except BaseException as failed:
            self._end(worker)
            if isinstance(failed, JobFault | RuntimeRefused | OSError):
                raise error("ServiceException", f"The function could not be started. {failed}", 500) from None
            raise
        return worker

    async def _assume(self, program: Program) -> Caller:
        role = await find_role(self._platform, program.spec["Role"])
        if role is None:
            raise ApiError(
                "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.", 403
            )
        return session_of(role.key.account, role.key.name, role.status["RoleId"], program.name)

    async def _end_idle(self) -> None:
        """Waits until a worker has been idle for long enough, or there is one at all."""
        limit, clock = self._platform.settings.functions.idle, self._platform.clock
        if not self._idle:
            self._quiet.clear()
            await self._quiet.wait()
            return
        left = min(each.idle_since for each in self._idle) + limit - clock.monotonic()
        if left > 0:
            await clock.sleep(left)
            return
        over = clock.monotonic() - limit
        for worker in [each for each in self._idle if each.idle_since <= over]:
            self._idle.remove(worker)
            self._end(worker)

    def _retire(self, uid: str) -> None:
        """The function runs something else now: what works on an event ends after it."""
        for worker in [each for each in self._idle if each.program.uid == uid]:
            self._idle.remove(worker)
            self._end(worker)
        for worker in self._busy:
            worker.retired = worker.retired or worker.program.uid == uid

    def _forget(self, uid: str) -> None:
        self._retire(uid)
        self._gone.add(uid)
        self._clear(uid)

    def _clear(self, uid: str) -> None:
        """The code of a function that is gone goes once nobody runs it."""
        if uid in self._gone and not any(each.program.uid == uid for each in self._busy):
            self._gone.discard(uid)
            self._track(asyncio.create_task(code.remove(self._platform.settings.data, uid)))

    def _end(self, worker: Worker) -> None:
        if worker.leaving:
            return
        worker.leaving = True
        self._api.forget(worker.host)
        self._track(asyncio.create_task(self._ended(worker)))

    def _track(self, task: asyncio.Task[None]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _ended(self, worker: Worker) -> None:
        try:
            await worker.end()
        except (OSError, ApiError) as failed:
            log.warning("a worker of %s could not be ended: %s", worker.program.name, failed)
        await asyncio.to_thread(trees.remove, worker.directory)


def _prepare(place: Place, image: str) -> None:
    place.directory.mkdir(mode=0o700)
    if image:
        (place.directory / HOSTS).write_text(hosts(place))
    leftovers.record(place.directory, image)


def _stream(program: Program, now: float) -> LogStream:
    """YYYY/MM/DD/[$LATEST] and 32 hexadecimal digits."""
    day = datetime.fromtimestamp(now, UTC).strftime("%Y/%m/%d")
    name = f"{day}/[$LATEST]{os.urandom(16).hex()}"
    return LogStream(program.account, program.region, program.log_group, name)


def _throttled(reason: str) -> ApiError:
    found = error("TooManyRequestsException", "Rate Exceeded.", 429)
    return ApiError(found.code, found.message, found.status, {**found.fields, "Reason": reason})
