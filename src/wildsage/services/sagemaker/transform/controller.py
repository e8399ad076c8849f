"""Brings transform jobs from InProgress to their end, one step at a time.

    prepare ─► fill ─► launch ─► start ─► carry ─► clean ─► (over)
                         ▲                  ├─► stop ─┘
                         └───── mend ◄──────┘

*mend*: a container or the process that carries the data was killed; the instance is brought up again, and goes on with
the object it was at. The other instances go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from wildsage.core import trees
from wildsage.core.errors import ApiError, ClientFault, InternalFault, JobFault, RuntimeRefused
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.runtimes.base import Phase, Runtime
from wildsage.services.sagemaker.instance import faults, reasons
from wildsage.services.sagemaker.instance.attendant import Attendants
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.images import Images
from wildsage.services.sagemaker.instance.jobs import STOP, TERMINAL
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.together import together
from wildsage.services.sagemaker.transform import carrier
from wildsage.services.sagemaker.transform.hands import MODELS, Hands
from wildsage.services.sagemaker.transform.kind import TRANSFORM_JOB
from wildsage.services.sagemaker.transform.plan import Job
from wildsage.store.resources import Resource

_START_SECONDS = 480.0
"""As endpoints have it (ContainerStartupHealthCheckTimeoutInSeconds); for transform jobs AWS says no number."""
_STOP_GRACE = 30.0
_MOST_MENDED = 2
"""How often an instance is brought up again without having finished an object in between."""
_SIGNALS = 128  # exit codes beyond it: killed by a signal
_DOING = {"prepare": "preparing the image", "fill": "downloading the model", "launch": "launching the containers"}
_TAIL = 400


class TransformController:
    """One reconcile step of a transform job."""

    kind = TRANSFORM_JOB.name

    def __init__(self, platform: Platform, runtime: Runtime, images: Images, attendants: Attendants) -> None:
        self._platform = platform
        self._hands = Hands(platform, runtime, images, attendants)
        self._stages: dict[str, Callable[[Resource, Job], Awaitable[Step]]] = {
            "prepare": self._prepare,
            "fill": self._fill,
            "launch": self._launch,
            "start": self._start,
            "carry": self._carry,
            "mend": self._mend,
            "stop": self._stop,
        }

    async def step(self, resource: Resource) -> Step:
        """Raises only what another attempt may cure; everything else is an outcome of the job."""
        if resource.phase in TERMINAL:
            return Step(resource.phase, resource.status, resource.state)
        stage = resource.state.get("stage", "prepare")
        job = Job(resource, self._platform.settings.data.instances / f"transform-{resource.uid}")
        if stage == "clean":
            return await self._clean(resource, job)  # what fails here is tried again until nothing is left
        if resource.wish == STOP and stage in ("prepare", "fill"):
            return self._end(resource, "Stopped")
        if resource.wish == STOP and stage not in ("launch", "stop"):
            return self._next(resource, "stop")
        try:
            return await self._stages[stage](resource, job)
        except (JobFault, RuntimeRefused) as fault:
            return self._end(resource, "Failed", str(fault))
        except OSError as error:
            if stage == "fill" and faults.is_full(error):
                await in_thread(lambda _: trees.remove(job.directory))  # nobody could write it down otherwise
            return self._end(resource, "Failed", str(faults.of_disk(error, _DOING.get(stage, "transforming"))))

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """The job fails; what it holds is given back for as often as it takes."""
        return None if resource.state.get("stage") == "clean" else self._end(resource, "Failed", reason)

    def _next(self, resource: Resource, stage: str, **state: object) -> Step:
        return Step(resource.phase, resource.status, {**resource.state, "stage": stage, **state}, after=0)

    def _end(self, resource: Resource, phase: str, reason: str = "") -> Step:
        """The outcome is known; what the job still holds is given back before it shows."""
        return self._next(resource, "clean", outcome={"phase": phase, "reason": reasons.limit(reason)})

    def _held(self, resource: Resource, host: Host) -> dict[str, Any]:
        found: dict[str, Any] = resource.state.get("hosts", {}).get(host.name, {})
        return found

    def _holding(self, resource: Resource, changed: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return {**resource.state.get("hosts", {}), **changed}

    async def _prepare(self, resource: Resource, job: Job) -> Step:
        await self._hands.prepare(job)
        return self._next(resource, "fill")

    async def _fill(self, resource: Resource, job: Job) -> Step:
        await self._hands.fill(job)
        return self._next(resource, "launch")

    async def _launch(self, resource: Resource, job: Job) -> Step:
        """Those that are not launched yet, or were lost."""
        missing = [host for host in job.hosts if not self._held(resource, host)]
        held = await self._hands.launch(job, missing)
        now, door = self._platform.clock.now(), self._platform.settings.url
        step = self._next(
            resource, "start", hosts=self._holding(resource, held), deadline=now + _START_SECONDS, door=door
        )
        return replace(step, status={"TransformStartTime": now, **step.status})

    async def _start(self, resource: Resource, job: Job) -> Step:
        """Waits until all containers answer."""
        for host in job.hosts:
            self._hands.attend(job, host, self._held(resource, host))
        if resource.state["door"] != self._platform.settings.url:
            return self._moved(resource, job)
        broken = await together(self._started(resource, job, host) for host in job.hosts)
        if lost := [name for name in broken if name]:
            return self._next(resource, "mend", broken=lost, forgiven=False)
        return self._next(resource, "carry")

    def _moved(self, resource: Resource, job: Job) -> Step:
        """The server was started again on another port: what carries the data knocks at a door that is gone."""
        return self._next(resource, "mend", broken=[host.name for host in job.hosts], forgiven=True)

    async def _started(self, resource: Resource, job: Job, host: Host) -> str:
        """Empty once an instance answers; its name if it was killed. Raises JobFault if it does not come up."""
        held = self._held(resource, host)
        healthy = asyncio.ensure_future(self._hands.healthy(held))
        ended = asyncio.ensure_future(self._hands.models_end(held))
        left = max(resource.state["deadline"] - self._platform.clock.now(), 0.0)
        alarm = asyncio.ensure_future(self._platform.clock.sleep(left))
        try:
            await asyncio.wait({healthy, ended, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if healthy.done():
                healthy.result()
                return ""
            words = "did not pass the ping health check"
            if ended.done():
                found = await self._hands.inspect(held[MODELS][ended.result()])
                killed = found.phase is Phase.LOST or (found.exit_code or 0) > _SIGNALS
                if killed and not found.out_of_memory and not await self._given_up(resource, job, host):
                    return host.name
                raise await self._ended(job, host, held, ended.result(), words)
            log = await self._hands.last_words(job, host, held, 0)
            raise ClientFault(
                f"AlgorithmError: The container {words} within {_START_SECONDS:g} seconds. Its log ends: {_end_of(log)}"
            )
        finally:
            for each in (healthy, ended, alarm):
                each.cancel()
            await asyncio.gather(healthy, ended, alarm, return_exceptions=True)

    async def _given_up(self, resource: Resource, job: Job, host: Host) -> bool:
        """Whether an instance was brought up again often enough, for nothing."""
        tried, over = resource.state.get("mended", {}).get(host.name, (0, 0))
        return bool(tried >= _MOST_MENDED and len((await self._hands.progress(job, host)).over) == over)

    async def _ended(self, job: Job, host: Host, held: dict[str, Any], number: int, words: str) -> ClientFault:
        """Why a container ended that should have gone on."""
        found = await self._hands.inspect(held[MODELS][number])
        name = job.containers[number].hostname
        called = f"container {name}" if name else "container"
        if found.out_of_memory:
            return ClientFault(
                f"AlgorithmError: The {called} {words}: it ran out of memory ({host.instance_type}). Please use an "
                "instance type with more memory, or reduce MaxPayloadInMB or MaxConcurrentTransforms."
            )
        lost = f"it was lost ({found.reason})" if found.reason else "it was killed"
        how = lost if found.phase is Phase.LOST else f"it ended with exit code {found.exit_code}"
        log = await self._hands.last_words(job, host, held, number)
        return ClientFault(f"AlgorithmError: The {called} {words}: {how}. Its log ends: {_end_of(log)}")

    async def _carry(self, resource: Resource, job: Job) -> Step:
        """Waits until all instances have done what they could; a wish to stop interrupts it."""
        for host in job.hosts:
            self._hands.attend(job, host, self._held(resource, host))
        if resource.state["door"] != self._platform.settings.url:
            return self._moved(resource, job)
        outcomes = [asyncio.ensure_future(self._carried(resource, job, host)) for host in job.hosts]
        try:
            for each in asyncio.as_completed(outcomes):
                if broken := await each:
                    return self._next(resource, "mend", broken=[broken], forgiven=False)
        finally:
            for each in outcomes:
                each.cancel()
            await asyncio.gather(*outcomes, return_exceptions=True)
        return await self._judged(resource, job)

    async def _carried(self, resource: Resource, job: Job, host: Host) -> str:
        """Empty once an instance is done; its name if it broke before. Raises JobFault if that is not to be mended."""
        held = self._held(resource, host)
        carried = asyncio.ensure_future(self._hands.carrier_ends(held))
        ended = asyncio.ensure_future(self._hands.models_end(held))
        try:
            await asyncio.wait({carried, ended}, return_when=asyncio.FIRST_COMPLETED)
            if carried.done() and carrier.finished(carried.result()):
                return ""
            if ended.done():
                found = await self._hands.inspect(held[MODELS][ended.result()])
                if found.out_of_memory or await self._given_up(resource, job, host):
                    await self._hands.stop_carrier(held, 0)
                    raise await self._ended(job, host, held, ended.result(), "ended while it transformed")
            return host.name
        finally:
            for each in (carried, ended):
                each.cancel()
            await asyncio.gather(carried, ended, return_exceptions=True)

    async def _mend(self, resource: Resource, job: Job) -> Step:
        """Takes away what is left of broken instances."""
        broken, mended = resource.state["broken"], dict(resource.state.get("mended", {}))
        for host in job.hosts:
            if host.name not in broken:
                continue
            held = self._held(resource, host)
            await self._hands.remove(job, host, held)
            tried, over = mended.get(host.name, (0, 0))
            done = len((await self._hands.progress(job, host)).over)
            if not resource.state["forgiven"]:
                mended[host.name] = [tried + 1 if done == over else 1, done]
            if mended.get(host.name, (0, 0))[0] > _MOST_MENDED + 1:
                words = await self._hands.carrier_words(job, host, held)
                raise InternalFault(
                    "InternalServerError: The process that carries the data ended again and again. Please create the "
                    f"job again. Its log ends: {_end_of(words)}"
                )
        hosts: dict[str, dict[str, Any]] = {name: {} for name in broken}
        return self._next(resource, "launch", hosts=self._holding(resource, hosts), mended=mended)

    async def _judged(self, resource: Resource, job: Job) -> Step:
        for host in job.hosts:
            progress = await self._hands.progress(job, host)
            if not progress.reason:
                continue
            more = f" ({len(progress.faults) - 1} more objects failed.)" if len(progress.faults) > 1 else ""
            log = (await self._hands.last_words(job, host, self._held(resource, host), len(job.containers) - 1))[
                -_TAIL:
            ]
            tail = f" The container's log ends: {log}" if log else ""
            reason = progress.reason[: reasons.REASON_LIMIT - len(more) - len(tail)]
            return self._end(resource, "Failed", f"{reason}{more}{tail}")
        return self._end(resource, "Completed")

    async def _stop(self, resource: Resource, job: Job) -> Step:
        await together(self._hands.stop_carrier(self._held(resource, host), _STOP_GRACE) for host in job.hosts)
        return self._end(resource, "Stopped")

    async def _clean(self, resource: Resource, job: Job) -> Step:
        """Nothing is left but the logs: then, and only then, the job shows its end."""
        for host in job.hosts:
            await self._hands.remove(job, host, self._held(resource, host))
            with suppress(ApiError, JobFault):  # the bucket, or the role, may be gone
                await self._hands.give_up_uploads(job, host)
        await in_thread(lambda _: trees.remove(job.directory))
        outcome = resource.state["outcome"]
        status = {**resource.status, "TransformEndTime": self._platform.clock.now()}
        if outcome["reason"]:
            status["FailureReason"] = outcome["reason"]
        return Step(outcome["phase"], status, {"outcome": outcome, "model": resource.state["model"]}, after=None)


def _end_of(log: str) -> str:
    """Whole lines, if there is room for one."""
    end = log[-_TAIL:]
    return end if len(end) == len(log) else end.partition("\n")[2] or end
