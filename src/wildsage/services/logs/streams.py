"""Log streams: create, describe, delete."""

from __future__ import annotations

from wildsage.core import paging
from wildsage.kit.context import Context
from wildsage.kit.logstreams import STREAM_KIND, stream_key, topic
from wildsage.kit.operation import operation
from wildsage.services.logs import groups, names
from wildsage.store.codec import Document
from wildsage.store.facts import Window
from wildsage.store.resources import AlreadyExists, Missing, Query, Resource

_LIMIT = 50
_PAGE = 500


async def fetch(ctx: Context, group: str, stream: str) -> Resource:
    """The stream; raises ResourceNotFoundException for it or its group."""
    found = await ctx.platform.resources.get(stream_key(ctx.account, ctx.region, group, stream))
    if found is None:
        await groups.fetch(ctx, group)
        raise names.no_stream()
    return found


def name_of(stream: Resource) -> str:
    return stream.key.name.partition(":")[2]


@operation("CreateLogStream")
async def create_log_stream(ctx: Context, request: Document) -> Document:
    group, name = request["logGroupName"], request["logStreamName"]
    await groups.fetch(ctx, group)
    key = stream_key(ctx.account, ctx.region, group, name)
    try:
        await ctx.platform.resources.create(Resource(key=key, spec={}, created=ctx.now, modified=ctx.now))
    except AlreadyExists:
        raise names.stream_exists() from None
    return {}


@operation("DeleteLogStream")
async def delete_log_stream(ctx: Context, request: Document) -> Document:
    group, name = request["logGroupName"], request["logStreamName"]
    await groups.fetch(ctx, group)
    try:
        await ctx.platform.resources.remove(stream_key(ctx.account, ctx.region, group, name))
    except Missing:
        raise names.no_stream() from None
    await ctx.platform.facts.forget(topic(ctx.account, ctx.region, group), name)
    return {}


async def _describe(ctx: Context, group: str, stream: Resource) -> Document:
    name = name_of(stream)
    answer: Document = {
        "logStreamName": name,
        "creationTime": round(stream.created * 1000),
        "arn": names.stream_arn(ctx.region, ctx.account, group, name),
        "storedBytes": 0,
    }
    facts, where = ctx.platform.facts, topic(ctx.account, ctx.region, group)
    for first in await facts.read(Window(where, (name,), limit=1)):
        answer["firstEventTimestamp"] = first.at
    for last in await facts.read(Window(where, (name,), backward=True, limit=1)):
        answer["lastEventTimestamp"] = last.at
        answer["lastIngestionTime"] = last.ingested
        answer["uploadSequenceToken"] = f"{last.number:056d}"
    return answer


@operation("DescribeLogStreams")
async def describe_log_streams(ctx: Context, request: Document) -> Document:
    group = names.group_of(request)
    await groups.fetch(ctx, group)
    if request.get("orderBy") == "LastEventTime":
        return await _by_last_event(ctx, group, request)
    page = await ctx.platform.resources.page(
        Query(
            STREAM_KIND,
            ctx.account,
            ctx.region,
            limit=request.get("limit", _LIMIT),
            sort="name",
            descending=bool(request.get("descending")),
            name_prefix=f"{group}:{request.get('logStreamNamePrefix', '')}",
            after=groups.position(request.get("nextToken")),
        )
    )
    answer: Document = {"logStreams": [await _describe(ctx, group, stream) for stream in page.items]}
    if page.following is not None:
        answer["nextToken"] = paging.encode(page.following)
    return answer


async def all_of(ctx: Context, group: str, prefix: str = "") -> list[Resource]:
    """Every stream of a group whose name begins with ``prefix``, by name."""
    found: list[Resource] = []
    query = Query(
        STREAM_KIND,
        ctx.account,
        ctx.region,
        limit=_PAGE,
        sort="name",
        descending=False,
        name_prefix=f"{group}:{prefix}",
    )
    while True:
        page = await ctx.platform.resources.page(query)
        found += page.items
        if page.following is None:
            return found
        query = Query(
            STREAM_KIND,
            ctx.account,
            ctx.region,
            limit=_PAGE,
            sort="name",
            descending=False,
            name_prefix=f"{group}:{prefix}",
            after=page.following,
        )


async def _by_last_event(ctx: Context, group: str, request: Document) -> Document:
    """The one order no index has: every stream of the group is looked at."""
    if request.get("logStreamNamePrefix"):
        raise names.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    described = [await _describe(ctx, group, stream) for stream in await all_of(ctx, group)]
    described.sort(
        key=lambda each: (each.get("lastEventTimestamp", 0), each["logStreamName"]),
        reverse=bool(request.get("descending")),
    )
    try:
        start = paging.offset(request.get("nextToken"))
    except ValueError:
        raise names.invalid("The specified nextToken is invalid.") from None
    end = start + request.get("limit", _LIMIT)
    answer: Document = {"logStreams": described[start:end]}
    if end < len(described):
        answer["nextToken"] = paging.encode(end)
    return answer
