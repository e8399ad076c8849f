"""Brings a training job from Starting to its end, one stage at a time.

``state`` (private):
    stage        prepare, queue, download, turn, feed, launch, train, stop, upload, clean;
                 save, again, wait: see ``attempts``
    log_stream   name of its log stream
    software     what its image turned out to be (images.Software)
    feeders      the runtime's handles of what feeds channels in Pipe mode; none without such channels
    handles      the runtime's of the instances and their network, once launched (instances.Handles)
    pool         the warm pool that its instances are of; none without
    deadline     when its time is over, epoch seconds, and the SecondaryStatus that it then ends with
    stopping     when its end was asked for (StopTrainingJob, a time limit, or an interruption)
    retrying     why the attempt before this one failed, until the log has it
    outcome      secondary (how it ends: Completed, Failed, Stopped, MaxRuntimeExceeded) and reason, once known
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from wildsage.core import trees
from wildsage.core.caller import Caller
from wildsage.core.errors import ClientFault, JobFault, RuntimeRefused
from wildsage.images.uris import Role
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.kit.roles import credentials_uri
from wildsage.runtimes.base import Runtime
from wildsage.services.sagemaker.instance import faults, reasons, registries, roles
from wildsage.services.sagemaker.instance.attendant import Attendants
from wildsage.services.sagemaker.instance.ending import Ending
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.images import Images, kept
from wildsage.services.sagemaker.instance.inputs.feeders import Feeders
from wildsage.services.sagemaker.instance.instances import CLOSED, FULL, Ended, Instances
from wildsage.services.sagemaker.instance.jobs import STOP, TERMINAL
from wildsage.services.sagemaker.instance.remarks import Remarks
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.together import together
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training import attempts, checkpoints, launch, outputs, rules
from wildsage.services.sagemaker.training.inputs.channels import is_piped
from wildsage.services.sagemaker.training.inputs.fill import fill
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.services.sagemaker.training.launch import Job
from wildsage.services.sagemaker.training.requirements import with_requirements
from wildsage.services.sagemaker.training.turns import Turns
from wildsage.services.sagemaker.training.warm import pools
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

T = TypeVar("T")

_PHASES = {"MaxRuntimeExceeded": "Stopped", "MaxWaitTimeExceeded": "Stopped"}
# Nothing of it runs, so a stop is its end at once.
_IDLE = ("prepare", "queue", "download", "turn", "wait")
# Stages without an outcome of their own: what fails there is tried again until nothing is left.
_REMOVING = ("again", "clean")
_DOING = {
    "prepare": "preparing the image",
    "queue": "waiting for its turn",
    "download": "downloading the input data",
    "turn": "launching the container",
    "feed": "launching the container that streams the input data",
    "launch": "launching the container",
    "train": "watching the container",
    "stop": "stopping the container",
    "upload": "uploading the model",
    "save": "saving the checkpoints",
    "wait": "waiting for instances",
}
_WITH_MODEL = ("Completed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded")


class TrainingController:
    """One reconcile step of a training job."""

    kind = TRAINING_JOB.name

    def __init__(self, platform: Platform, runtime: Runtime, images: Images, attendants: Attendants) -> None:
        self._platform = platform
        self._images = images
        self._instances = Instances(platform, runtime, attendants, launch.LOGGED)
        self._feeders = Feeders(runtime)
        self._ending = Ending(self._instances, self._feeders, platform.clock, "training", rules.LOST)
        self._remarks = Remarks(platform, launch.LOGGED)
        self._pools = pools.Pools(platform, runtime)
        self._turns = Turns(platform.settings.jobs.at_once)
        self._adopting, self._adopted = asyncio.Lock(), False
        self._stages: dict[str, Callable[[Resource, Job], Awaitable[Step]]] = {
            "prepare": self._prepare,
            "queue": self._queue,
            "download": self._download,
            "turn": self._turn,
            "feed": self._feed,
            "launch": self._launch,
            "train": self._train,
            "stop": self._stop,
            "upload": self._upload,
            "clean": self._clean,
            "save": self._save,
            "again": self._again,
            "wait": self._await_instances,
        }

    async def step(self, resource: Resource) -> Step:
        """Raises only what another attempt may cure; everything else is an outcome of the job."""
        await self._adopt()
        self._turns.begins(resource.uid, resource.state.get("stage", "prepare"))
        step = await self._step(resource)
        self._turns.is_in(resource.uid, step.state.get("stage", ""))
        return step

    async def _adopt(self) -> None:
        """Jobs that run since before a restart have their places before any other gets one."""
        async with self._adopting:
            if not self._adopted:
                for each in await self._platform.resources.all_of(self.kind, due=True):
                    self._turns.begins(each.uid, each.state.get("stage", "prepare"))
                self._adopted = True

    async def _step(self, resource: Resource) -> Step:
        if resource.phase in TERMINAL:
            return Step(resource.phase, resource.status, resource.state)
        stage = resource.state.get("stage", "prepare")
        job = self._job(resource)
        if resource.wish == STOP and stage in _IDLE:
            return self._end(resource, "Stopped")
        if stage in _REMOVING:
            return await self._stages[stage](resource, job)
        try:
            return await self._stages[stage](resource, job)
        except (JobFault, RuntimeRefused) as fault:
            return self._end(resource, "Failed", str(fault))
        except OSError as error:
            if stage == "download" and faults.is_full(error):
                # Nobody could write down that the disk is full as long as it is: what filled it goes first.
                await in_thread(lambda _: trees.remove(job.directory))
            return self._end(resource, "Failed", str(faults.of_disk(error, _DOING[stage])))

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """The job fails; what it holds is given back for as often as it takes."""
        return None if resource.state.get("stage") in _REMOVING else self._end(resource, "Failed", reason)

    def _job(self, resource: Resource) -> Job:
        directory = self._platform.settings.data.instances / f"train-{resource.uid}"
        warm = pools.folder(self._platform.settings, resource.state["pool"]) if "pool" in resource.state else None
        arn = TRAINING_JOB.arn(resource.key)
        return Job(resource.key.name, arn, resource.key.region, resource.spec, directory, warm)

    async def _transfers(self, job: Job) -> tuple[Transfers, Caller]:
        caller = await roles.assume(self._platform, job.document["RoleArn"])
        return Transfers(self._platform.calls, caller, job.region), caller

    def _next(self, resource: Resource, stage: str, secondary: str, **state: object) -> Step:
        """On to ``stage`` at once; the public status moves to ``secondary`` unless a stop is under way."""
        status = resource.status
        if resource.phase != "Stopping" or secondary == "Uploading":
            status = rules.enter(status, secondary, self._platform.clock.now())
        return Step(resource.phase, status, {**resource.state, "stage": stage, **state}, after=0)

    def _end(self, resource: Resource, secondary: str, reason: str = "") -> Step:
        """The outcome is known; what the job still holds is given back before it shows."""
        if secondary == "Failed" and self._may_retry(resource, reason):
            return self._retry(resource, reason)
        outcome = {"secondary": secondary, "reason": reasons.limit(reason)}
        state = {**resource.state, "stage": "clean", "outcome": outcome}
        return Step(resource.phase, resource.status, state, after=0)

    def _may_retry(self, resource: Resource, reason: str) -> bool:
        return resource.wish != STOP and attempts.may_retry(resource.spec, resource.state, reason)

    def _retry(self, resource: Resource, reason: str) -> Step:
        """An internal error that RetryStrategy has an attempt for."""
        retries = resource.state.get("retries", 0) + 1
        resume = self._platform.clock.now()
        return self._next(resource, "save", "Starting", stopping=0.0, resume=resume, retries=retries, retrying=reason)

    async def _prepare(self, resource: Resource, job: Job) -> Step:
        asked, report = job.document["AlgorithmSpecification"], self._remarks.reporter(resource, job)
        provider = registries.provider_of_training(asked)
        image = asked["TrainingImage"]
        pull = await registries.pull(self._platform, job.document["RoleArn"], image, provider)
        software = await self._images.prepare(image, Role.TRAINING, report, pull)
        if not self._turns.ready.take(resource.uid):
            return self._next(resource, "queue", "Pending", software=software.document())
        return await self._admitted(resource, software=software.document())

    async def _queue(self, resource: Resource, job: Job) -> Step:
        """Until as many jobs before it have ended as it takes."""
        over = attempts.wait_is_over(resource.spec, resource.created) - self._platform.clock.now()
        entering = asyncio.ensure_future(self._turns.ready.enter(resource.uid))
        waits = [entering] if over == math.inf else [entering, asyncio.ensure_future(self._platform.clock.sleep(over))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return await self._admitted(resource) if entering.done() else self._waited_too_long(resource)
        finally:
            for each in waits:
                each.cancel()

    async def _admitted(self, resource: Resource, **state: object) -> Step:
        if pool := await self._pools.take(resource):
            state["pool"] = pool
        now = self._platform.clock.now()
        step = self._next(resource, "download", "Downloading", began=now, **state)
        return replace(step, status={"TrainingStartTime": now, **step.status})

    async def _download(self, resource: Resource, job: Job) -> Step:
        transfers, _ = await self._transfers(job)
        software = kept(resource.state["software"])
        await together(fill(job, host, transfers, native=not software.image) for host in job.hosts)
        await checkpoints.fetch(job, transfers)
        software = await with_requirements(self._images, software, job, self._remarks.reporter(resource, job))
        await self._remarks.begin(resource, job, resource.spec)  # here, for a core may wait for what comes next
        stage = "feed" if is_piped(job.document) else "launch"
        ready = self._turns.running.take(resource.uid)
        return self._next(resource, stage if ready else "turn", "Downloading", software=software.document())

    async def _turn(self, resource: Resource, job: Job) -> Step:
        """Until one of those that run has ended; then it begins in this same step, for a core waits for it."""
        await self._turns.running.enter(resource.uid)
        if is_piped(job.document):
            return self._next(resource, "feed", "Downloading")
        return await self._launch(resource, job)

    async def _feed(self, resource: Resource, job: Job) -> Step:
        instances = {f"{job.directory.name}-{host.name}": job.folder(host) for host in job.hosts}
        handles = await self._feeders.launch(instances)
        return self._next(resource, "launch", "Downloading", feeders=[dict(handle) for handle in handles])

    async def _launch(self, resource: Resource, job: Job) -> Step:
        _, caller = await self._transfers(job)
        software, settings = kept(resource.state["software"]), self._platform.settings
        uri = credentials_uri(self._platform, caller)
        specs = {host.name: launch.spec(job, host, software, settings, uri) for host in job.hosts}
        network = launch.network(job, software, settings, uri)
        handles = await self._pools.launch(resource, self._instances, specs, network)
        if self._instances.closed(handles):
            await self._remarks.say(resource, job, CLOSED, once=f"closed/{resource.uid}")
        now = self._platform.clock.now()
        deadline = attempts.limit(resource.spec, resource.state, resource.created, now)
        step = self._next(resource, "train", "Training", handles=handles, deadline=list(deadline))
        schedule = self._platform.settings.jobs.interruptions
        return replace(step, state=attempts.drawn(resource.spec, step.state, now, schedule))

    async def _train(self, resource: Resource, job: Job) -> Step:
        """Waits for the containers' end; a wish to stop interrupts the wait and comes here again."""
        handles = resource.state["handles"]
        self._instances.attend(resource, job, handles)
        if resource.wish == STOP:
            return self._next(resource, "stop", "Stopping")
        found = await self._saving(
            resource, job, lambda: self._ending.wait(resource, job, attempts.alarm(resource.state))
        )
        if isinstance(found, str):
            await self._instances.stop(job, handles, 0)
            return self._ended(resource, "Failed", found)
        now = self._platform.clock.now()
        if found is None:
            return self._cut_short(resource, now)
        if len(job.hosts) == 1:
            self._turns.running.leave(resource.uid)  # nothing of it runs: what is left to do here keeps nobody waiting
        if found.failed and len(job.hosts) > 1:
            outcome = await self._judge(resource, job, found)
            return self._next(resource, "stop", "Training", stopping=now, outcome=outcome)
        if not await self._instances.release(job, handles):
            return self._ended(resource, "Failed", FULL)
        return self._ended(resource, **await self._judge(resource, job, found))

    def _cut_short(self, resource: Resource, now: float) -> Step:
        """The time of containers that run is over, or their instances are taken away."""
        over, secondary = resource.state["deadline"]
        if now < over:
            resume = now + resource.state[attempts.INTERRUPTION]["capacity"]
            return self._next(resource, "save", "Interrupted", stopping=now, resume=resume)
        step = self._next(resource, "stop", "Stopping", stopping=now, outcome={"secondary": secondary, "reason": ""})
        return replace(step, phase="Stopping")

    def _ended(self, resource: Resource, secondary: str, reason: str = "") -> Step:
        """The containers have ended, and what they wrote may be kept."""
        if secondary == "Failed" and self._may_retry(resource, reason):
            return self._retry(resource, reason)
        return self._next(resource, "upload", "Uploading", outcome={"secondary": secondary, "reason": reason})

    async def _saving(self, resource: Resource, job: Job, work: Callable[[], Awaitable[T]]) -> T:
        """The result of ``work``; checkpoints are saved as long as it takes."""
        if not job.document.get("CheckpointConfig"):
            return await work()
        transfers, _ = await self._transfers(job)
        complain = partial(self._remarks.say, resource, job, once=f"checkpoints/{resource.uid}")
        return await checkpoints.beside(work(), job, transfers, self._platform.clock, complain)

    async def _judge(self, resource: Resource, job: Job, ended: Ended) -> dict[str, str]:
        """The job's outcome."""

        async def failure_of(host: Host) -> str:
            return await in_thread(lambda _: outputs.failure_text(job.folder(host)))

        reason = await self._ending.reason(resource, ended, failure_of)
        return {"secondary": "Failed" if reason else "Completed", "reason": reason}

    async def _stop(self, resource: Resource, job: Job) -> Step:
        outcome = resource.state.get("outcome") or {"secondary": "Stopped", "reason": ""}
        await self._end_containers(resource, job, rules.PEER_GRACE if outcome["secondary"] == "Failed" else None)
        return self._ended(resource, **outcome)

    async def _end_containers(self, resource: Resource, job: Job, grace: float | None = None) -> None:
        """With what is left of ``grace`` seconds, or of those that the settings have."""
        left = self._platform.settings.jobs.stop_grace if grace is None else grace
        left -= self._platform.clock.now() - resource.state["stopping"]
        await self._saving(resource, job, lambda: self._instances.stop(job, resource.state["handles"], max(left, 0.0)))

    async def _upload(self, resource: Resource, job: Job) -> Step:
        outcome = resource.state["outcome"]
        transfers, _ = await self._transfers(job)
        with_model = outcome["secondary"] in _WITH_MODEL
        try:
            await checkpoints.finish(job, transfers)
            packed = await outputs.upload(job, transfers, with_model)
        except JobFault as fault:
            # A job that failed already keeps the reason it failed for.
            return self._end(resource, "Failed", outcome["reason"] or str(fault))
        if missing := rules.missing(packed):
            await self._remarks.say(resource, job, missing, once=f"left-out/{resource.uid}")
        status = resource.status
        if with_model:
            status = {**status, "ModelArtifacts": {"S3ModelArtifacts": outputs.model_uri(job)}}
        return Step(resource.phase, status, {**resource.state, "stage": "clean"}, after=0)

    async def _clean(self, resource: Resource, job: Job) -> Step:
        """Nothing is left but the log: then, and only then, the job shows its end."""
        status = await self._remove(resource, job)
        outcome = resource.state["outcome"]
        secondary = outcome["secondary"]
        await self._pools.leave(resource, secondary, outcome["reason"])
        now = self._platform.clock.now()
        times = attempts.times(resource.spec, resource.state, now, self._platform.settings.jobs)
        status = rules.enter({**status, "TrainingEndTime": now, **times}, secondary, now)
        if outcome["reason"]:
            status["FailureReason"] = outcome["reason"]
        left: Document = {name: resource.state[name] for name in ("outcome", "pool") if name in resource.state}
        return Step(_PHASES.get(secondary, secondary), status, left, after=None)

    async def _remove(self, resource: Resource, job: Job) -> Document:
        """Takes away what the instances hold; the status with their final metrics."""
        status = resource.status
        if handles := resource.state.get("handles"):
            values = await self._instances.remove(resource, job, handles, network_too=job.warm is None)
            if values:
                known = {each["MetricName"]: each for each in (*status.get("FinalMetricDataList", ()), *values)}
                status = {**status, "FinalMetricDataList": list(known.values())}
        await self._feeders.remove(resource.state.get("feeders", ()))
        await in_thread(lambda _: trees.remove(job.directory))
        return status

    async def _save(self, resource: Resource, job: Job) -> Step:
        """The attempt ends, with its checkpoints in S3. A stage of its own: files that are gone are deleted in S3."""
        if reason := resource.state.get("retrying"):
            attempt = resource.state.get("attempt", 0)
            words = f"[wildsage] The job is tried again (RetryStrategy). Attempt {attempt + 1} failed: {reason}"
            await self._remarks.say(resource, job, words, once=f"retry/{resource.uid}/{attempt}")
        if "handles" in resource.state:
            await self._end_containers(resource, job)
            transfers, _ = await self._transfers(job)
            try:
                await checkpoints.finish(job, transfers)
            except ClientFault as fault:
                await self._remarks.say(resource, job, str(fault), once=f"checkpoints/{resource.uid}")
            if resource.wish == STOP:
                return self._ended(resource, "Stopped")
        return Step(resource.phase, resource.status, {**resource.state, "stage": "again"}, after=0)

    async def _again(self, resource: Resource, job: Job) -> Step:
        """Nothing is left of the attempt but its log."""
        status = await self._remove(resource, job)
        state = attempts.anew(resource.state, resource.state["resume"], self._platform.clock.now())
        return Step(resource.phase, status, {**state, "stage": "wait"}, after=0)

    def _waited_too_long(self, resource: Resource) -> Step:
        status = rules.enter(resource.status, "Stopping", self._platform.clock.now())
        return replace(self._end(resource, "MaxWaitTimeExceeded"), phase="Stopping", status=status)

    async def _await_instances(self, resource: Resource, job: Job) -> Step:
        """Until there are instances again, or nobody waits for them any more."""
        now, resume = self._platform.clock.now(), resource.state["resume"]
        over = attempts.wait_is_over(resource.spec, resource.created)
        if now >= over:
            return self._waited_too_long(resource)
        if now < resume:
            return Step(resource.phase, resource.status, resource.state, after=min(resume, over) - now)
        return self._next(resource, "prepare", "Starting")
