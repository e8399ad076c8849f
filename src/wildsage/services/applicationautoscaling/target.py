"""The scalable target as a resource: its policies and scheduled actions are part of it and go with it.

``spec``: SuspendedState, Policies and ScheduledActions by name. ``status``: MinCapacity and MaxCapacity, which
scheduled actions change. ``state``: what the controller knows (``memory``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.context import Context
from wildsage.kit.kind import amend
from wildsage.services.applicationautoscaling import names, world
from wildsage.services.applicationautoscaling.names import Variant
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import Key, Missing, Resource

TARGET = "applicationautoscaling.target"
DELETE = "delete"
"""The wish of a target that is deregistered: it is no longer seen, and what is left of it goes."""
SUSPENDABLE = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


def check_bounds(bounds: Mapping[str, int], fewest: int) -> None:
    """Raises ValidationException for MinCapacity and MaxCapacity that a variant of at least ``fewest`` cannot have.

    Zero is for asynchronous endpoints and inference components (SageMaker Developer Guide, "Auto scaling").
    """
    least, most = bounds.get("MinCapacity"), bounds.get("MaxCapacity")
    if least is not None and most is not None and least > most:
        raise ValidationError(f"Maximum capacity cannot be less than minimum capacity: {most} is less than {least}.")
    for value in bounds.values():
        if value < fewest:
            raise ValidationError(
                f"The capacity of a variant of {world.ENDPOINTS[fewest]} must be at least {fewest}, not {value}."
            )


def key_of(ctx: Context, variant: Variant) -> Key:
    return Key(TARGET, ctx.account, ctx.region, variant.resource_id)


def variant_of(target: Resource) -> Variant:
    return names.variant_of(names.about(target.key.name))


def arn_of(target: Resource) -> str:
    return names.target_arn(target.key.region, target.key.account, target.spec["Id"])


def described(target: Resource, role: str) -> Document:
    """As DescribeScalableTargets shows it."""
    return {
        **names.about(target.key.name),
        "MinCapacity": target.status["MinCapacity"],
        "MaxCapacity": target.status["MaxCapacity"],
        "RoleARN": role,
        "CreationTime": target.created,
        "SuspendedState": target.spec["SuspendedState"],
        "ScalableTargetARN": arn_of(target),
    }


async def all_in(ctx: Context) -> list[Resource]:
    """Every scalable target of the region, by name."""
    every = await ctx.platform.resources.all_of(TARGET)
    there = [each for each in every if (each.key.account, each.key.region) == (ctx.account, ctx.region)]
    there = [each for each in there if each.wish != DELETE]
    return sorted(there, key=lambda each: each.key.name)


async def parts_in(ctx: Context, member: str, request: Document, wanted: str) -> list[tuple[Resource, str]]:
    """The policies or scheduled actions (``member`` of a target's spec) that a request asks for: target and name.

    ``wanted``: the member of the request that may list names.
    """
    resource_id, names_wanted = request.get("ResourceId"), request.get(wanted)
    return [
        (target, name)
        for target in await all_in(ctx)
        for name in target.spec[member]
        if resource_id in (None, target.key.name) and (not names_wanted or name in names_wanted)
    ]


async def fetch(ctx: Context, variant: Variant) -> Resource:
    """Raises ObjectNotFoundException."""
    found = await ctx.platform.resources.get(key_of(ctx, variant))
    if found is None or found.wish == DELETE:
        raise unregistered(variant)
    return found


def unregistered(variant: Variant) -> ApiError:
    return names.missing(f"No scalable target registered {names.of_target(variant.resource_id)}")


async def edit(ctx: Context, variant: Variant, change: Callable[[Resource], Iterable[Write] | None]) -> Resource:
    """Changes a target and has its controller look at once. Raises ObjectNotFoundException."""

    def registered(target: Resource) -> Iterable[Write] | None:
        if target.wish == DELETE:
            raise unregistered(variant)
        return change(target)

    try:
        return await amend(ctx.platform, key_of(ctx, variant), registered)
    except Missing:
        raise unregistered(variant) from None
