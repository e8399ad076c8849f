"""The operations that follow from a ``Kind``.

describe_model = described(MODEL)
list_models = listed(MODEL)
delete_model = deleted(MODEL)
"""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.kind import Kind
from wildsage.kit.operation import Operation
from wildsage.store.codec import Document


def named(kind: Kind, request: Document) -> str:
    """The name of the resource that a request is about."""
    name: str = request[f"{kind.noun}Name"]
    return name


def described(kind: Kind) -> Operation:
    """``Describe<Noun>``: the create document, status, name, ARN and times."""

    async def describe(ctx: Context, request: Document) -> Document:
        return kind.describe(await crud.fetch(ctx, kind, named(kind, request)))

    return Operation(f"Describe{kind.noun}", describe)


def listed(kind: Kind) -> Operation:
    """``List<Noun>s`` with the filters, orders and pages that AWS's List operations share."""

    async def list_(ctx: Context, request: Document) -> Document:
        return await crud.list_page(ctx, kind, request)

    return Operation(f"List{kind.noun}s", list_)


def deleted(kind: Kind) -> Operation:
    """``Delete<Noun>`` of a resource that has nothing running behind it."""

    async def delete(ctx: Context, request: Document) -> Document:
        await crud.delete(ctx, kind, named(kind, request))
        return {}

    return Operation(f"Delete{kind.noun}", delete)
