"""Scheduled actions: put, describe, delete; and which of a target's are due."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.context import Context
from wildsage.kit.kind import shown
from wildsage.kit.operation import operation
from wildsage.services.applicationautoscaling import names, pages, timetable, world
from wildsage.services.applicationautoscaling import target as targets
from wildsage.services.applicationautoscaling.names import Variant
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_MOST = 200
"""Scheduled actions a scalable target (Application Auto Scaling User Guide, quotas)."""
_CHANGEABLE = ("Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction")


@operation("PutScheduledAction")
async def put_scheduled_action(ctx: Context, request: Document) -> Document:
    """A new action, or what was given of one that is there."""
    variant, name = names.variant_of(request), request["ScheduledActionName"]
    fewest = await _fewest(ctx, variant)
    given = {member: request[member] for member in _CHANGEABLE if request.get(member) is not None}

    def change(target: Resource) -> None:
        actions = target.spec["ScheduledActions"]
        known = actions.get(name)
        if not known and len(actions) >= _MOST:
            raise ApiError("LimitExceededException", f"A scalable target can have {_MOST} scheduled actions at most.")
        number = str(uuid.uuid4())
        new = known or {
            "ScheduledActionARN": names.part_arn("action", ctx.region, ctx.account, number, variant.resource_id, name),
            "CreationTime": shown(ctx.now),
        }
        action = {**new, **given, "Since": ctx.now}
        _check(action, fewest)
        target.spec = {**target.spec, "ScheduledActions": {**actions, name: action}}

    await targets.edit(ctx, variant, change)
    return {}


async def _fewest(ctx: Context, variant: Variant) -> int:
    """How few instances the variant may have; what is said of one that is gone is said by the target."""
    try:
        return (await world.look(ctx.platform, ctx.account, ctx.region, variant)).least
    except world.Gone:
        return 0


def _check(action: Document, fewest: int) -> None:
    """Raises ValidationException."""
    if not action.get("Schedule"):
        raise ValidationError("Schedule is required for a new scheduled action.")
    try:
        timetable.parse(action["Schedule"], action.get("Timezone"))
    except timetable.Unreadable as error:
        raise ValidationError(str(error)) from None
    bounds = action.get("ScalableTargetAction") or {}
    if not bounds:
        raise ValidationError("ScalableTargetAction is required, with MinCapacity, MaxCapacity or both.")
    targets.check_bounds(bounds, fewest)
    if action.get("StartTime") and action.get("EndTime") and action["EndTime"] <= action["StartTime"]:
        raise ValidationError("EndTime must be later than StartTime.")


@operation("DescribeScheduledActions")
async def describe_scheduled_actions(ctx: Context, request: Document) -> Document:
    names.check_namespace(request)
    found = await targets.parts_in(ctx, "ScheduledActions", request, "ScheduledActionNames")
    return pages.page(
        request, "ScheduledActions", found, lambda each: f"{each[0].key.name}|{each[1]}", lambda each: _described(*each)
    )


def _described(target: Resource, name: str) -> Document:
    action = {member: value for member, value in target.spec["ScheduledActions"][name].items() if member != "Since"}
    return {"ScheduledActionName": name, **names.about(target.key.name), **action}


@operation("DeleteScheduledAction")
async def delete_scheduled_action(ctx: Context, request: Document) -> Document:
    variant, name = names.variant_of(request), request["ScheduledActionName"]

    def change(target: Resource) -> None:
        if name not in target.spec["ScheduledActions"]:
            about = names.of_target(variant.resource_id)
            raise names.missing(f"No scheduled action found {about}, scheduled action name: {name}")
        left = {each: action for each, action in target.spec["ScheduledActions"].items() if each != name}
        target.spec = {**target.spec, "ScheduledActions": left}

    await targets.edit(ctx, variant, change)
    return {}


def coming(spec: Document, state: Document) -> Iterator[tuple[float, str]]:
    """When each action runs next, which may be over already. Pure.

    What was missed while nobody looked runs once, however often it would have run.
    """
    runs = state.get("runs", {})
    for name, action in spec["ScheduledActions"].items():
        schedule = timetable.parse(action["Schedule"], action.get("Timezone"))
        last = max(runs.get(name, 0.0), action["Since"])
        begin = float(action.get("StartTime") or action["Since"])
        moment = timetable.first_after(schedule, last, begin, action.get("EndTime"))
        if moment is not None:
            yield moment, name
