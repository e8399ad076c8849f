"""Hands requests to instances, in order of arrival, as many at a time as each may have.

The queue is in the store; here is the head of each, and what is under way. Killed at any moment, the next process finds
in the store what was not answered, and S3 keeps the first answer of any that were (see ``answering``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from wildsage.kit.context import Platform
from wildsage.kit.meters import MINUTE
from wildsage.kit.metrics import publish
from wildsage.kit.standing import PAUSES, standing
from wildsage.services.sagemaker.asynchronous.answering import Again, Answering, Attempt
from wildsage.services.sagemaker.asynchronous.counts import Counts
from wildsage.services.sagemaker.asynchronous.ending import Endings
from wildsage.services.sagemaker.asynchronous.lines import Hosts, Line, Place, hosts_of
from wildsage.services.sagemaker.asynchronous.notices import End
from wildsage.services.sagemaker.asynchronous.operations import ACCEPTED
from wildsage.services.sagemaker.asynchronous.rush import PACE_SECONDS, Rush
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.endpoints.routers import Underway
from wildsage.services.sagemaker.instance.together import together
from wildsage.store.queued import Queued, QueuedRequests
from wildsage.store.resources import Key, Resource
from wildsage.wire.http.client import Client

log = logging.getLogger(__name__)

_HEAD = 64
_MOST_EXPIRED = 2048
"""In one look; more than may be under way, which are among them."""
_MOST_KEEPING = 64
"""How many answers may be on their way to S3 whose instances have the next request already."""
_ATTEMPTS = 3
"""How often a container is given one request: one that takes each container down must not do so for ever."""
_AGAIN_SECONDS = 0.2
_LOOK_SECONDS = 1.0
_JUST_BEFORE = 0.5
"""A look at a full minute is about the minute that ends there."""
_EXPIRED = "ClientError: The request expired: it was in the queue for longer than its RequestTTLSeconds."
_BROKEN = "InternalServerError: The request could not be handled ({}); the server's own log says more. Send it again."
_LOST = "InternalServerError: The model container was lost amid the request {} times: {}"


class Dispatcher:
    """The queues of one control process."""

    def __init__(self, platform: Platform, client: Client, busy: Underway) -> None:
        self._platform = platform
        self._requests = QueuedRequests(platform.database)
        self._answering = Answering(platform, client)
        self.counts = Counts(platform.settings.scaling.period < MINUTE)
        self._endings = Endings(platform, self.counts)
        self._busy = busy
        self._lines: dict[str, Line] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._attempts: Counter[int] = Counter()
        self._inherited = 0
        self._keeping = 0
        self._rush = Rush()
        self._stir = asyncio.Event()
        platform.hints.listen(ACCEPTED, self._accepted)
        platform.meters.add(self._read)

    def take(self, key: Key, endpoint: Resource | None) -> None:
        """An endpoint as it is now (``RoutePublisher.listen``): from here on no other instance of it gets a request."""
        hosts = None
        if endpoint is not None:
            try:
                hosts = hosts_of(endpoint)
            except Exception:  # whatever it is: the other endpoints' instances must be known all the same
                log.exception("endpoint %s: what is kept of it is not understood", key.name)
        kept = None if hosts is None else hosts.uid
        gone = {uid for uid, line in self._lines.items() if line.hosts.key == key and uid != kept}
        for task in [task for task, uid in self._tasks.items() if uid in gone]:
            task.cancel()
        for uid in gone:
            del self._lines[uid]
        if hosts is not None:
            self._lines.setdefault(hosts.uid, Line(hosts)).hosts = hosts
        self._stir.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._inherited = await self._requests.last()
        await self._requests.keep_only(await self._platform.resources.uids(ENDPOINT.name))
        try:
            loops = {"handing out asynchronous requests": self._hand_out, "expiring them": self._watch}
            await together(standing(name, loop, self._platform.clock) for name, loop in loops.items())
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self, uid: str) -> None:
        self._rush.arrived(self._platform.clock.monotonic())
        if uid in self._lines:
            self._lines[uid].more = True
            self._stir.set()

    async def _hand_out(self) -> None:
        while True:
            self._stir.clear()
            try:
                await self._round()
            except OSError as error:
                log.warning("queues cannot be read: %s", error)
                await self._platform.clock.sleep(_LOOK_SECONDS)
            else:
                await self._stir.wait()

    async def _round(self) -> None:
        """Hands out whatever can be handed out."""
        for uid, line in list(self._lines.items()):
            await self._fill(uid, line)
            while self._keeping < _MOST_KEEPING and line.can_begin(self._busy):
                if not self._rush.begins(self._platform.clock.monotonic()):
                    asyncio.get_running_loop().call_later(PACE_SECONDS, self._stir.set)
                    return
                task = asyncio.create_task(self._serve(line, *line.begin(self._busy)))
                self._tasks[task] = uid
                task.add_done_callback(self._done)

    async def _fill(self, uid: str, line: Line) -> None:
        """Reads the head of a queue. A row that nobody can read holds up its queue, and no other."""
        while line.more and len(line.waiting) < _HEAD and line.readable <= self._platform.clock.monotonic():
            line.more = False  # who is accepted from here on says so
            try:
                line.put(await self._requests.after(uid, line.reached, _HEAD), _HEAD)
                line.unread = 0
            except BaseException as error:
                line.more = True  # what could not be read is still there
                if isinstance(error, OSError) or not isinstance(error, Exception):
                    raise
                pause = PAUSES[min(line.unread, len(PAUSES) - 1)]
                line.unread, line.readable = line.unread + 1, self._platform.clock.monotonic() + pause
                asyncio.get_running_loop().call_later(pause, self._stir.set)
                log.exception("a queue cannot be read, of endpoint %s; again in %g s", line.hosts.key.name, pause)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request of an asynchronous endpoint is left for the next process", exc_info=error)
        self._stir.set()

    async def _serve(self, line: Line, request: Queued, place: Place) -> None:
        hosts, began, slot = line.hosts, self._platform.clock.now(), _Slot(self, place.address)
        try:
            if request.expires <= began:
                await self._over(request, hosts, None, _expired(), began)
                return
            repeated = request.number <= self._inherited
            attempt = await self._answering.attempt(request, hosts, place, repeated, slot.free)
            slot.free()
            await self._over(request, hosts, place, attempt, began)
        except (Again, OSError) as error:
            await self._again(line, request, place, error, began)
        except Exception as error:  # a fault of ours: another attempt would only come to the same
            log.exception("request %s of endpoint %s", request.number, hosts.key.name)
            await self._give_up(request, hosts, place, error, began)
        finally:
            slot.close()
            line.underway.discard(request.number)

    def vacated(self, address: str, keeping: int) -> None:
        """An instance has room for a request; ``keeping``: how many answers more are on their way to S3."""
        self._busy.end(address)
        self._keeping += keeping
        self._stir.set()

    def kept(self) -> None:
        """One of the answers is in S3."""
        self._keeping -= 1

    async def _again(self, line: Line, request: Queued, place: Place, error: Exception, began: float) -> None:
        """Another attempt, by any instance; or the end of it."""
        self._attempts[request.number] += isinstance(error, Again) and error.had
        tried = self._attempts[request.number]
        log.warning("request %s of endpoint %s: %s", request.number, line.hosts.key.name, error)
        if tried >= _ATTEMPTS:
            end = Attempt(end=End(_LOST.format(tried, error)))
            await self._over(request, line.hosts, place, end, began)
            return
        await self._platform.clock.sleep(_AGAIN_SECONDS)
        line.put_back(request)

    async def _give_up(self, request: Queued, hosts: Hosts, place: Place, error: Exception, began: float) -> None:
        attempt = Attempt(end=End(_BROKEN.format(type(error).__name__)))
        try:
            await self._over(request, hosts, place, attempt, began)
        except Exception:  # it may be the very thing that failed; then there is a notice, but no object
            log.exception("request %s of endpoint %s: why it failed", request.number, hosts.key.name)
            await self._endings.settle(request, hosts, place, attempt, began)

    async def _over(self, request: Queued, hosts: Hosts, place: Place | None, attempt: Attempt, began: float) -> None:
        role = place.role if place else hosts.role
        attempt.end = await self._answering.explain(request, hosts, role, attempt.end)
        await self._endings.settle(request, hosts, place, attempt, began)
        self._attempts.pop(request.number, None)

    async def _watch(self) -> None:
        """Ends what has waited too long, wherever in a queue it is, until cancelled."""
        while True:
            await self._platform.clock.sleep(_LOOK_SECONDS)
            if any(line.waiting for line in self._lines.values()):
                try:
                    await self._expire(self._platform.clock.now())
                except OSError as error:
                    log.warning("expired requests stay in their queues: %s", error)

    async def _expire(self, now: float) -> None:
        for request in await self._requests.expired(now, _MOST_EXPIRED):
            line = self._lines.get(request.endpoint)
            if line is not None and request.number not in line.underway:
                line.take(request.number)
                line.underway.add(request.number)
                try:
                    if await self._requests.there(request.number):  # it may have been answered since they were read
                        await self._over(request, line.hosts, None, _expired(), now)
                finally:
                    line.underway.discard(request.number)

    async def _read(self) -> None:
        """The meter: what was counted, and the backlogs."""
        at = self._platform.clock.now() - _JUST_BEFORE
        hosts = [line.hosts for line in self._lines.values()]
        backlogs = await self._requests.backlogs() if hosts else {}
        data = [*self.counts.taken(at), *self.counts.of_backlogs(hosts, backlogs, at)]
        if data:
            await publish(self._platform, data)


def _expired() -> Attempt:
    return Attempt(end=End(_EXPIRED), measured={"ExpiredRequests": 1.0})


class _Slot:
    """The place of one request at an instance."""

    def __init__(self, dispatcher: Dispatcher, address: str) -> None:
        self._dispatcher = dispatcher
        self._address = address
        self._freed = False

    def free(self) -> None:
        """The instance has done its work; the answer is kept yet."""
        if not self._freed:
            self._freed = True
            self._dispatcher.vacated(self._address, 1)

    def close(self) -> None:
        """All of it is done."""
        if self._freed:
            self._dispatcher.kept()
        else:
            self._dispatcher.vacated(self._address, 0)
