"""Brings an endpoint from what is to what was wished, one step at a time.

A step ends as soon as anything has happened, and that is in the store before the next begins; so a step that was cut
off is repeated, and after a restart running instances are found by their handles. What becomes of the endpoint is
decided by the pure functions of ``moves`` and ``rollout``; what is done to instances is in ``instances``.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack

from wildsage.core.errors import ApiError, InternalFault, JobFault, RuntimeRefused
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.services.sagemaker.endpoints import alarms, fleet, moves, summaries
from wildsage.services.sagemaker.endpoints import rollout as rollouts
from wildsage.services.sagemaker.endpoints.errands import Errand, Errands
from wildsage.services.sagemaker.endpoints.fleet import Instance, State
from wildsage.services.sagemaker.endpoints.instances import Instances
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.endpoints.operations import DELETE
from wildsage.services.sagemaker.endpoints.rollout import Rollout
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.services.sagemaker.instance import faults
from wildsage.services.sagemaker.instance.reasons import limit
from wildsage.store.codec import Document
from wildsage.store.queued import clearing
from wildsage.store.resources import Resource

_REASON_HEAD = 320
"""Characters of a FailureReason: AWS's words with the longest names. The end of the log follows."""
_OF_INSTANCES = ("Creating", "Updating", "RollingBack", "InService", "SystemUpdating")
"""EndpointStatus values that end, or change, with what instances there are."""


class EndpointController:
    """One reconcile step of an endpoint."""

    kind = ENDPOINT.name

    def __init__(self, platform: Platform, instances: Instances, errands: Errands, routes: RoutePublisher) -> None:
        self._platform = platform
        self._instances = instances
        self._errands = errands
        self._routes = routes

    async def step(self, resource: Resource) -> Step:
        state = fleet.load(resource.state)
        if resource.wish == DELETE:
            await self._routes.publish(resource.key)
            await self._dispose_of_all(resource, state)
            return Step(resource.phase, resource.status, resource.state, gone=True, beside=[clearing(resource.uid)])
        if resource.phase == "Failed":
            return Step(resource.phase, resource.status, resource.state)
        if state.failed:
            await self._dispose_of_all(resource, state)
            state.instances.clear()
            return _keep(resource, state, "Failed", state.failed)
        if state.unpublished:
            return await self._publish(resource, state)
        return await self._advance(resource, state)

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """A fleet on its way up is given up; one that serves is looked after for as often as it takes."""
        state, now = fleet.load(resource.state), self._platform.clock.now()
        if resource.wish == DELETE or state.failed or (state.settled and state.rollout is None):
            return None
        if state.rollout is not None:
            if state.rollout.reason:
                return None
            moves.turn_back(state, state.rollout, reason, now)
            return _keep(resource, state, resource.phase)
        phase, reason = _given_up(resource, state, reason, now)
        return _keep(resource, state, phase, reason)

    async def _publish(self, resource: Resource, state: State) -> Step:
        """Routers hear of it; a fleet that serves is in service only after they did."""
        await self._routes.publish(resource.key)
        await self._instances.tell(state)
        state.unpublished = False
        settled = state.settled and state.rollout is None and resource.phase in _OF_INSTANCES
        return _keep(resource, state, moves.at_rest(state) if settled else resource.phase)

    async def _advance(self, resource: Resource, state: State) -> Step:
        now, look = self._platform.clock.now(), None
        if state.rollout is not None:
            step, look = await self._roll(resource, state, state.rollout)
            if step is not None:
                return step
        elif moves.settle(state):
            moves.switch(state, now)
            return _keep(resource, state, resource.phase)
        missing = moves.missing(state)
        if moves.retire_surplus(state, now) or missing:
            wait = moves.back_off(state.failures)
            for number, variant in missing:
                state.put(Instance(_instance_id(), number, variant, not_before=now + wait))
            return _keep(resource, state, resource.phase)
        return await self._watch(resource, state, look)

    async def _in_alarm(self, resource: Resource, state: State, rollout: Rollout) -> tuple[str, ...]:
        """Those of the update's alarms that are in ALARM; raises ApiError or JobFault if they cannot be read."""
        names = rollouts.policy_of(rollout.policy).alarms
        if rollout.reason or not names:
            return ()
        found = await alarms.states(self._platform, resource.key.region, state.target, names)
        return tuple(name for name in names if found.get(name) == "ALARM")

    async def _roll(self, resource: Resource, state: State, rollout: Rollout) -> tuple[Step | None, float | None]:
        """One step of an update to another fleet; or, if nothing moves, when to look again."""
        now = self._platform.clock.now()
        try:
            in_alarm = await self._in_alarm(resource, state, rollout)
        except (ApiError, JobFault) as error:
            if isinstance(error, ApiError) and error.status >= 500:
                raise  # another attempt may cure it
            moves.turn_back(state, rollout, f"The update was rolled back: its alarms cannot be read: {error}", now)
            return _keep(resource, state, resource.phase), None
        end, look = moves.advance(state, rollout, in_alarm, now)
        if end is None and state.rollout == rollout:
            return None, look
        return _keep(resource, state, resource.phase, rollout.reason if end is rollouts.End.UNDONE else ""), None

    async def _watch(self, resource: Resource, state: State, look: float | None) -> Step:
        """Waits until something has become of an instance, or until it is time to look again."""
        clock = self._platform.clock
        key = resource.key
        errands = await self._errands.current(
            key, state.instances, lambda instance: self._instances.next(key, instance, state.variant_of(instance))
        )
        async with AsyncExitStack() as stack:
            waited: set[asyncio.Task[None]] = set()
            if look is not None or not errands:
                alarm = asyncio.create_task(clock.sleep(3600.0 if look is None else max(look - clock.now(), 0.0)))
                stack.push_async_callback(_cancelled, alarm)
                waited.add(alarm)
            await asyncio.wait({*errands.values(), *waited}, return_when=asyncio.FIRST_COMPLETED)
        phase, reason = resource.phase, ""
        for name, errand in errands.items():
            if errand.done():
                phase, reason = self._observed(resource, state, state.instances[name], errand) or (phase, reason)
        return _keep(resource, state, phase, reason)

    def _observed(self, resource: Resource, state: State, instance: Instance, errand: Errand) -> tuple[str, str] | None:
        """Takes up what became of one instance; the phase and FailureReason if they change."""
        now = self._platform.clock.now()
        if state.instances[instance.id] != instance:
            return None  # what became of another has retired it meanwhile
        error = errand.exception()
        if error is None:
            found: Instance | None = errand.result()
            if found is None:
                del state.instances[instance.id]
            elif instance.stage == fleet.SERVING:
                moves.lost(state, instance, now, ill=found.stage == fleet.RETIRED)
            else:
                state.put(found)
                if found.stage == fleet.FILLED:
                    state.pin(found)
                state.unpublished = state.unpublished or (found.stage == fleet.SERVING and bool(state.serving))
            return None
        self._errands.forget(resource.key, instance.id)
        if instance.stage not in (fleet.PLANNED, fleet.FILLED, fleet.LAUNCHED):
            raise error
        return _failed(resource, state, instance, _fault(error, instance), now)

    async def _dispose_of_all(self, resource: Resource, state: State) -> None:
        await self._errands.end(resource.key)
        everything = state.instances.values()
        await asyncio.gather(
            *(self._instances.dispose(resource.key, each, state.variant_of(each)) for each in everything)
        )


def _failed(resource: Resource, state: State, instance: Instance, fault: JobFault, now: float) -> tuple[str, str]:
    """An instance did not come up; the phase and the FailureReason that follow."""
    rollout = state.rollout
    if rollout is not None:
        if instance.fleet == state.target.number:
            moves.turn_back(state, rollout, str(fault), now)
            moves.lost(state, instance, now)
            return resource.phase, ""
        if rollout.reason and not rollout.on:
            moves.lost(state, instance, now)
            moves.stuck(state, rollout, now)
            return "UpdateRollbackFailed", f"{rollout.reason} The rollback failed too: {fault}"
    elif not state.settled:
        moves.lost(state, instance, now)
        return _given_up(resource, state, str(fault), now)
    moves.lost(state, instance, now)
    return resource.phase, ""


def _given_up(resource: Resource, state: State, reason: str, now: float) -> tuple[str, str]:
    """A target without a rollout did not come up."""
    if not state.serving:
        moves.give_up_first(state, reason, now)
        return resource.phase, reason
    moves.withdraw(state, now)
    return "RollingBack", reason


def _fault(error: BaseException, instance: Instance) -> JobFault:
    """As a FailureReason; raises what is nothing foreseen."""
    if isinstance(error, JobFault):
        return error
    if isinstance(error, RuntimeRefused):
        return InternalFault(str(error))
    if isinstance(error, OSError):
        return faults.of_disk(error, f"preparing an instance of variant {instance.variant}")
    raise error


def _keep(resource: Resource, state: State, phase: str, reason: str = "") -> Step:
    status: Document = {name: value for name, value in resource.status.items() if name not in summaries.FIELDS}
    status |= {"EndpointConfigName": (state.current or state.target).config, **summaries.described(state)}
    if reason:
        status["FailureReason"] = limit(reason, _REASON_HEAD)
    if phase == "InService" and state.settled:
        phase = moves.at_rest(state)  # its last instance may just have been lost
    return Step(phase, status, fleet.dump(state), after=None if phase == "Failed" else 0)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _instance_id() -> str:
    """In the format of EC2's."""
    return f"i-{secrets.token_hex(9)[:17]}"
