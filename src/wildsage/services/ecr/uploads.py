"""Uploads of layers: begin, take bytes, finish. The one way of layers in, for both APIs."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.objects.base import Blob, NoSpace
from wildsage.services.ecr import names
from wildsage.store.layers import Layer, Layers, NoRepository, NoUpload, OutOfOrder, Piece
from wildsage.store.resources import Resource

FOLDER: Final = "ECR"
"""Of layers among the objects: no bucket's, whose names are in small letters."""
_SHA256: Final = "SHA256"

Receive = Callable[[], Awaitable[Blob]]
"""Brings bytes to the disk: a blob with its SHA-256, in ``FOLDER``."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way, in ``repository``."""

    platform: Platform
    repository: Resource
    id: str

    @property
    def _layers(self) -> Layers:
        return Layers(self.platform.database)

    async def size(self) -> int:
        """How many bytes have come. Raises UploadNotFoundException."""
        return _end(await self._pieces())

    async def part_sizes(self) -> list[int]:
        """The bytes of each part. Raises UploadNotFoundException."""
        return [piece.size for piece in await self._pieces()]

    async def take(self, receive: Receive, said: tuple[int, int] | None = None) -> int:
        """Appends what ``receive`` brings and returns how many bytes there are then.

        ``said``: where the client says that it begins, and its size. Raises UploadNotFoundException,
        InvalidLayerPartException where it does not begin where the upload ends, InvalidParameterException for its size.
        """
        there = _end(await self._pieces())
        if said is not None and said[0] != there:
            raise self._misplaced(there)
        blob = await receive()
        if said is not None and said[1] != blob.size:
            await self.platform.objects.discard([blob.name])
            raise names.invalid(f"The part has {blob.size} bytes, but its range says {said[1]}")
        if not blob.size:
            await self.platform.objects.discard([blob.name])
            return there
        piece = Piece(there, blob.size, digest_of(blob), blob.name)
        try:
            await self._layers.append(self.repository.uid, self.id, piece, self.platform.clock.now())
        except (NoUpload, OutOfOrder, OSError) as error:
            await self.platform.objects.discard([blob.name])
            if isinstance(error, OutOfOrder):
                raise self._misplaced(error.size) from None
            if isinstance(error, OSError):
                raise
            raise names.no_upload(self.repository.key, self.id) from None
        await self.platform.objects.keep(blob.name)
        return there + blob.size

    async def finish(self, digests: Collection[str]) -> Layer:
        """Makes a layer of it. ``digests``: what the client says, of which one must be its own.

        Raises UploadNotFoundException, or InvalidLayerException, after which the upload is gone.
        """
        pieces = await self._pieces()
        is_new = len(pieces) != 1
        if is_new:
            blob = await receive(self.platform, self.repository, _Joined(self.platform, pieces))
            layer = Layer(digest_of(blob), blob.size, blob.name)
        else:
            layer = Layer(pieces[0].digest, pieces[0].size, pieces[0].blob)
        if layer.digest not in digests:
            if is_new:
                await self.platform.objects.discard([layer.blob])
            await self.abort()
            raise ApiError(
                "InvalidLayerException",
                f"The digest of the uploaded bytes is {layer.digest}, not {', '.join(digests)[:200]}",
            )
        registry, now = names.home(self.repository).place, self.platform.clock.now()
        try:
            await self._layers.complete(registry, self.repository.uid, self.id, len(pieces), layer, now)
        except (NoUpload, OSError) as error:
            if is_new:
                await self.platform.objects.discard([layer.blob])
            if isinstance(error, OSError):
                raise
            raise names.no_upload(self.repository.key, self.id) from None
        if is_new:
            await self.platform.objects.keep(layer.blob)
        return layer

    async def abort(self) -> None:
        """Raises UploadNotFoundException."""
        try:
            await self._layers.abort(self.repository.uid, self.id, self.platform.clock.now())
        except NoUpload:
            raise names.no_upload(self.repository.key, self.id) from None

    async def _pieces(self) -> list[Piece]:
        try:
            return await self._layers.pieces(self.repository.uid, self.id)
        except NoUpload:
            raise names.no_upload(self.repository.key, self.id) from None

    def _misplaced(self, size: int) -> ApiError:
        key = self.repository.key
        return ApiError(
            "InvalidLayerPartException",
            f"The part does not begin where the upload ends, at byte {size}",
            400,
            {
                "registryId": key.account,
                "repositoryName": key.name,
                "uploadId": self.id,
                "lastValidByteReceived": size - 1,
            },
        )


async def begin(platform: Platform, repository: Resource) -> Upload:
    """Raises RepositoryNotFoundException."""
    upload = str(uuid.uuid4())
    try:
        await Layers(platform.database).begin(repository.uid, upload, platform.clock.now())
    except NoRepository:
        raise names.no_repository(repository.key) from None
    return Upload(platform, repository, upload)


async def receive(platform: Platform, repository: Resource, body: AsyncIterable[bytes]) -> Blob:
    """Writes ``body`` to the disk. Raises ApiError for a full one."""
    try:
        return await platform.objects.write(FOLDER, repository.key.name, body, (_SHA256,), md5=False)
    except NoSpace as error:
        raise ApiError("ServerException", f"{error} Free some space and try again.", 507) from error


def digest_of(blob: Blob) -> str:
    return f"sha256:{blob.checksums[_SHA256].hex()}"


def _end(pieces: Sequence[Piece]) -> int:
    return pieces[-1].first + pieces[-1].size if pieces else 0


class _Joined:
    """The bytes of pieces, one after another."""

    def __init__(self, platform: Platform, pieces: Sequence[Piece]) -> None:
        self._platform = platform
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            async for chunk in self._platform.objects.read(piece.blob, 0, piece.size):
                yield chunk
