"""Brings a variant's number of instances to what policies, schedules and bounds ask for.

What is to be done is decided by pure functions (``tracking``, ``steps``, ``decision``, ``timetable``) and kept as the
target's activity before it is done; a step that was cut off goes on with that. So nothing scales twice for one cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.services.applicationautoscaling import (
    activities,
    alarms,
    memory,
    scheduledactions,
    steps,
    tracking,
    world,
)
from wildsage.services.applicationautoscaling import target as targets
from wildsage.services.applicationautoscaling.decision import Say, Verdict, decide
from wildsage.services.applicationautoscaling.policies import STEPS
from wildsage.services.applicationautoscaling.world import Seen
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import Resource

_POLL_SECONDS = 1.0
_BUSY_SECONDS = 10.0
"""Between two looks at an endpoint that is busy with something else, which may take hours."""
_BROKEN = ("Failed", "UpdateRollbackFailed", "OutOfService")
_IDLE_SECONDS = 300.0
"""Alarms wake whom they concern: this is only for what was missed, and to see that an endpoint is gone."""
_SETTLE_SECONDS = 2.0
"""After the end of a period, so that its values are there and its alarms were evaluated."""


class ScalingController:
    """One reconcile step of a scalable target."""

    kind = targets.TARGET

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def step(self, resource: Resource) -> Step:
        if resource.wish == targets.DELETE:
            await alarms.delete(self._platform, resource.key, resource.state.get("orphans", ()))
            return Step(resource.phase, resource.status, resource.state, gone=True)
        if resource.state.get("orphans"):
            await alarms.delete(self._platform, resource.key, resource.state["orphans"])
            return _keep(resource, {name: value for name, value in resource.state.items() if name != "orphans"})
        key = resource.key
        try:
            seen = await world.look(self._platform, key.account, key.region, targets.variant_of(resource))
        except world.Gone as error:
            return await self._leave(resource, str(error))
        if "activity" in resource.state:
            return await self._pursue(resource, seen)
        now = self._platform.clock.now()
        schedule = sorted(scheduledactions.coming(resource.spec, resource.state))
        if schedule and schedule[0][0] <= now:
            return self._run_scheduled(resource, schedule[0][1], now)
        next_action = schedule[0][0] - now if schedule else _IDLE_SECONDS
        if not seen.in_service:
            look = _IDLE_SECONDS if seen.status in _BROKEN else _BUSY_SECONDS
            return _keep(resource, resource.state, after=min(look, next_action))
        if "bounds" in resource.state:
            return self._check_bounds(resource, seen, now)
        if not resource.spec["Policies"]:
            return _keep(resource, resource.state, after=min(_IDLE_SECONDS, next_action))
        return await self._follow(resource, seen, next_action)

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """Goes on trying."""
        del resource, reason
        return None

    async def _leave(self, resource: Resource, why: str) -> Step:
        """The endpoint or its variant is gone, and the target with it, as AWS does when an endpoint is deleted."""
        await alarms.delete(self._platform, resource.key, memory.alarms_of(resource.spec, resource.state))
        now, beside = self._platform.clock.now(), []
        if "activity" in resource.state:
            over = activities.ended(resource.state["activity"], "Failed", why, now)
            beside.append(activities.kept(resource.key, [over], now))
        return Step(resource.phase, resource.status, resource.state, gone=True, beside=beside)

    async def _pursue(self, resource: Resource, seen: Seen) -> Step:
        """Goes on with the activity under way."""
        activity = resource.state["activity"]
        wanted = activity["Wanted"]
        if not activity.get("Asked") and seen.desired != wanted:
            if not seen.in_service:
                return self._wait_or_fail(resource, seen)
            try:
                await world.resize(self._platform, resource.key, targets.variant_of(resource), wanted)
            except ApiError as error:
                again = await world.look(
                    self._platform, resource.key.account, resource.key.region, targets.variant_of(resource)
                )
                if not again.in_service:
                    return self._wait(resource)
                return self._end(
                    resource, "Failed", f"Failed to set desired instance count to {wanted}. Reason: {error}"
                )
        if not activity.get("Asked"):
            await activities.forget(self._platform, resource.key)
            going = {**activity, "Asked": True, "StatusCode": "InProgress"}
            going["StatusMessage"] = (
                f"Successfully set desired instance count to {wanted}. Waiting for change to be fulfilled by sagemaker."
            )
            return _keep(resource, {**resource.state, "activity": going})
        return self._fulfilled(resource, seen, wanted)

    def _fulfilled(self, resource: Resource, seen: Seen, wanted: int) -> Step:
        if not seen.in_service:
            return self._wait_or_fail(resource, seen)
        if seen.desired != wanted:
            if seen.reason:
                return self._end(
                    resource, "Failed", f"Failed to set desired instance count to {wanted}. Reason: {seen.reason}"
                )
            return self._end(
                resource, "Overridden", f"The desired instance count was set to {seen.desired} by another call."
            )
        if seen.current != wanted:
            return self._wait(resource)
        message = f"Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker."
        return self._end(resource, "Successful", message)

    def _wait(self, resource: Resource) -> Step:
        """For the activity under way: the longer, the seldomer it is looked at."""
        waited = self._platform.clock.now() - resource.state["activity"]["StartTime"]
        return _keep(resource, resource.state, after=min(max(waited / 10, _POLL_SECONDS), _BUSY_SECONDS))

    def _wait_or_fail(self, resource: Resource, seen: Seen) -> Step:
        if seen.status in _BROKEN:
            return self._end(resource, "Failed", f"The endpoint is {seen.status}. {seen.reason}".strip())
        return self._wait(resource)

    def _end(self, resource: Resource, code: str, message: str) -> Step:
        now, activity = self._platform.clock.now(), resource.state["activity"]
        over = activities.ended(activity, code, message, now)
        state = {name: value for name, value in resource.state.items() if name != "activity"}
        if code == "Successful":
            state = memory.scaled(resource.state, activity["Before"], activity["Wanted"], now)
        after = 0.0 if code == "Successful" else _until_next(self._platform.settings.scaling.period, now)
        return _keep(resource, state, after=after, beside=[activities.kept(resource.key, [over], now)])

    def _run_scheduled(self, resource: Resource, name: str, now: float) -> Step:
        """A scheduled action sets bounds; what follows for the capacity is the next step's."""
        actions = resource.spec["ScheduledActions"]
        bounds = actions[name]["ScalableTargetAction"]
        runs = {each: at for each, at in resource.state.get("runs", {}).items() if each in actions}
        state = {**resource.state, "runs": {**runs, name: now}}
        if resource.spec["SuspendedState"]["ScheduledScalingSuspended"]:
            return _keep(resource, state)
        status = {**resource.status, **bounds}
        told = {"MinCapacity": "min", "MaxCapacity": "max"}
        setting = " and ".join(f"{told[member]} capacity to {bounds[member]}" for member in told if member in bounds)
        activity = activities.begun(
            resource.key.name, f"Setting {setting}", f"scheduled action name {name} was triggered", now
        )
        if status["MinCapacity"] > status["MaxCapacity"]:
            problem = "Maximum capacity cannot be less than minimum capacity."
            over = activities.ended(activity, "Failed", f"Failed to set {setting}. Reason: {problem}", now)
            return _keep(resource, state, beside=[activities.kept(resource.key, [over], now)])
        over = activities.ended(activity, "Successful", f"Successfully set {setting}", now)
        bounded = memory.bounded(state, memory.changes(bounds))
        step = _keep(resource, bounded, beside=[activities.kept(resource.key, [over], now)])
        return replace(step, status=status)

    def _check_bounds(self, resource: Resource, seen: Seen, now: float) -> Step:
        """New bounds act at once."""
        state = {name: value for name, value in resource.state.items() if name != "bounds"}
        within = max(resource.status["MinCapacity"], min(seen.desired, resource.status["MaxCapacity"]))
        if within == seen.desired:
            return _keep(resource, state)
        return _keep(resource, _scaling(resource, state, seen.desired, within, resource.state["bounds"], now))

    async def _follow(self, resource: Resource, seen: Seen, next_action: float) -> Step:
        """Asks the policies."""
        period = self._platform.settings.scaling.period
        says = [say for name in resource.spec["Policies"] for say in await self._ask(resource, name, seen.desired)]
        suspended = resource.spec["SuspendedState"]
        verdict = decide(
            says,
            seen.desired,
            (resource.status["MinCapacity"], resource.status["MaxCapacity"]),
            (suspended["DynamicScalingInSuspended"], suspended["DynamicScalingOutSuspended"]),
        )
        now = self._platform.clock.now()
        if verdict is None:
            asked = any(say.alarm for say in says)
            after = _until_next(period, now) if asked else _IDLE_SECONDS
            return _keep(resource, resource.state, after=min(after, next_action))
        cause = f"monitor alarm {verdict.say.alarm} in state ALARM triggered policy {verdict.say.policy}"
        if verdict.reason is None:
            return _keep(resource, _scaling(resource, resource.state, seen.desired, verdict.capacity, cause, now))
        # At a bound nothing changes until the other alarm goes off, or the bounds are others: both wake the target.
        at_bound = verdict.reason["Code"] != "AlreadyAtDesiredCapacity"
        return self._held(
            resource, verdict, cause, min(_IDLE_SECONDS if at_bound else _until_next(period, now), next_action)
        )

    def _held(self, resource: Resource, verdict: Verdict, cause: str, after: float) -> Step:
        """An alarm that changes nothing is told once."""
        now, reason = self._platform.clock.now(), verdict.reason
        held = [verdict.say.alarm, reason]
        if resource.state.get("held") == held:
            return _keep(resource, resource.state, after=after)
        activity = activities.begun(resource.key.name, "Attempting to scale due to alarm triggered", cause, now)
        over = {
            **activities.ended(activity, "Unfulfilled", "The capacity was left as it is.", now),
            "NotScaledReasons": [reason],
        }
        beside = [activities.kept(resource.key, [over], now)]
        return _keep(resource, {**resource.state, "held": held}, after=after, beside=beside)

    async def _ask(self, resource: Resource, name: str, capacity: int) -> Sequence[Say]:
        """What one policy says, because of which alarm.

        An alarm whose actions are disabled asks for nothing, but is looked at until it is quiet or they are enabled.
        """
        found = await world.alarms_of(self._platform, resource.key, resource.spec["Policies"][name])
        there = {each["AlarmName"]: each for each in found}
        if resource.spec["Policies"][name]["PolicyType"] == STEPS:
            ringing = [each for each in there.values() if _rings(each)]
            return [await self._ask_steps(resource, name, alarm, capacity) for alarm in ringing]
        return [await self._ask_tracking(resource, name, there, capacity)]

    async def _ask_steps(self, resource: Resource, name: str, alarm: Document, capacity: int) -> Say:
        """What a step policy says to one alarm that is in ALARM."""
        if not alarm["ActionsEnabled"]:
            return Say(name, alarm["AlarmName"], None)
        above = alarm["ComparisonOperator"].startswith("Greater")
        values = await world.values(self._platform, resource.key, alarm)
        alarmed, past = steps.Alarmed(alarm["Threshold"], above, values), memory.history(resource.state)
        configuration = resource.spec["Policies"][name]["Configuration"]
        wanted = steps.wanted(configuration, alarmed, capacity, past, self._platform.clock.now())
        return Say(name, alarm["AlarmName"], wanted)

    async def _ask_tracking(self, resource: Resource, name: str, there: Mapping[str, Document], capacity: int) -> Say:
        """What a target tracking policy says; those of its alarms that are not ``there`` any more are made again."""
        policy, key = resource.spec["Policies"][name], resource.key
        if not there.keys() >= set(policy["AlarmNames"]):
            own = alarms.documents(targets.variant_of(resource), policy, self._platform.settings.scaling)
            await alarms.put(self._platform, key, [each for each in own if each["AlarmName"] not in there])
        rule = tracking.read(policy["Configuration"])
        on = next((there[each] for each in policy["AlarmNames"] if each in there and _rings(there[each])), None)
        if on is None:
            return Say(name, "", None, rule.scales_in)
        if not on["ActionsEnabled"]:
            return Say(name, on["AlarmName"], None, rule.scales_in)
        high = alarms.is_high(on["AlarmName"])
        # The threshold is the target for periods of this length; that of the low alarm is a share of it.
        rule = replace(rule, target=on["Threshold"] if high else on["Threshold"] / tracking.IN_SHARE)
        seen = tracking.Seen(high, not high, await world.values(self._platform, key, on))
        past, now = memory.history(resource.state), self._platform.clock.now()
        return Say(name, on["AlarmName"], tracking.wanted(rule, seen, capacity, past, now), rule.scales_in)


def _rings(alarm: Document) -> bool:
    return bool(alarm["StateValue"] == "ALARM")


def _scaling(resource: Resource, state: Document, before: int, wanted: int, cause: str, now: float) -> Document:
    """The state with a new activity."""
    activity = activities.begun(resource.key.name, f"Setting desired instance count to {wanted}.", cause, now)
    kept = {name: value for name, value in state.items() if name != "held"}
    return {**kept, "activity": {**activity, "Wanted": wanted, "Before": before}}


def _until_next(period: int, now: float) -> float:
    """Until shortly after the end of this period."""
    return period - (now - _SETTLE_SECONDS) % period


def _keep(resource: Resource, state: Document, after: float = 0.0, beside: Sequence[Write] = ()) -> Step:
    return Step(resource.phase, resource.status, state, after=after, beside=beside)
