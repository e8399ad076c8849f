"""Queues: create, find, list, delete, attributes, purge."""

from __future__ import annotations

from collections.abc import Mapping

from wildsage.core import arn, paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.sqs import attributes, names
from wildsage.store.codec import Document
from wildsage.store.messages import Messages
from wildsage.store.resources import AlreadyExists, Key, Missing, Query, Resource

KIND = "sqs-queue"
_MOST_LISTED = 1000


def topic(uid: str) -> str:
    """The hint that a queue may have something to receive."""
    return f"queue {uid}"


def kept(queue: Resource) -> Mapping[str, str]:
    """The attributes that were set."""
    found: Mapping[str, str] = queue.status["Attributes"]
    return found


def is_ordered(queue: Resource) -> bool:
    return queue.key.name.endswith(".fifo")


def arn_of(queue: Resource) -> str:
    return names.queue_arn(queue.key.region, queue.key.account, queue.key.name)


def oldest(queue: Resource, now: float) -> float:
    """What was sent before then is gone."""
    return now - attributes.number(kept(queue), "MessageRetentionPeriod")


async def find(ctx: Context, queue_arn: str) -> Resource | None:
    """The queue of an ARN of this region, if there is one."""
    parsed = arn.parse(queue_arn)
    if parsed.region != ctx.region:
        return None
    return await ctx.platform.resources.get(Key(KIND, parsed.account, parsed.region, parsed.resource))


async def fetch(ctx: Context, request: Document) -> Resource:
    """The queue of the request's URL; raises QueueDoesNotExist."""
    account, name = names.account_and_name(names.text_of(request, "QueueUrl"))
    found = await ctx.platform.resources.get(Key(KIND, account, ctx.region, name))
    if found is None:
        raise names.no_queue()
    return found


@operation("CreateQueue")
async def create_queue(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"""
    name = names.text_of(request, "QueueName")
    given = request.get("Attributes") or {}
    names.check_name(name, str(given.get("FifoQueue", "false")).lower() == "true")
    checked = attributes.check(given, name)
    queue = Resource(
        Key(KIND, ctx.account, ctx.region, name),
        spec={},
        status={"Attributes": {attribute: value for attribute, value in checked.items() if value != ""}},
        tags=dict(request.get("tags") or {}),
        created=ctx.now,
        modified=ctx.now,
    )
    await _check_redrive(ctx, queue, checked)
    try:
        await ctx.platform.resources.create(queue)
    except AlreadyExists as error:
        _check_same(error.existing, checked)
    return {"QueueUrl": names.queue_url(ctx, ctx.account, name)}


def _check_same(existing: Resource, asked: Mapping[str, str]) -> None:
    """Creating again what is there is no error, unless it is asked to be different."""
    there = attributes.shown(kept(existing), is_ordered(existing))
    for attribute, value in asked.items():
        if there.get(attribute, "") != value:
            raise ApiError(
                "QueueNameExists",
                f"A queue already exists with the same name and a different value for attribute {attribute}",
            )


async def _check_redrive(ctx: Context, queue: Resource, given: Mapping[str, str]) -> None:
    redrive = attributes.redrive_of(given)
    if redrive is None:
        return
    dead = await find(ctx, redrive.target)
    reason = ""
    if dead is None:
        reason = "Dead letter target does not exist."
    elif dead.uid == queue.uid:
        reason = "A queue cannot be its own dead-letter queue."
    elif is_ordered(dead) != is_ordered(queue):
        reason = "Dead-letter queue must be same type of queue as the source."
    elif not attributes.allows_source(kept(dead), arn_of(queue)):
        reason = "Queue does not have permission to use the dead-letter queue (RedriveAllowPolicy)."
    if reason:
        raise names.out_of_range("RedrivePolicy", given["RedrivePolicy"], reason)


@operation("GetQueueUrl")
async def get_queue_url(ctx: Context, request: Document) -> Document:
    account = request.get("QueueOwnerAWSAccountId") or ctx.account
    name = names.text_of(request, "QueueName")
    if await ctx.platform.resources.get(Key(KIND, account, ctx.region, name)) is None:
        raise names.no_queue()
    return {"QueueUrl": names.queue_url(ctx, account, name)}


@operation("ListQueues")
async def list_queues(ctx: Context, request: Document) -> Document:
    """Without MaxResults the first 1,000 queues and no NextToken, as in AWS."""
    found = await ctx.platform.resources.page(
        Query(
            KIND,
            ctx.account,
            ctx.region,
            limit=_limit(request),
            sort="name",
            descending=False,
            name_prefix=request.get("QueueNamePrefix") or "",
            after=_position(request.get("NextToken")),
        )
    )
    answer: Document = {}
    if found.items:
        answer["QueueUrls"] = [names.queue_url(ctx, each.key.account, each.key.name) for each in found.items]
    if found.following is not None and request.get("MaxResults"):
        answer["NextToken"] = paging.encode(found.following)
    return answer


def _limit(request: Document) -> int:
    limit = request.get("MaxResults")
    if limit is None:
        return _MOST_LISTED
    if not 1 <= limit <= _MOST_LISTED:
        raise names.out_of_range("MaxResults", limit, f"Must be between 1 and {_MOST_LISTED}, if provided.")
    return int(limit)


def _position(token: str | None) -> tuple[str, int] | None:
    try:
        return paging.position(token)
    except ValueError:
        raise names.invalid("Invalid or expired next token.") from None


@operation("DeleteQueue")
async def delete_queue(ctx: Context, request: Document) -> Document:
    queue = await fetch(ctx, request)
    try:
        await ctx.platform.resources.remove(queue.key)
    except Missing:
        raise names.no_queue() from None
    await Messages(ctx.platform.database).clear(queue.uid)
    return {}


@operation("PurgeQueue")
async def purge_queue(ctx: Context, request: Document) -> Document:
    queue = await fetch(ctx, request)
    await Messages(ctx.platform.database).clear(queue.uid)
    return {}


@operation("GetQueueAttributes")
async def get_queue_attributes(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html"""
    queue = await fetch(ctx, request)
    wanted = set(request.get("AttributeNames") or ())
    for attribute in wanted - attributes.KNOWN:
        raise ApiError("InvalidAttributeName", f"Unknown Attribute {attribute}.")
    told = attributes.shown(kept(queue), is_ordered(queue))
    told |= {
        "QueueArn": arn_of(queue),
        "CreatedTimestamp": str(int(queue.created)),
        "LastModifiedTimestamp": str(int(queue.modified)),
    }
    if wanted & {"All", *attributes.COUNTED}:
        counts = await Messages(ctx.platform.database).counts(queue.uid, ctx.now, oldest(queue, ctx.now))
        numbers = (counts.visible, counts.in_flight, counts.delayed)
        told |= {name: str(number) for name, number in zip(attributes.COUNTED, numbers, strict=True)}
    chosen = {name: value for name, value in told.items() if "All" in wanted or name in wanted}
    return {"Attributes": chosen} if chosen else {}


@operation("SetQueueAttributes")
async def set_queue_attributes(ctx: Context, request: Document) -> Document:
    queue = await fetch(ctx, request)
    given = attributes.check(request.get("Attributes") or {}, queue.key.name)
    if "FifoQueue" in given:
        raise ApiError("InvalidAttributeName", "Unknown Attribute FifoQueue.")
    await _check_redrive(ctx, queue, given)
    await change_attributes(ctx, queue, given)
    return {}


async def change_attributes(ctx: Context, queue: Resource, given: Mapping[str, str]) -> None:
    """Replaces attributes; an empty value takes one away. Raises QueueDoesNotExist."""

    def change(found: Resource) -> None:
        merged = {**found.status["Attributes"], **given}
        found.status["Attributes"] = {name: value for name, value in merged.items() if value != ""}
        found.modified = ctx.now

    try:
        await ctx.platform.resources.edit(queue.key, change)
    except Missing:
        raise names.no_queue() from None
    ctx.platform.hints.notify(topic(queue.uid))


@operation("ListDeadLetterSourceQueues")
async def list_dead_letter_source_queues(ctx: Context, request: Document) -> Document:
    """The member of the answer is called queueUrls, in small letters."""
    mine = arn_of(await fetch(ctx, request))
    sources = [
        names.queue_url(ctx, each.key.account, each.key.name)
        for each in await ctx.platform.resources.all_of(KIND)
        if each.key.region == ctx.region
        and (redrive := attributes.redrive_of(kept(each))) is not None
        and redrive.target == mine
    ]
    try:
        start = paging.offset(request.get("NextToken"))
    except ValueError:
        raise names.invalid("Invalid or expired next token.") from None
    end = start + _limit(request)
    answer: Document = {"queueUrls": sources[start:end]}
    if len(sources) > end and request.get("MaxResults"):
        answer["NextToken"] = paging.encode(end)
    return answer
