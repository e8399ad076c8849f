"""Brings up the containers of models, for whoever has instances of them: endpoints and transform jobs."""

from __future__ import annotations

from functools import partial

from wildsage.core.errors import CannotStart
from wildsage.images.building import Progress
from wildsage.images.uris import Role
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.kit.roles import credentials_uri
from wildsage.runtimes.base import Handle, Runtime
from wildsage.services.sagemaker.instance import faults, permitted, registries, roles, surroundings
from wildsage.services.sagemaker.instance.accepted import unheeded
from wildsage.services.sagemaker.instance.images import Images, Software
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.models import data, launch
from wildsage.services.sagemaker.models.launch import Placement


class Launching:
    """Three steps, in this order, each of which may be repeated; what they have to say goes to the container's log."""

    def __init__(self, platform: Platform, runtime: Runtime, images: Images) -> None:
        self._platform = platform
        self._runtime = runtime
        self._images = images

    async def prepare(self, place: Placement, stream: LogStream, once: str) -> Software:
        """What stands in for the image is at hand; it may have to be built. Raises JobFault, OSError.

        ``once``: the name under which the log is told a single time which version runs.
        """
        provider = registries.provider_of_container(place.container.definition)
        software = await self._software(place, self._reporter(place, stream), provider)
        launch.check(place, software)
        if text := "\n".join(filter(None, (launch.notice(place, software), unheeded(place.model)))):
            await permitted.announce(self._platform, place.model["ExecutionRoleArn"], stream, text, once=once)
        return software

    async def fill(self, place: Placement) -> None:
        """The model and its code lie in the container's folder. Begins anew each time. Raises JobFault, OSError."""
        caller = await roles.assume(self._platform, place.model["ExecutionRoleArn"])
        software = await self._software(place, _unheard)
        transfers = Transfers(self._platform.calls, caller, place.region)
        await data.fill(place, transfers, native=not software.image)

    async def launch(self, place: Placement, stream: LogStream) -> Handle:
        """The process exists; a second call finds the first's. Raises JobFault, RuntimeRefused."""
        software = await self._software(place, _unheard)
        software = await data.with_requirements(self._images, software, place, self._reporter(place, stream))
        caller = await roles.assume(self._platform, place.model["ExecutionRoleArn"])
        uri = credentials_uri(self._platform, caller)
        spec = launch.spec(place, software, self._platform.settings, uri)
        await in_thread(partial(surroundings.open_folders, spec))
        try:
            return await self._runtime.launch(spec)
        except CannotStart as error:
            raise faults.of_start(error, place.called, spec) from error

    async def _software(self, place: Placement, report: Progress, provider: str = "") -> Software:
        image = place.container.image
        if place.pinned:
            return await self._images.kept(image, place.pinned, Role.INFERENCE)
        pull = await registries.pull(self._platform, place.model["ExecutionRoleArn"], image, provider)
        return await self._images.prepare(image, Role.INFERENCE, report, pull)

    def _reporter(self, place: Placement, stream: LogStream) -> Progress:
        return permitted.reporter(self._platform, place.model["ExecutionRoleArn"], stream)


async def _unheard(_: str) -> None:
    """The image was prepared when the folder was filled; nothing is built now."""
