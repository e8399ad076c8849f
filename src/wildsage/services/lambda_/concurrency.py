"""How many events at once: reserved concurrency, and the account's limits."""

from __future__ import annotations

from typing import Any

from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.lambda_ import rules
from wildsage.services.lambda_.names import KIND, fetch, invalid, no_function
from wildsage.store.codec import Document
from wildsage.store.resources import Missing, Resource

_CODE_BYTES = 80_530_636_800
"""TotalCodeSize of AWS's accounts; the disk is the limit here."""


@operation("PutFunctionConcurrency")
async def put_function_concurrency(ctx: Context, request: Document) -> Document:
    wanted: int = request["ReservedConcurrentExecutions"]
    most = ctx.platform.settings.functions.concurrency
    if wanted > most:
        raise invalid(
            f"Specified ReservedConcurrentExecutions for function is more than the {most} events that this server "
            "works on at once (WILDSAGE_LAMBDA_CONCURRENCY)."
        )
    await _reserve(ctx, request, wanted)
    return {"ReservedConcurrentExecutions": wanted}


@operation("GetFunctionConcurrency")
async def get_function_concurrency(ctx: Context, request: Document) -> Document:
    reserved = (await fetch(ctx, request)).state.get("reserved")
    return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}


@operation("DeleteFunctionConcurrency")
async def delete_function_concurrency(ctx: Context, request: Document) -> Document:
    await _reserve(ctx, request, None)
    return {}


async def _reserve(ctx: Context, request: Document, wanted: int | None) -> None:
    function = await fetch(ctx, request)

    def change(found: Resource) -> None:
        found.state = {**found.state, "reserved": wanted}

    try:
        await ctx.platform.resources.edit(function.key, change)
    except Missing:
        raise no_function(function.key) from None


@operation("GetAccountSettings")
async def get_account_settings(ctx: Context, _request: Document) -> Document:
    mine: list[dict[str, Any]] = [
        each.state
        for each in await ctx.platform.resources.all_of(KIND)
        if (each.key.account, each.key.region) == (ctx.account, ctx.region)
    ]
    most = ctx.platform.settings.functions.concurrency
    reserved = sum(each.get("reserved") or 0 for each in mine)
    return {
        "AccountLimit": {
            "TotalCodeSize": _CODE_BYTES,
            "CodeSizeUnzipped": rules.UNPACKED_BYTES,
            "CodeSizeZipped": rules.ZIP_BYTES,
            "ConcurrentExecutions": most,
            "UnreservedConcurrentExecutions": max(most - reserved, 0),
        },
        "AccountUsage": {"TotalCodeSize": sum(each["size"] for each in mine), "FunctionCount": len(mine)},
    }
