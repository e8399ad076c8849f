"""How the containers of a job come to their end, and what that makes of the job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from wildsage.core.clock import Clock
from wildsage.runtimes.base import Phase
from wildsage.services.sagemaker.instance import reasons
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.inputs.feeders import Feeders
from wildsage.services.sagemaker.instance.instances import Ended, Instances, Job
from wildsage.store.resources import Resource

_TAIL_LINES = 20


class Ending:
    """For jobs whose ``state`` has the handles of their containers and of what feeds these.

    ``kind``: of job (training, processing). ``lost``: the FailureReason of one whose containers vanished.
    """

    def __init__(self, instances: Instances, feeders: Feeders, clock: Clock, kind: str, lost: str) -> None:
        self._instances = instances
        self._feeders = feeders
        self._clock = clock
        self._kind = kind
        self._lost = lost

    async def wait(self, resource: Resource, job: Job, until: float) -> Ended | str | None:
        """How the containers ended; why their input did, if that was first; None if it was ``until`` before."""
        ending = asyncio.ensure_future(self._instances.ended(job, resource.state["handles"]))
        breaking = asyncio.ensure_future(self._feeders.broken(resource.state.get("feeders", ())))
        alarm = asyncio.ensure_future(self._clock.sleep(max(until - self._clock.now(), 0.0)))
        try:
            await asyncio.wait({ending, breaking, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return ending.result()
            return breaking.result() if breaking.done() else None
        finally:
            for each in (ending, breaking, alarm):
                each.cancel()

    async def reason(self, resource: Resource, ended: Ended, failure_of: Callable[[Host], Awaitable[str]]) -> str:
        """Why the job failed, or nothing if it did not. ``failure_of``: what an instance itself said of its failure."""
        lost = ""
        if ended.failed is not None and ended.failed[1].phase is Phase.LOST:
            lost = reasons.of_lost(ended.failed[1], self._kind) or self._lost
        if broken := await self._feeders.finish(resource.state.get("feeders", ())):
            return lost or broken
        if ended.failed is None or lost:
            return lost
        host, found = ended.failed
        log = await self._instances.last_words(resource, resource.state["handles"], host, _TAIL_LINES)
        return reasons.of_container(found, await failure_of(host), log, host.instance_type, self._kind)
