"""One request to the registry, and what it may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from wildsage.kit.context import Platform
from wildsage.objects.base import Blob
from wildsage.objects.handing import blob_of
from wildsage.services.ecr import names, uploads
from wildsage.services.ecr.distribution.paths import Place
from wildsage.services.ecr.names import Registry
from wildsage.services.ecr.tokens import Grant
from wildsage.store.codec import Document
from wildsage.store.resources import Resource
from wildsage.wire.http.lanes import LANE_HEADER, WITHHELD
from wildsage.wire.http.messages import Request

Permit = Callable[[Grant, str, str, Document], Awaitable[None]]
"""Raises ApiError unless whoever has the password may do that operation of ECR's: given the password's grant, the
region, the operation and its parameters. No operation: unless whoever has it is still there."""


class BytesWanted(Exception):
    """The request may send its body: the process that holds it back is to bring it to the disk."""


@dataclass(frozen=True, slots=True)
class Asking:
    """``grant``: whose password came along; None for a signed link, which may do what it names and nothing else."""

    platform: Platform
    request: Request
    place: Place
    query: dict[str, str]
    registry: Registry
    grant: Grant | None
    permit: Permit

    async def needs(self, operation: str, name: str = "") -> None:
        """Of the repository ``name``, else the path's, else the whole registry. Raises AccessDeniedException."""
        if self.grant is None:
            return
        given: Document = {"registryId": self.registry.account}
        if repository := name or self.place.name:
            given["repositoryName"] = repository
        await self.permit(self.grant, self.registry.region, operation, given)

    async def known(self) -> None:
        """Raises AccessDeniedException if whoever asked for the password has been deleted."""
        if self.grant is not None:
            await self.permit(self.grant, self.registry.region, "", {})

    async def repository(self) -> Resource:
        """The path's; raises RepositoryNotFoundException."""
        return await names.fetch_in(self.platform, self.registry, self.place.name)

    def header(self, name: str) -> str:
        return self.request.header(name) or ""

    async def receive(self, repository: Resource) -> Blob:
        """The body, on the disk. Raises BytesWanted where another process holds it, and shall write it."""
        lane = self.request.header(LANE_HEADER)
        if lane is None:
            return await uploads.receive(self.platform, repository, self.request.body)
        if lane == WITHHELD:
            raise BytesWanted
        stored = blob_of(lane, uploads.FOLDER)
        linked = await self.platform.objects.duplicate(uploads.FOLDER, repository.key.name, stored.name)
        return Blob(linked.name, stored.size, checksums=stored.checksums)
