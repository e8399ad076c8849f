"""Alarms: put, switch, set and delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from wildsage.kit.context import Context
from wildsage.kit.kind import shown, tag_map
from wildsage.kit.operation import operation
from wildsage.services.cloudwatch import names
from wildsage.services.cloudwatch.alarms import composite, reasons, rules
from wildsage.services.cloudwatch.alarms.changes import Change, enter, remembered
from wildsage.services.cloudwatch.alarms.decision import INSUFFICIENT
from wildsage.services.cloudwatch.alarms.kind import CHANGED, all_in, is_composite, key_of, no_alarm
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import AlreadyExists, Missing, Resource


@operation("PutMetricAlarm")
async def put_metric_alarm(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    rules.check_metric_alarm(ctx.account, ctx.region, request)
    await _put(ctx, request)
    return {}


@operation("PutCompositeAlarm")
async def put_composite_alarm(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html"""
    rules.check_composite(request)
    below = composite.children(composite.parse(request["AlarmRule"]))
    there = {each.key.name: each for each in await all_in(ctx.platform, ctx.account, ctx.region)}
    absent = sorted(below - set(there))
    if absent:
        raise names.refused(f"AlarmRule is about alarms that do not exist: {', '.join(absent)}")
    if _reaches(request["AlarmName"], below, there):
        raise names.refused(f"AlarmRule would make the alarm {request['AlarmName']} depend on itself.")
    await _put(ctx, request)
    return {}


def _reaches(name: str, below: Iterable[str], there: dict[str, Resource]) -> bool:
    """Whether ``name`` is among the alarms ``below``, or below them."""
    seen: set[str] = set()
    waiting = list(below)
    while waiting:
        each = waiting.pop()
        if each == name:
            return True
        if each in seen:
            continue
        seen.add(each)
        if each in there and is_composite(there[each]):
            waiting += composite.children(composite.parse(there[each].spec["AlarmRule"]))
    return False


async def _put(ctx: Context, request: Document) -> None:
    """A new alarm, or another configuration of one that keeps its state."""
    now = ctx.now
    spec = {"ActionsEnabled": True, **{name: value for name, value in request.items() if name != "Tags"}}
    alarm = Resource(
        key_of(ctx, request["AlarmName"]),
        spec,
        phase=INSUFFICIENT,
        status={
            "StateReason": reasons.UNCHECKED,
            "StateUpdatedTimestamp": now,
            "StateTransitionedTimestamp": now,
            "AlarmConfigurationUpdatedTimestamp": now,
        },
        tags=tag_map(request.get("Tags")),
        created=shown(now),
        modified=shown(now),
    )

    def change(old: Resource) -> Iterable[Write]:
        if is_composite(old) != is_composite(alarm):
            raise names.refused(f"An alarm of another type has the name {old.key.name}.")
        old.spec = spec  # tags are those it was made with (API reference, PutMetricAlarm)
        old.modified = shown(now)
        old.status = {**old.status, "AlarmConfigurationUpdatedTimestamp": now}
        yield remembered(old, "ConfigurationUpdate", f'Alarm "{old.key.name}" updated', {"type": "Update"}, now)

    made = remembered(alarm, "ConfigurationUpdate", f'Alarm "{alarm.key.name}" created', {"type": "Create"}, now)
    try:
        await ctx.platform.resources.create(alarm, [made])
    except AlreadyExists:
        await ctx.platform.resources.edit(alarm.key, change)
    ctx.platform.hints.notify(CHANGED)


@operation("SetAlarmState")
async def set_alarm_state(ctx: Context, request: Document) -> Document:
    """Until the next evaluation."""
    key = key_of(ctx, request["AlarmName"])
    change = Change(request["StateValue"], request["StateReason"], request.get("StateReasonData") or "", by_hand=True)
    if not await enter(ctx.platform, key, change):
        raise no_alarm(request["AlarmName"])
    return {}


@operation("EnableAlarmActions")
async def enable_alarm_actions(ctx: Context, request: Document) -> Document:
    return await _switch(ctx, request["AlarmNames"], True)


@operation("DisableAlarmActions")
async def disable_alarm_actions(ctx: Context, request: Document) -> Document:
    return await _switch(ctx, request["AlarmNames"], False)


async def _switch(ctx: Context, wanted: Iterable[str], enabled: bool) -> Document:
    for name in wanted:
        try:
            await ctx.platform.resources.edit(key_of(ctx, name), _switching(ctx, enabled))
        except Missing:
            continue  # AWS does not mind
    return {}


def _switching(ctx: Context, enabled: bool) -> Callable[[Resource], Iterable[Write]]:
    def change(alarm: Resource) -> Iterable[Write]:
        if alarm.spec["ActionsEnabled"] is not enabled:
            alarm.spec = {**alarm.spec, "ActionsEnabled": enabled}
            words = f'Alarm "{alarm.key.name}" actions {"enabled" if enabled else "disabled"}'
            yield remembered(alarm, "ConfigurationUpdate", words, {"type": "Update"}, ctx.now)

    return change


@operation("DeleteAlarms")
async def delete_alarms(ctx: Context, request: Document) -> Document:
    """All of them or none; those that are not there are passed over if another is."""
    wanted = dict.fromkeys(request["AlarmNames"])
    there = await all_in(ctx.platform, ctx.account, ctx.region)
    known = [each for each in there if each.key.name in wanted]
    if wanted and not known:
        raise no_alarm(next(iter(wanted)))
    if len(wanted) > 1 and sum(map(is_composite, known)) > 1:
        raise names.refused("A DeleteAlarms call can delete one composite alarm at most.")
    for alarm in known:
        above = [each.key.name for each in there if each.key.name not in wanted and _is_about(each, alarm.key.name)]
        if above:
            raise names.refused(f"The alarm {alarm.key.name} is in the AlarmRule of {', '.join(above)}.")
    for alarm in known:
        words = f'Alarm "{alarm.key.name}" deleted'
        with suppress(Missing):  # another call was faster
            await ctx.platform.resources.remove(
                alarm.key, [remembered(alarm, "ConfigurationUpdate", words, {"type": "Delete"}, ctx.now)]
            )
    return {}


def _is_about(alarm: Resource, name: str) -> bool:
    return is_composite(alarm) and name in composite.children(composite.parse(alarm.spec["AlarmRule"]))
