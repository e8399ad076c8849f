"""How a job of any kind is stopped and deleted through the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import named
from wildsage.kit.kind import Kind
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import Resource

STOP = "stop"
TERMINAL = ("Completed", "Failed", "Stopped")


async def stop(ctx: Context, kind: Kind, request: Document, shown: Callable[[Resource], Document]) -> Document:
    """Stop<Noun>. ``shown``: the status that the job then has. Raises ValidationError for a job that has ended."""
    name = named(kind, request)
    found = await crud.fetch(ctx, kind, name)
    if found.wish == STOP and found.phase not in TERMINAL:
        return {}  # asked already; the grace it has left does not begin anew
    now = ctx.now

    def change(job: Resource) -> None:
        if job.phase in TERMINAL:
            raise ValidationError(f"The request was rejected because the {_words(kind)} is in status {job.phase}.")
        job.wish = STOP
        job.phase = "Stopping"
        job.status = shown(job)
        job.state = {**job.state, "stopping": now}

    await crud.edit(ctx, kind, name, change)
    return {}


async def delete(ctx: Context, kind: Kind, request: Document, beside: Iterable[Write] = ()) -> Document:
    """Delete<Noun>: only a job that has ended can be deleted (API reference). Raises ResourceInUse.

    What is ``beside`` is done in the same transaction.
    """
    name = named(kind, request)
    found = await crud.fetch(ctx, kind, name)
    if found.phase not in TERMINAL:
        raise ApiError(
            "ResourceInUse",
            f"The {_words(kind)} {kind.arn(found.key)} is in status {found.phase}. Stop it, or wait for its end, "
            "before deleting it.",
        )
    await crud.delete(ctx, kind, name, beside)
    return {}


def _words(kind: Kind) -> str:
    return kind.resource_type.replace("-", " ")
