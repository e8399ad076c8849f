"""The way of bytes into the store: written and verified, then indexed, then kept, or nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Collection, Mapping
from typing import Final, Protocol, TypeVar, runtime_checkable

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.objects.base import Blob
from wildsage.objects.rules import checksums, telling
from wildsage.objects.rules.checksums import Demand
from wildsage.services.s3 import errors
from wildsage.services.s3.access import GARBAGE, UNSYNCED
from wildsage.services.s3.notifications import events
from wildsage.store.codec import Document
from wildsage.wire.http.messages import BytesBody

T = TypeVar("T")
SMALL: Final = 64 * 1024
"""Bodies up to this are made durable by the commit of their row."""


@runtime_checkable
class Trailed(Protocol):
    """A body that was followed by trailers, known once it is read: lower-case name → value."""

    @property
    def trailers(self) -> Mapping[str, str]: ...


def demand_of(ctx: Context, request: Document) -> Demand:
    """What the request states of the checksum of its body."""
    trailer = None if ctx.request is None else ctx.request.header("x-amz-trailer")
    return checksums.read_demand(request, trailer, from_client=ctx.request is not None)


async def receive(
    ctx: Context,
    request: Document,
    demand: Demand,
    algorithms: Collection[str],
    key: bytes | None = None,
    small: int = 0,
) -> Blob:
    """Stores the request's body as a blob that nothing names yet, verified against what was stated.

    ``key``: it is sealed under that. ``small``: up to which size its bytes may go into its row's transaction.
    """
    body: AsyncIterable[bytes] = request.get("Body") or BytesBody()
    if isinstance(body, bytes):
        body = BytesBody(body)
    length = request.get("ContentLength")
    if length is not None and length > telling.LARGEST:
        raise ApiError(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            400,
            {"ProposedSize": str(length), "MaxSizeAllowed": str(telling.LARGEST)},
        )
    objects = ctx.platform.objects
    with errors.store_errors(request["Bucket"]):
        blob = await objects.write(request["Bucket"], request["Key"], body, algorithms, key, small)
    try:
        _check_length(ctx, blob)
        checksums.verify(demand, blob, body.trailers if isinstance(body, Trailed) else {})
    except ApiError:
        await objects.discard([blob.name])
        raise
    return blob


def _check_length(ctx: Context, blob: Blob) -> None:
    """A chunked body says its real length in a header of its own."""
    stated = None if ctx.request is None else ctx.request.header("x-amz-decoded-content-length")
    if stated is not None and stated != str(blob.size):
        raise ApiError(
            "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header", 400
        )
    if blob.size > telling.LARGEST:
        raise ApiError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400)


async def commit(ctx: Context, bucket: str, blob: Blob, indexing: Awaitable[T]) -> T:
    """Awaits the index's commit and settles the blob accordingly, even if the caller goes away meanwhile."""

    async def work() -> T:
        objects = ctx.platform.objects
        try:
            with errors.store_errors(bucket):
                result = await indexing
        except BaseException:
            await objects.discard([blob.name])
            raise
        await objects.keep(blob.name)
        ctx.platform.hints.notify(GARBAGE)
        if blob.unsynced is not None:
            ctx.platform.hints.notify(UNSYNCED, blob.name)
        events.hint(ctx.platform)
        return result

    return await asyncio.shield(asyncio.ensure_future(work()))
