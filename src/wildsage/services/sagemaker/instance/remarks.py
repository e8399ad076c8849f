"""What the server itself has to say in a job's log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wildsage.kit.context import Platform
from wildsage.services.sagemaker.instance import permitted
from wildsage.services.sagemaker.instance.accepted import unheeded
from wildsage.services.sagemaker.instance.instances import Job, Logged
from wildsage.store.codec import Document
from wildsage.store.resources import Resource


class Remarks:
    """Lines in the stream of a job's first instance, if the job's role may write there."""

    def __init__(self, platform: Platform, logged: Logged) -> None:
        self._platform = platform
        self._logged = logged

    def reporter(self, resource: Resource, job: Job) -> Callable[[str], Awaitable[None]]:
        """For lines as they come, such as those of an image that is built."""
        stream = self._logged.stream(resource, job.hosts[0])
        return permitted.reporter(self._platform, resource.spec["RoleArn"], stream)

    async def say(self, resource: Resource, job: Job, text: str, once: str) -> None:
        """What must not be said twice, whatever happens in between. ``once``: its name, unique for ever."""
        stream = self._logged.stream(resource, job.hosts[0])
        await permitted.announce(self._platform, resource.spec["RoleArn"], stream, text, once)

    async def begin(self, resource: Resource, job: Job, document: Document) -> None:
        """What a reader of the log should know before the first line of user code.

        ``document``: the part of the create document that may ask for what changes nothing here.
        """
        words = (resource.state["software"]["notice"], unheeded(document))
        if text := "\n".join(filter(None, words)):
            await self.say(resource, job, text, once=f"notice/{resource.uid}")
