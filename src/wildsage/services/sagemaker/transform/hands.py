"""What is done to the instances of a transform job: filled, launched, watched, given back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from wildsage.core.caller import Caller
from wildsage.core.transforms import Progress, progress_in
from wildsage.kit.context import Platform
from wildsage.kit.roles import credentials_uri
from wildsage.runtimes.base import Handle, Inspection, Runtime
from wildsage.services.sagemaker.instance import roles
from wildsage.services.sagemaker.instance.attendant import Attendants, Source
from wildsage.services.sagemaker.instance.health import until_healthy
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.images import Images
from wildsage.services.sagemaker.instance.inputs.listing import Reader
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.together import together
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.models.launching import Launching
from wildsage.services.sagemaker.transform import carrier, plan
from wildsage.services.sagemaker.transform.plan import Job

Handles = Mapping[str, Any]
"""Of one instance: ``models`` (a handle each, in the order of the model's containers) and ``carrier``."""

MODELS, CARRIER = "models", "carrier"
_TAIL_LINES = 8
_MODEL_GRACE = 2.0


class Hands:
    """The hands of the controller."""

    def __init__(self, platform: Platform, runtime: Runtime, images: Images, attendants: Attendants) -> None:
        self._platform = platform
        self._runtime = runtime
        self._attendants = attendants
        self._launching = Launching(platform, runtime, images)

    async def prepare(self, job: Job) -> None:
        """What stands in for the images is at hand. Raises JobFault, OSError."""
        for container in job.containers:
            host = job.hosts[0]
            once = f"notice/{job.resource.uid}/{container.number}"
            await self._launching.prepare(job.place(host, container), job.stream(host, container), once)

    async def fill(self, job: Job) -> None:
        """Models and lists of objects lie in the folders. Begins anew each time. Raises JobFault, OSError."""
        caller = await roles.assume(self._platform, job.role_arn)
        reader = Reader(Transfers(self._platform.calls, caller, job.region), job.role_arn, job.region)
        items = plan.items(job.document, await reader.objects(job.channel()))

        async def one(host: Host) -> None:
            own = plan.share(items, host, len(job.hosts))
            await in_thread(lambda _: carrier.write_objects(job.folder(host), own))
            for container in job.containers:
                await self._launching.fill(job.place(host, container))

        await together(one(host) for host in job.hosts)

    async def launch(self, job: Job, hosts: Sequence[Host]) -> dict[str, dict[str, Any]]:
        """The containers of each instance and what carries its data, which waits until they answer; by host's name.

        Those that run already are found; all or none. Raises JobFault, RuntimeRefused.
        """
        begun: list[Handle] = []

        async def one(host: Host) -> dict[str, Any]:
            models: list[Handle] = []
            for container in job.containers:
                models.append(await self._launching.launch(job.place(host, container), job.stream(host, container)))
                begun.append(models[-1])
            carrying = await self._send(job, host, models)
            begun.append(carrying)
            return {MODELS: [dict(each) for each in models], CARRIER: dict(carrying)}

        try:
            launched = await together(map(one, hosts))
        except (Exception, asyncio.CancelledError):
            for handle in begun:  # no document knows them yet
                await self._runtime.remove(handle)
            raise
        return {host.name: each for host, each in zip(hosts, launched, strict=True)}

    async def healthy(self, handles: Handles) -> None:
        """Returns once all containers of an instance answer; whoever calls bounds the time."""
        addresses = [self._runtime.address_of(handle) for handle in handles[MODELS]]
        await together(until_healthy(self._platform.clock, address) for address in addresses)

    async def _send(self, job: Job, host: Host, models: Sequence[Handle]) -> Handle:
        addresses = [self._runtime.address_of(handle) for handle in models]
        names = (each.hostname for each in job.containers)
        seen = zip(names, carrier.seen(addresses), strict=True)
        order, folder = plan.order(job.document, self._platform.settings.url, job.region, seen), job.folder(host)
        await in_thread(lambda _: carrier.write_order(folder, order))
        caller = await roles.assume(self._platform, job.role_arn)
        spec = carrier.spec(f"{host.name}-data", folder, addresses, credentials_uri(self._platform, caller))
        return await self._runtime.launch(spec)

    def attend(self, job: Job, host: Host, handles: Handles) -> None:
        """Follows every log from where it was left."""
        for source in self._sources(job, host, handles):
            self._attendants.attend(source)

    async def models_end(self, handles: Handles) -> int:
        """Waits until one of an instance's containers has ended; its place among them."""
        waiting = [asyncio.ensure_future(self._runtime.wait(handle)) for handle in handles[MODELS]]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return next(number for number, each in enumerate(waiting) if each.done())
        finally:
            for each in waiting:
                each.cancel()

    async def carrier_ends(self, handles: Handles) -> Inspection:
        """Waits for the end of what carries an instance's data."""
        return await self._runtime.wait(handles[CARRIER])

    async def inspect(self, handle: Handle) -> Inspection:
        return await self._runtime.inspect(handle)

    async def progress(self, job: Job, host: Host) -> Progress:
        """What an instance has done."""
        return await in_thread(lambda _: progress_in(job.folder(host) / "ml"))

    async def last_words(self, job: Job, host: Host, handles: Handles, number: int) -> str:
        """The last lines of one of an instance's containers, which is ended for it: its log is whole then."""
        await self._runtime.stop(handles[MODELS][number], _MODEL_GRACE)
        return await self._words_of(self._sources(job, host, handles)[number])

    async def carrier_words(self, job: Job, host: Host, handles: Handles) -> str:
        """The last lines of what carried an instance's data, which has ended."""
        return await self._words_of(self._sources(job, host, handles)[-1])

    async def _words_of(self, source: Source) -> str:
        return "\n".join(await self._attendants.last_words(source, _TAIL_LINES))

    async def stop_carrier(self, handles: Handles, grace: float) -> None:
        """SIGTERM, by which it gives up the output it is at; SIGKILL after ``grace`` seconds."""
        if CARRIER in handles:
            await self._runtime.stop(handles[CARRIER], grace)

    async def remove(self, job: Job, host: Host, handles: Handles) -> None:
        """Nothing of an instance is left but its folders, and its logs, which are whole."""
        await self.stop_carrier(handles, 0)
        for handle in handles.get(MODELS, ()):
            await self._runtime.stop(handle, _MODEL_GRACE)
        for source in self._sources(job, host, handles):
            await self._attendants.finished(source)
            await self._runtime.remove(source.handle)

    async def give_up_uploads(self, job: Job, host: Host) -> None:
        """What a killed process had begun to upload is taken away. Raises ApiError as S3 answers, JobFault."""
        uploads = (await self.progress(job, host)).uploads
        if not uploads:
            return
        caller: Caller = await roles.assume(self._platform, job.role_arn)
        abort = partial(self._platform.calls.call, caller, job.region, "s3", "AbortMultipartUpload")
        for upload in uploads:
            await abort(dict(zip(("Bucket", "Key", "UploadId"), upload, strict=True)))

    def _sources(self, job: Job, host: Host, handles: Handles) -> list[Source]:
        name = f"transform/{job.resource.uid}/{host.name}"
        found = []
        for container, handle in zip(job.containers, handles.get(MODELS, ()), strict=False):
            measured = job.measured(host) if container.number == 1 else None
            stream = job.stream(host, container)
            found.append(
                Source(
                    f"{name}/{container.number}", self._runtime, handle, stream, measured=measured, role=job.role_arn
                )
            )
        if CARRIER in handles:
            found.append(
                Source(f"{name}/data", self._runtime, handles[CARRIER], job.stream(host, None), role=job.role_arn)
            )
        return found
