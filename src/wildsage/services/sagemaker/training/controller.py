"""Brings a training job from Starting to its end, one stage at a time.

``state`` (private):
    stage        prepare, download, feed, launch, train, stop, upload, clean
    log_stream   name of its log stream
    software     what its image turned out to be (images.Software)
    feeders      the runtime's handles of what feeds channels in Pipe mode; none without such channels
    handle       the runtime's, once launched
    deadline     when MaxRuntimeInSeconds is over, epoch seconds
    stopping     when its end was asked for (StopTrainingJob, or the time limit)
    outcome      secondary (how it ends: Completed, Failed, Stopped, MaxRuntimeExceeded) and reason, once known
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from wildsage.core import trees
from wildsage.core.caller import Caller
from wildsage.core.errors import JobFault, RuntimeRefused
from wildsage.images.uris import Role
from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.kit.logstreams import LogStream
from wildsage.kit.roles import credentials_uri
from wildsage.runtimes.base import Inspection, Phase, Runtime
from wildsage.services.sagemaker.instance import faults, roles
from wildsage.services.sagemaker.instance.accepted import unheeded
from wildsage.services.sagemaker.instance.attendant import Attendants, Source, final_metrics
from wildsage.services.sagemaker.instance.images import Images, kept
from wildsage.services.sagemaker.instance.metrics import Metric
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training import launch, outputs, rules
from wildsage.services.sagemaker.training.inputs.channels import Mode, mode_of
from wildsage.services.sagemaker.training.inputs.feeders import Feeders
from wildsage.services.sagemaker.training.inputs.fill import fill
from wildsage.services.sagemaker.training.kind import LOG_GROUP, TRAINING_JOB
from wildsage.services.sagemaker.training.launch import Job
from wildsage.services.sagemaker.training.operations import STOP
from wildsage.store.resources import Resource

_TAIL_LINES = 20
_PHASES = {"MaxRuntimeExceeded": "Stopped"}
_DOING = {
    "prepare": "preparing the image",
    "download": "downloading the input data",
    "feed": "launching the container that streams the input data",
    "launch": "launching the container",
    "train": "watching the container",
    "stop": "stopping the container",
    "upload": "uploading the model",
}
_WITH_MODEL = ("Completed", "Stopped", "MaxRuntimeExceeded")


class TrainingController:
    """One reconcile step of a training job."""

    kind = TRAINING_JOB.name

    def __init__(self, platform: Platform, runtime: Runtime, images: Images, attendants: Attendants) -> None:
        self._platform = platform
        self._runtime = runtime
        self._images = images
        self._attendants = attendants
        self._feeders = Feeders(runtime)
        self._stages: dict[str, Callable[[Resource, Job], Awaitable[Step]]] = {
            "prepare": self._prepare,
            "download": self._download,
            "feed": self._feed,
            "launch": self._launch,
            "train": self._train,
            "stop": self._stop,
            "upload": self._upload,
        }

    async def step(self, resource: Resource) -> Step:
        """Raises only what another attempt may cure; everything else is an outcome of the job."""
        if resource.phase in rules.TERMINAL:
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
            return self._end(resource, "Failed", str(faults.of_disk(error, _DOING[stage])))

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """The job fails; what it holds is given back for as often as it takes."""
        return None if resource.state.get("stage") == "clean" else self._end(resource, "Failed", reason)

    def _job(self, resource: Resource) -> Job:
        directory = self._platform.settings.data.instances / f"train-{resource.uid}"
        return Job(resource.key.name, TRAINING_JOB.arn(resource.key), resource.key.region, resource.spec, directory)

    def _source(self, resource: Resource) -> Source:
        definitions = resource.spec["AlgorithmSpecification"].get("MetricDefinitions") or []
        metrics = tuple(Metric(each["Name"], each["Regex"]) for each in definitions)
        return Source(f"train/{resource.uid}", self._runtime, resource.state["handle"], self._stream(resource), metrics)

    def _stream(self, resource: Resource) -> LogStream:
        name = f"{resource.key.name}/algo-1-{int(resource.created)}"
        return LogStream(resource.key.account, resource.key.region, LOG_GROUP, name)

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
        outcome = {"secondary": secondary, "reason": rules.limit(reason)}
        state = {**resource.state, "stage": "clean", "outcome": outcome}
        return Step(resource.phase, resource.status, state, after=0)

    async def _prepare(self, resource: Resource, job: Job) -> Step:
        stream = self._stream(resource)
        opened = False

        async def report(line: str) -> None:
            nonlocal opened
            if not opened:
                await logstreams.ensure(self._platform, stream)
                opened = True
            at = round(self._platform.clock.now() * 1000)
            await logstreams.append(self._platform, stream, [(at, line)])

        image = job.document["AlgorithmSpecification"]["TrainingImage"]
        software = await self._images.prepare(image, Role.TRAINING, report)
        step = self._next(resource, "download", "Downloading", software=software.document())
        return replace(step, status={**step.status, "TrainingStartTime": self._platform.clock.now()})

    async def _download(self, resource: Resource, job: Job) -> Step:
        transfers, _ = await self._transfers(job)
        for host in job.hosts:
            await fill(job, host, transfers)
        piped = any(mode_of(job.document, each) is Mode.PIPE for each in job.document.get("InputDataConfig") or ())
        return self._next(resource, "feed" if piped else "launch", "Training")

    async def _feed(self, resource: Resource, job: Job) -> Step:
        instances = {f"{job.directory.name}-{host.name}": job.folder(host) for host in job.hosts}
        handles = await self._feeders.launch(instances)
        return self._next(resource, "launch", "Training", feeders=[dict(handle) for handle in handles])

    async def _launch(self, resource: Resource, job: Job) -> Step:
        await self._announce(resource)
        _, caller = await self._transfers(job)
        spec = launch.spec(
            job,
            job.hosts[0],
            kept(resource.state["software"]),
            self._platform.settings,
            credentials_uri(self._platform, caller),
        )
        handle = await self._runtime.launch(spec)
        deadline = self._platform.clock.now() + job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
        return self._next(resource, "train", "Training", handle=dict(handle), deadline=deadline)

    async def _announce(self, resource: Resource) -> None:
        """What a reader of the log should know before the first line of user code."""
        words = (resource.state["software"]["notice"], unheeded(resource.spec))
        if text := "\n".join(filter(None, words)):
            stream = self._stream(resource)
            await logstreams.ensure(self._platform, stream)
            await logstreams.announce(self._platform, stream, text, once=f"notice/{resource.uid}")

    async def _train(self, resource: Resource, job: Job) -> Step:
        """Waits for the container's end; a wish to stop interrupts the wait and comes here again."""
        self._attendants.attend(self._source(resource))
        if resource.wish == STOP:
            return self._next(resource, "stop", "Stopping")
        found = await self._wait(resource)
        if isinstance(found, str):
            await self._runtime.stop(resource.state["handle"], 0)
            return self._next(resource, "upload", "Uploading", outcome={"secondary": "Failed", "reason": found})
        if found is None:
            over = {"secondary": "MaxRuntimeExceeded", "reason": ""}
            step = self._next(resource, "stop", "Stopping", stopping=self._platform.clock.now(), outcome=over)
            return replace(step, phase="Stopping")
        # Its private files are of no more use, and if they fill the disk nothing could be stored before they are gone.
        await self._runtime.remove(resource.state["handle"])
        if await in_thread(lambda _: outputs.give_up_on_full_disk(job.folder(job.hosts[0]))):
            full = {"secondary": "Failed", "reason": outputs.FULL}
            return self._next(resource, "upload", "Uploading", outcome=full)
        if broken := await self._feeders.finish(resource.state.get("feeders", ())):
            reason = rules.LOST if found.phase is Phase.LOST else broken
            return self._next(resource, "upload", "Uploading", outcome={"secondary": "Failed", "reason": reason})
        if found.phase is Phase.EXITED and found.exit_code == 0:
            return self._next(resource, "upload", "Uploading", outcome={"secondary": "Completed", "reason": ""})
        reason = await self._failure(resource, job, found)
        return self._next(resource, "upload", "Uploading", outcome={"secondary": "Failed", "reason": reason})

    async def _wait(self, resource: Resource) -> Inspection | str | None:
        """How the container ended; why its input did, if that was first; None if its time was over before either."""
        ending = asyncio.ensure_future(self._runtime.wait(resource.state["handle"]))
        breaking = asyncio.ensure_future(self._feeders.broken(resource.state.get("feeders", ())))
        left = resource.state["deadline"] - self._platform.clock.now()
        alarm = asyncio.ensure_future(self._platform.clock.sleep(max(left, 0.0)))
        try:
            await asyncio.wait({ending, breaking, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return ending.result()
            return breaking.result() if breaking.done() else None
        finally:
            for each in (ending, breaking, alarm):
                each.cancel()

    async def _failure(self, resource: Resource, job: Job, found: Inspection) -> str:
        if found.phase is Phase.LOST:
            return rules.LOST
        await self._attendants.finished(self._source(resource))
        log = await logstreams.tail(self._platform, self._stream(resource), _TAIL_LINES)
        failure = await in_thread(lambda _: outputs.failure_text(job.folder(job.hosts[0])))
        return rules.failure_reason(found, failure, log, job.hosts[0].instance_type)

    async def _stop(self, resource: Resource, job: Job) -> Step:
        waited = self._platform.clock.now() - resource.state["stopping"]
        await self._runtime.stop(resource.state["handle"], max(rules.STOP_GRACE - waited, 0.0))
        outcome = resource.state.get("outcome") or {"secondary": "Stopped", "reason": ""}
        return self._next(resource, "upload", "Uploading", outcome=outcome)

    async def _upload(self, resource: Resource, job: Job) -> Step:
        outcome = resource.state["outcome"]
        transfers, _ = await self._transfers(job)
        with_model = outcome["secondary"] in _WITH_MODEL
        try:
            await outputs.upload(job, job.hosts[0], transfers, with_model)
        except JobFault as fault:
            # A job that failed already keeps the reason it failed for.
            return self._end(resource, "Failed", outcome["reason"] or str(fault))
        status = resource.status
        if with_model:
            status = {**status, "ModelArtifacts": {"S3ModelArtifacts": outputs.model_uri(job)}}
        return Step(resource.phase, status, {**resource.state, "stage": "clean"}, after=0)

    async def _clean(self, resource: Resource, job: Job) -> Step:
        """Nothing is left but the log: then, and only then, the job shows its end."""
        status = resource.status
        if "handle" in resource.state:
            source = self._source(resource)
            # Its files first: on a full disk there is room for the log only once they are gone.
            await self._runtime.stop(resource.state["handle"], 0)
            await in_thread(lambda _: trees.remove(job.folder(job.hosts[0]) / "ml"))
            if (job.folder(job.hosts[0]) / "log").exists():
                await self._attendants.finished(source)
            await self._runtime.remove(resource.state["handle"])
            values = await final_metrics(self._platform, source.name, [metric.name for metric in source.metrics])
            if values:
                status = {**status, "FinalMetricDataList": values}
        await self._feeders.remove(resource.state.get("feeders", ()))
        await in_thread(lambda _: trees.remove(job.directory))
        now = self._platform.clock.now()
        outcome = resource.state["outcome"]
        secondary = outcome["secondary"]
        status = rules.enter(rules.ended(status, now), secondary, now)
        if outcome["reason"]:
            status["FailureReason"] = outcome["reason"]
        return Step(_PHASES.get(secondary, secondary), status, {"outcome": outcome}, after=None)
