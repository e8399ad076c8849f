"""The scalable target as a resource: its policies and scheduled actions are part of it and go with it.

``spec``: SuspendedState, Policies and ScheduledActions by name. ``status``: MinCapacity and MaxCapacity, which
scheduled actions change. ``state``: what the controller knows (``memory``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context, Platform
from wildsage.kit.kind import CHANGED, DUE, shown
from wildsage.services.applicationautoscaling import names
from wildsage.services.applicationautoscaling.names import Variant
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import Key, Missing, Resource

TARGET = "applicationautoscaling.target"
DELETE = "delete"
"""The wish of a target that is deregistered: it is no longer seen, and what is left of it goes."""
SUSPENDABLE = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


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
    now = ctx.now

    def work(target: Resource) -> Iterable[Write] | None:
        if target.wish == DELETE:
            raise unregistered(variant)
        beside = change(target)
        target.modified = shown(now)
        target.due = now
        return beside

    key = key_of(ctx, variant)
    try:
        found = await ctx.platform.resources.edit(key, work)
    except Missing:
        raise unregistered(variant) from None
    look(ctx.platform, key)
    return found


def look(platform: Platform, key: Key) -> None:
    """A step under way begins anew, and one that is due begins at once."""
    platform.hints.notify(CHANGED, about=repr(key))
    platform.hints.notify(DUE)
