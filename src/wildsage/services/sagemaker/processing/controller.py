"""Brings a processing job from its creation to its end, one stage at a time.

``state`` (private):
    stage      prepare, download, feed, launch, run, stop, upload, clean
    software   what its image turned out to be (images.Software)
    feeders    the runtime's handles of what feeds inputs in Pipe mode; none without such inputs
    handles    the runtime's of the instances and their network, once launched (instances.Handles)
    deadline   when MaxRuntimeInSeconds is over, epoch seconds
    stopping   when its end was asked for (StopProcessingJob, or the time limit)
    outcome    phase (how it ends: Completed, Failed, Stopped) and reason, once known
    message    the exit message
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from wildsage.core import trees
from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError, ClientFault, JobFault, RuntimeRefused
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
from wildsage.services.sagemaker.processing import inputs, launch, outputs, rules
from wildsage.services.sagemaker.processing.fill import BELOW, fill
from wildsage.services.sagemaker.processing.kind import PROCESSING_JOB
from wildsage.services.sagemaker.processing.launch import Job
from wildsage.services.sagemaker.processing.outputs import Uploads
from wildsage.store.resources import Resource

_LOOK_SECONDS = 1.0
_DOING = {
    "prepare": "preparing the image",
    "download": "downloading the input data",
    "feed": "launching the container that streams the input data",
    "launch": "launching the container",
    "run": "watching the container",
    "stop": "stopping the container",
    "upload": "uploading the output",
}


class ProcessingController:
    """One reconcile step of a processing job."""

    kind = PROCESSING_JOB.name

    def __init__(self, platform: Platform, runtime: Runtime, images: Images, attendants: Attendants) -> None:
        self._platform = platform
        self._images = images
        self._instances = Instances(platform, runtime, attendants, launch.LOGGED)
        self._feeders = Feeders(runtime)
        self._ending = Ending(self._instances, self._feeders, platform.clock, "processing", rules.LOST)
        self._remarks = Remarks(platform, launch.LOGGED)
        self._uploads: dict[str, Uploads] = {}
        self._stages: dict[str, Callable[[Resource, Job], Awaitable[Step]]] = {
            "prepare": self._prepare,
            "download": self._download,
            "feed": self._feed,
            "launch": self._launch,
            "run": self._run,
            "stop": self._stop,
            "upload": self._upload,
        }

    async def step(self, resource: Resource) -> Step:
        """Raises only what another attempt may cure; everything else is an outcome of the job."""
        if resource.phase in TERMINAL:
            return Step(resource.phase, resource.status, resource.state)
        stage = resource.state.get("stage", "prepare")
        job = self._job(resource)
        if resource.wish == STOP and stage in ("prepare", "download"):
            return self._end(resource, "Stopped")
        if stage == "clean":
            return await self._clean(resource, job)  # what fails here is tried again until nothing is left
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
        return None if resource.state.get("stage") == "clean" else self._end(resource, "Failed", reason)

    def _job(self, resource: Resource) -> Job:
        directory = self._platform.settings.data.instances / f"process-{resource.uid}"
        return Job(resource.key.name, PROCESSING_JOB.arn(resource.key), resource.key.region, resource.spec, directory)

    async def _transfers(self, job: Job) -> tuple[Transfers, Caller]:
        caller = await roles.assume(self._platform, job.document["RoleArn"])
        return Transfers(self._platform.calls, caller, job.region), caller

    def _next(self, resource: Resource, stage: str, **state: object) -> Step:
        """On to ``stage`` at once."""
        return Step(resource.phase, resource.status, {**resource.state, "stage": stage, **state}, after=0)

    def _end(self, resource: Resource, phase: str, reason: str = "") -> Step:
        """The outcome is known; what the job still holds is given back before it shows."""
        return self._next(resource, "clean", outcome={"phase": phase, "reason": reasons.limit(reason)})

    async def _prepare(self, resource: Resource, job: Job) -> Step:
        app = job.document["AppSpecification"]
        pull = await registries.pull(self._platform, job.document["RoleArn"], app["ImageUri"])
        report = self._remarks.reporter(resource, job)
        software = await self._images.prepare(app["ImageUri"], Role.PROCESSING, report, pull)
        if not software.image and not app.get("ContainerEntrypoint"):
            raise ClientFault(
                f"ClientError: The image {app['ImageUri']} has no entry point for processing of its own. Name one in "
                "AppSpecification.ContainerEntrypoint, or use a ScriptProcessor."
            )
        return self._next(resource, "download", software=software.document())

    async def _download(self, resource: Resource, job: Job) -> Step:
        transfers, _ = await self._transfers(job)
        await together(fill(job, host, transfers) for host in job.hosts)
        return self._next(resource, "feed" if inputs.piped(job.document) else "launch")

    async def _feed(self, resource: Resource, job: Job) -> Step:
        instances = {f"{job.directory.name}-{host.name}": job.folder(host) for host in job.hosts}
        handles = await self._feeders.launch(instances, BELOW)
        return self._next(resource, "launch", feeders=[dict(handle) for handle in handles])

    async def _launch(self, resource: Resource, job: Job) -> Step:
        await self._remarks.begin(resource, job, resource.spec.get("NetworkConfig") or {})
        _, caller = await self._transfers(job)
        software, uri = kept(resource.state["software"]), credentials_uri(self._platform, caller)
        settings = self._platform.settings
        specs = {host.name: launch.spec(job, host, software, settings, uri) for host in job.hosts}
        handles = await self._instances.launch(specs, launch.network(job, software, settings, uri))
        if self._instances.closed(handles):
            await self._remarks.say(resource, job, CLOSED, once=f"closed/{resource.uid}")
        now = self._platform.clock.now()
        deadline = now + job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
        step = self._next(resource, "run", handles=handles, deadline=deadline)
        return replace(step, status={**step.status, "ProcessingStartTime": now})

    async def _run(self, resource: Resource, job: Job) -> Step:
        """Waits for the containers' end; a wish to stop interrupts the wait and comes here again."""
        handles = resource.state["handles"]
        self._instances.attend(resource, job, handles)
        if resource.wish == STOP:
            return self._next(resource, "stop")
        uploading = asyncio.ensure_future(self._go_on_uploading(resource, job))
        try:
            found = await self._ending.wait(resource, job, resource.state["deadline"])
        finally:
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)
        if isinstance(found, str):
            await self._instances.stop(job, handles, 0)
            return self._next(resource, "upload", outcome={"phase": "Failed", "reason": found})
        now = self._platform.clock.now()
        if found is None:
            text = "[wildsage] MaxRuntimeInSeconds is over; the job is stopped."
            await self._remarks.say(resource, job, text, once=f"over/{resource.uid}")
            return replace(self._next(resource, "stop", stopping=now), phase="Stopping")
        if found.failed and len(job.hosts) > 1:
            outcome = await self._judge(resource, job, found)
            return self._next(resource, "stop", stopping=now, outcome=outcome)
        if not await self._instances.release(job, handles):
            return self._next(resource, "upload", outcome={"phase": "Failed", "reason": FULL})
        return self._next(resource, "upload", outcome=await self._judge(resource, job, found))

    async def _go_on_uploading(self, resource: Resource, job: Job) -> None:
        uploads = self._uploads.setdefault(resource.uid, Uploads(job))
        while uploads.continuous:
            await self._platform.clock.sleep(_LOOK_SECONDS)
            # What fails now is tried again, and at the end it is the job's failure.
            with suppress(ApiError, JobFault, OSError):
                transfers, _ = await self._transfers(job)
                await uploads.go_on(transfers, self._platform.clock.now())

    async def _judge(self, resource: Resource, job: Job, ended: Ended) -> dict[str, str]:
        """The job's outcome."""

        async def failure_of(_: Host) -> str:
            with suppress(ClientFault):  # not UTF-8, which is said when the output is uploaded
                return await in_thread(lambda _: outputs.exit_message(job))
            return ""

        reason = await self._ending.reason(resource, ended, failure_of)
        return {"phase": "Failed" if reason else "Completed", "reason": reason}

    async def _stop(self, resource: Resource, job: Job) -> Step:
        outcome = resource.state.get("outcome") or {"phase": "Stopped", "reason": ""}
        grace = rules.PEER_GRACE if outcome["phase"] == "Failed" else rules.STOP_GRACE
        waited = self._platform.clock.now() - resource.state["stopping"]
        await self._instances.stop(job, resource.state["handles"], max(grace - waited, 0.0))
        return self._next(resource, "upload", outcome=outcome)

    async def _upload(self, resource: Resource, job: Job) -> Step:
        """However the job ended, what it wrote is kept: the output of one that failed says most."""
        outcome = resource.state["outcome"]
        transfers, _ = await self._transfers(job)
        uploads = self._uploads.setdefault(resource.uid, Uploads(job))
        message = ""
        try:
            if missing := rules.missing(*await uploads.finish(transfers)):
                await self._remarks.say(resource, job, missing, once=f"left-out/{resource.uid}")
            message = await in_thread(lambda _: outputs.exit_message(job))
        except JobFault as fault:
            # A job that failed already keeps the reason it failed for.
            return self._end(resource, "Failed", outcome["reason"] or str(fault))
        return self._next(resource, "clean", message=message)

    async def _clean(self, resource: Resource, job: Job) -> Step:
        """Nothing is left but the log: then, and only then, the job shows its end."""
        self._uploads.pop(resource.uid, None)
        if handles := resource.state.get("handles"):
            await self._instances.remove(resource, job, handles)
        await self._feeders.remove(resource.state.get("feeders", ()))
        await in_thread(lambda _: trees.remove(job.directory))
        outcome = resource.state["outcome"]
        status = {**resource.status, "ProcessingEndTime": self._platform.clock.now()}
        if message := resource.state.get("message"):
            status["ExitMessage"] = message
        if outcome["reason"]:
            status["FailureReason"] = outcome["reason"]
        return Step(outcome["phase"], status, {"outcome": outcome}, after=None)
