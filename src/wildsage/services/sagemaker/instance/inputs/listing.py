"""Which objects a channel consists of, asked of S3 as the job's role."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.errors import ApiError, ClientFault, JobFault
from wildsage.services.sagemaker.instance import faults
from wildsage.services.sagemaker.instance.inputs import manifests
from wildsage.services.sagemaker.instance.inputs.channel import Channel, Origin
from wildsage.services.sagemaker.instance.places import Location, parse, relative
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.wire.http.messages import BodyTooLarge

_MANIFEST_LIMIT = 128 << 20
_MISSING = ("NoSuchKey", "404")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a channel. ``base``: what comes before its path in the channel's folder. ``size``: if known."""

    place: Location
    base: str
    size: int | None = None

    @property
    def path(self) -> str:
        """Where it lies in the channel's folder; with a slash at the end it is a folder. Raises ClientFault."""
        return relative(self.base, self.place.key)

    @property
    def is_folder(self) -> bool:
        """Whether it only stands for a folder, as consoles make them."""
        return self.place.key.endswith("/")


@dataclass(frozen=True, slots=True)
class Reader:
    """S3 as one job's role reads it. Everything raises JobFault, in AWS's words where they are known, and OSError.

    ``copies``: what is placed will be written to.
    """

    transfers: Transfers
    role_arn: str
    region: str
    copies: bool = False

    async def objects(self, channel: Channel) -> list[Entry]:
        """All objects of an S3Prefix or ManifestFile, in the order of S3's listing or of the manifest."""
        if channel.origin is Origin.MANIFEST:
            text = await self._manifest(channel)
            prefix, rest = await asyncio.to_thread(manifests.manifest, text, channel.uri)
            return [Entry(Location(prefix.bucket, prefix.key + each), prefix.key) for each in rest]
        prefix = parse(channel.uri)
        try:
            found = [each async for page in self.transfers.listed(prefix) for each in page]
        except ApiError as error:
            raise faults.of_download(error, channel.uri, self.role_arn, self.region) from error
        if not found:
            raise faults.no_objects(channel.uri, self.role_arn, self.region)
        return [Entry(Location(prefix.bucket, key), prefix.key, size) for key, size in found]

    async def lines(self, channel: Channel) -> list[tuple[int, bytes]]:
        """The lines of an AugmentedManifestFile that hold something, with their numbers from 1."""
        text = await self._manifest(channel)
        found = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
        if not found:
            raise ClientFault(f"ClientError: Data download failed:The manifest {channel.uri} has no lines.")
        return found

    async def place(self, channel: Channel, place: Location, target: Path) -> None:
        """One object of the channel as a file; unless ``copies``, it may be the stored bytes themselves."""
        try:
            await (self.transfers.download if self.copies else self.transfers.place)(place, target)
        except ApiError as error:
            raise self._refused(error, channel, place) from error

    async def _manifest(self, channel: Channel) -> bytes:
        try:
            return await self.transfers.read(parse(channel.uri), _MANIFEST_LIMIT)
        except ApiError as error:
            raise self._refused(error, channel, parse(channel.uri)) from error
        except BodyTooLarge as error:
            raise ClientFault(f"ClientError: Data download failed:The manifest {channel.uri} has {error}.") from error

    def _refused(self, error: ApiError, channel: Channel, place: Location) -> JobFault:
        """S3 did not give an object of the channel."""
        if error.code not in _MISSING:
            return faults.of_download(error, str(place), self.role_arn, self.region)
        if str(place) == channel.uri or channel.origin is Origin.PREFIX:
            return faults.no_objects(str(place), self.role_arn, self.region)
        return ClientFault(
            f"ClientError: Data download failed:The object {place}, which the manifest {channel.uri} names, does not "
            "exist."
        )
