"""Log groups: create, describe, delete, retention."""

from __future__ import annotations

from typing import Any

from wildsage.core import paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.logstreams import GROUP_KIND, STREAM_KIND, group_key, topic
from wildsage.kit.operation import operation
from wildsage.services.logs import names
from wildsage.store.codec import Document
from wildsage.store.resources import AlreadyExists, Missing, Query, Resource

_LIMIT = 50
RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


async def fetch(ctx: Context, name: str) -> Resource:
    """The group; raises ResourceNotFoundException."""
    found = await ctx.platform.resources.get(group_key(ctx.account, ctx.region, name))
    if found is None:
        raise names.no_group()
    return found


def position(token: str | None) -> tuple[Any, int] | None:
    """Where a Describe operation goes on; raises InvalidParameterException."""
    try:
        return paging.position(token)
    except ValueError:
        raise names.invalid("The specified nextToken is invalid.") from None


@operation("CreateLogGroup")
async def create_log_group(ctx: Context, request: Document) -> Document:
    key = group_key(ctx.account, ctx.region, request["logGroupName"])
    spec = {name: request[name] for name in ("logGroupClass", "kmsKeyId") if request.get(name)}
    group = Resource(key=key, spec=spec, tags=dict(request.get("tags") or {}), created=ctx.now, modified=ctx.now)
    try:
        await ctx.platform.resources.create(group)
    except AlreadyExists:
        raise names.group_exists() from None
    return {}


def _describe(group: Resource) -> Document:
    arn = names.group_arn(group.key.region, group.key.account, group.key.name)
    answer: Document = {
        "logGroupName": group.key.name,
        "creationTime": round(group.created * 1000),
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "logGroupClass": group.spec.get("logGroupClass", "STANDARD"),
        "storedBytes": 0,
    }
    if "retentionInDays" in group.status:
        answer["retentionInDays"] = group.status["retentionInDays"]
    if "kmsKeyId" in group.spec:
        answer["kmsKeyId"] = group.spec["kmsKeyId"]
    return answer


@operation("DescribeLogGroups")
async def describe_log_groups(ctx: Context, request: Document) -> Document:
    if request.get("logGroupNamePrefix") and request.get("logGroupNamePattern"):
        raise names.invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    page = await ctx.platform.resources.page(
        Query(
            GROUP_KIND,
            ctx.account,
            ctx.region,
            limit=request.get("limit", _LIMIT),
            sort="name",
            descending=False,
            name_prefix=request.get("logGroupNamePrefix", ""),
            name_contains=request.get("logGroupNamePattern", ""),
            after=position(request.get("nextToken")),
        )
    )
    answer: Document = {"logGroups": [_describe(group) for group in page.items]}
    if page.following is not None:
        answer["nextToken"] = paging.encode(page.following)
    return answer


@operation("DeleteLogGroup")
async def delete_log_group(ctx: Context, request: Document) -> Document:
    name = request["logGroupName"]
    try:
        await ctx.platform.resources.remove(group_key(ctx.account, ctx.region, name))
    except Missing:
        raise names.no_group() from None
    query = Query(STREAM_KIND, ctx.account, ctx.region, limit=500, sort="name", name_prefix=f"{name}:")
    while streams := (await ctx.platform.resources.page(query)).items:
        for stream in streams:
            await ctx.platform.resources.remove(stream.key)
    await ctx.platform.facts.forget(topic(ctx.account, ctx.region, name))
    return {}


async def _retain(ctx: Context, name: str, days: int | None) -> None:
    def change(group: Resource) -> None:
        group.status = {} if days is None else {"retentionInDays": days}

    try:
        await ctx.platform.resources.edit(group_key(ctx.account, ctx.region, name), change)
    except Missing:
        raise names.no_group() from None


@operation("PutRetentionPolicy", runs=False)
async def put_retention_policy(ctx: Context, request: Document) -> Document:
    """Kept and described; nothing is deleted yet when the days are over."""
    days = request["retentionInDays"]
    if days not in RETENTIONS:
        raise ApiError(
            "InvalidParameterException",
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, RETENTIONS))}]",
        )
    await _retain(ctx, request["logGroupName"], days)
    return {}


@operation("DeleteRetentionPolicy", runs=False)
async def delete_retention_policy(ctx: Context, request: Document) -> Document:
    await _retain(ctx, request["logGroupName"], None)
    return {}
