"""Tags of queues, and permissions by label."""

from __future__ import annotations

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.kit.permissions import add_permission, remove_permission
from wildsage.services.sqs import names, queues
from wildsage.store.codec import Document
from wildsage.store.resources import Missing

_MOST_TAGS = 50
_ACTIONS = frozenset(
    {"*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"}
    | {"GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue"}
)


@operation("TagQueue")
async def tag_queue(ctx: Context, request: Document) -> Document:
    queue = await queues.fetch(ctx, request)
    new = request.get("Tags") or {}

    def change(tags: dict[str, str]) -> dict[str, str]:
        merged = {**tags, **new}
        if len(merged) > _MOST_TAGS:
            raise names.invalid(f"Too many tags added for queue {queue.key.name}.")
        return merged

    try:
        await ctx.platform.resources.retag(queue.key, change)
    except Missing:
        raise names.no_queue() from None
    return {}


@operation("UntagQueue")
async def untag_queue(ctx: Context, request: Document) -> Document:
    queue = await queues.fetch(ctx, request)
    gone = set(request.get("TagKeys") or ())
    try:
        await ctx.platform.resources.retag(queue.key, lambda tags: {k: v for k, v in tags.items() if k not in gone})
    except Missing:
        raise names.no_queue() from None
    return {}


@operation("ListQueueTags")
async def list_queue_tags(ctx: Context, request: Document) -> Document:
    queue = await queues.fetch(ctx, request)
    return {"Tags": queue.tags} if queue.tags else {}


@operation("AddPermission")
async def add(ctx: Context, request: Document) -> Document:
    queue = await queues.fetch(ctx, request)
    for action in request.get("Actions") or ():
        if action not in _ACTIONS:
            raise names.out_of_range("ActionName", action, "Only the queue owner is allowed to invoke this action.")
    accounts, actions = request["AWSAccountIds"], [f"SQS:{action}" for action in request["Actions"]]
    policy = add_permission(queues.kept(queue).get("Policy"), queues.arn_of(queue), request["Label"], accounts, actions)
    if policy is None:
        raise names.out_of_range("Label", request["Label"], "Already exists.")
    await queues.change_attributes(ctx, queue, {"Policy": policy})
    return {}


@operation("RemovePermission")
async def remove(ctx: Context, request: Document) -> Document:
    queue = await queues.fetch(ctx, request)
    policy = remove_permission(queues.kept(queue).get("Policy"), queues.arn_of(queue), request["Label"])
    if policy is None:
        raise ApiError(
            "InvalidParameterValue",
            f"Value {request['Label']} for parameter Label is invalid. Reason: can't find label on existing policy.",
        )
    await queues.change_attributes(ctx, queue, {"Policy": policy})
    return {}
