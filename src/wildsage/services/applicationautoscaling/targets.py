"""Scalable targets: register, describe, deregister, tag."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.context import Context
from wildsage.kit.kind import DUE, amend, shown
from wildsage.kit.operation import operation
from wildsage.services.applicationautoscaling import activities, alarms, memory, names, pages, role, world
from wildsage.services.applicationautoscaling import target as targets
from wildsage.services.applicationautoscaling.names import Variant
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import AlreadyExists, Key, Resource

_MOST_TAGS = 50


@operation("RegisterScalableTarget")
async def register_scalable_target(ctx: Context, request: Document) -> Document:
    """Adds a variant, or changes what was given of one that is registered: bounds act at once."""
    variant = names.variant_of(request)
    fewest = await _fewest(ctx, variant)

    def change(target: Resource) -> None:
        if request.get("Tags"):
            raise ValidationError(
                "The scalable target that you tried to tag already exists. To update tags on an existing scalable "
                "target, use the TagResource API."
            )
        bounds = {name: request[name] for name in ("MinCapacity", "MaxCapacity") if request.get(name) is not None}
        target.status = {**target.status, **bounds}
        targets.check_bounds(target.status, fewest)
        if request.get("SuspendedState") is not None:
            target.spec = {**target.spec, "SuspendedState": _suspended(request)}
        target.state = memory.bounded(target.state, memory.changes(bounds))

    try:
        found = await targets.edit(ctx, variant, change)
    except ApiError as error:
        if error.code != "ObjectNotFoundException":
            raise
        found = await _register(ctx, variant, request, fewest)
    return {"ScalableTargetARN": targets.arn_of(found)}


async def _register(ctx: Context, variant: Variant, request: Document, fewest: int) -> Resource:
    bounds = {}
    for member in ("MinCapacity", "MaxCapacity"):
        if request.get(member) is None:
            raise ValidationError(f"{member} is required to register a scalable target: {variant.resource_id}.")
        bounds[member] = request[member]
    targets.check_bounds(bounds, fewest)
    now = shown(ctx.now)
    new = Resource(
        targets.key_of(ctx, variant),
        {"Id": secrets.token_hex(18), "SuspendedState": _suspended(request), "Policies": {}, "ScheduledActions": {}},
        status=bounds,
        state=memory.bounded({}, memory.changes(bounds)),
        tags=dict(request.get("Tags") or {}),
        created=now,
        modified=now,
        due=ctx.now,
    )
    try:
        await ctx.platform.resources.create(new)
    except AlreadyExists:
        return await _register_again(ctx, new)
    ctx.platform.hints.notify(DUE)
    return new


async def _register_again(ctx: Context, new: Resource) -> Resource:
    """In the place of a target that was deregistered, and whose alarms may still be there."""

    def change(old: Resource) -> None:
        if old.wish != targets.DELETE:
            raise ApiError("ConcurrentUpdateException", f"{old.key.name} was registered by another call. Try again.")
        old.wish, old.spec, old.status, old.tags = new.wish, new.spec, new.status, new.tags
        old.state = {**new.state, "orphans": old.state.get("orphans", [])}
        old.created = new.created

    return await amend(ctx.platform, new.key, change)


def _suspended(request: Document) -> Document:
    given = request.get("SuspendedState") or {}
    return {member: bool(given.get(member)) for member in targets.SUSPENDABLE}


async def _fewest(ctx: Context, variant: Variant) -> int:
    """How few instances the variant may have; raises ValidationException unless the endpoint has it."""
    try:
        return (await world.look(ctx.platform, ctx.account, ctx.region, variant)).least
    except world.Gone as error:
        raise ValidationError(f"{error} Only a variant of an existing endpoint can be a scalable target.") from None


@operation("DescribeScalableTargets")
async def describe_scalable_targets(ctx: Context, request: Document) -> Document:
    names.check_namespace(request)
    wanted = request.get("ResourceIds")
    found = [each for each in await targets.all_in(ctx) if not wanted or each.key.name in wanted]
    arn = role.of_account(ctx.account)
    return pages.page(
        request, "ScalableTargets", found, lambda each: each.key.name, lambda each: targets.described(each, arn)
    )


@operation("DeregisterScalableTarget")
async def deregister_scalable_target(ctx: Context, request: Document) -> Document:
    """Its policies go with it, and their alarms, and its scheduled actions."""
    variant = names.variant_of(request)
    left: list[str] = []

    def change(target: Resource) -> Iterable[Write]:
        left[:] = memory.alarms_of(target.spec, target.state)
        target.wish = targets.DELETE
        activity = target.state.get("activity")
        target.state = {"orphans": list(left)}
        if activity:
            over = activities.ended(activity, "Overridden", "The scalable target was deregistered.", ctx.now)
            yield activities.kept(target.key, [over], ctx.now)

    try:
        found = await targets.edit(ctx, variant, change)
    except ApiError as error:
        if error.code != "ObjectNotFoundException":
            raise
        raise names.missing(f"No scalable target found {names.of_target(variant.resource_id)}") from None
    await alarms.delete(ctx.platform, found.key, left)
    return {}


async def _key_of_arn(ctx: Context, arn: str) -> Key:
    found = next((each.key for each in await targets.all_in(ctx) if targets.arn_of(each) == arn), None)
    if found is None:
        raise ApiError("ResourceNotFoundException", f"The resource {arn} is not found.", 400, {"ResourceName": arn})
    return found


async def _retag(ctx: Context, arn: str, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
    return await ctx.platform.resources.retag(await _key_of_arn(ctx, arn), change)


@operation("TagResource")
async def tag_resource(ctx: Context, request: Document) -> Document:
    def change(tags: dict[str, str]) -> dict[str, str]:
        both = {**tags, **request["Tags"]}
        if len(both) > _MOST_TAGS:
            words = f"A scalable target can have {_MOST_TAGS} tags at most."
            raise ApiError("TooManyTagsException", words, 400, {"ResourceName": request["ResourceARN"]})
        return both

    await _retag(ctx, request["ResourceARN"], change)
    return {}


@operation("UntagResource")
async def untag_resource(ctx: Context, request: Document) -> Document:
    gone = set(request["TagKeys"])
    await _retag(ctx, request["ResourceARN"], lambda tags: {key: tags[key] for key in tags if key not in gone})
    return {}


@operation("ListTagsForResource")
async def list_tags_for_resource(ctx: Context, request: Document) -> Document:
    return {"Tags": await _retag(ctx, request["ResourceARN"], dict)}
