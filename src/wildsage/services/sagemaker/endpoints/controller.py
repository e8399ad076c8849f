"""Brings an endpoint from what is to what was wished, one step at a time.

Every step does one kind of thing to all instances that wait for it, and what it did is in the store before the next
begins; so a step that was cut off is repeated, and after a restart running instances are found by their handles.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence

from wildsage.core.errors import InternalFault, JobFault, RuntimeRefused
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.fleet import Instance, State, Variant
from wildsage.services.sagemaker.endpoints.instances import Instances
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.endpoints.operations import DELETE
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.services.sagemaker.instance import faults
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_REASON_LIMIT = 1024
Act = Callable[[Instance, Variant], Awaitable[Instance]]


class EndpointController:
    """One reconcile step of an endpoint."""

    kind = ENDPOINT.name

    def __init__(self, platform: Platform, instances: Instances, routes: RoutePublisher) -> None:
        self._platform = platform
        self._instances = instances
        self._routes = routes

    async def step(self, resource: Resource) -> Step:
        state = fleet.load(resource.state)
        if resource.wish == DELETE:
            await self._routes.publish()
            await self._dispose(resource, state, list(state.instances.values()))
            return Step(resource.phase, resource.status, resource.state, gone=True)
        if resource.phase == "Failed":
            return Step(resource.phase, resource.status, resource.state)
        if state.failed:
            await self._dispose(resource, state, state.of(fleet.RETIRED))
            return self._keep(resource, state, "Failed", state.failed)
        if state.unpublished:
            return await self._publish(resource, state)
        return await self._advance(resource, state)

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """A fleet on its way up is given up; one that serves is looked after for as often as it takes."""
        state = fleet.load(resource.state)
        if resource.wish == DELETE or state.failed or state.serving == state.target:
            return None
        fleet.give_up(state, reason)
        return self._keep(resource, state, "InService" if state.serving is not None else resource.phase, reason)

    async def _publish(self, resource: Resource, state: State) -> Step:
        """Routers hear of it; a fleet that serves is in service only after they did."""
        await self._routes.publish()
        state.unpublished = False
        settled = state.serving == state.target and resource.phase in ("Creating", "Updating")
        return self._keep(resource, state, "InService" if settled else resource.phase)

    async def _advance(self, resource: Resource, state: State) -> Step:
        now = self._platform.clock.now()
        if fleet.complete(state) and state.serving != state.target:
            fleet.switch(state)
            return self._keep(resource, state, resource.phase)
        missing = fleet.missing(state)
        if missing:
            wait = fleet.back_off(state.failures)
            for variant in missing:
                state.put(Instance(_instance_id(), state.target.number, variant.name, not_before=now + wait))
            return self._keep(resource, state, resource.phase)
        ready = [each for each in state.of(fleet.PLANNED) if each.not_before <= now]
        if ready:
            return await self._each(resource, state, ready, lambda i, v: self._instances.fill(resource.key, i, v))
        filled = state.of(fleet.FILLED)
        if filled:
            return await self._each(resource, state, filled, lambda i, v: self._instances.launch(resource.key, i, v))
        retired = state.of(fleet.RETIRED)
        if retired:
            await self._dispose(resource, state, retired)
            return self._keep(resource, state, resource.phase)
        return await self._watch(resource, state)

    async def _each(self, resource: Resource, state: State, instances: Sequence[Instance], act: Act) -> Step:
        """Does one thing to several instances at once."""

        async def attempt(instance: Instance) -> Instance | JobFault:
            variant = state.variant_of(instance)
            if variant is None:
                return InternalFault(f"InternalServerError: variant {instance.variant} is no longer known")
            try:
                return await act(instance, variant)
            except JobFault as fault:
                return fault
            except RuntimeRefused as refusal:
                return InternalFault(str(refusal))
            except OSError as error:
                return faults.of_disk(error, f"preparing an instance of variant {instance.variant}")

        results = await asyncio.gather(*map(attempt, instances))
        phase, reason = resource.phase, ""
        for instance, result in zip(instances, results, strict=True):
            if isinstance(result, JobFault):
                phase, reason = self._failed(resource, state, instance, result)
            elif state.instances[instance.id].stage != fleet.RETIRED:
                state.put(result)
        return self._keep(resource, state, phase, reason)

    def _failed(self, resource: Resource, state: State, instance: Instance, fault: JobFault) -> tuple[str, str]:
        """An instance did not come up; the phase and the FailureReason that follow."""
        if resource.phase == "InService":
            fleet.lost(state, instance, self._platform.clock.now())
            return resource.phase, ""
        fleet.give_up(state, str(fault))
        return ("InService" if state.serving is not None else resource.phase), str(fault)

    async def _watch(self, resource: Resource, state: State) -> Step:
        """Waits until a starting instance serves or fails, a serving one ends, or one is due to be replaced."""
        for each in state.of(fleet.LAUNCHED, fleet.SERVING):
            self._instances.attend(resource.key, each, state.variant_of(each))
        tasks: dict[asyncio.Task[object], Instance] = {}
        for each in state.of(fleet.LAUNCHED):
            tasks[asyncio.create_task(self._instances.started(resource.key, each))] = each
        for each in state.of(fleet.SERVING):
            tasks[asyncio.create_task(self._instances.ended(each))] = each
        now = self._platform.clock.now()
        alarms = [
            asyncio.create_task(self._platform.clock.sleep(max(each.not_before - now, 0.0)))
            for each in state.of(fleet.PLANNED)
        ]
        try:
            await asyncio.wait([*tasks, *alarms], return_when=asyncio.FIRST_COMPLETED)
            done = [(task, each) for task, each in tasks.items() if task.done()]
        finally:
            for task in (*tasks, *alarms):
                task.cancel()
            await asyncio.gather(*tasks, *alarms, return_exceptions=True)
        phase, reason = resource.phase, ""
        for task, each in done:
            phase, reason = self._observed(resource, state, each, task) or (phase, reason)
        return self._keep(resource, state, phase, reason)

    def _observed(
        self, resource: Resource, state: State, instance: Instance, task: asyncio.Task[object]
    ) -> tuple[str, str] | None:
        """Takes up what became of one instance; the phase and FailureReason if they change."""
        if instance.stage == fleet.SERVING:
            fleet.lost(state, instance, self._platform.clock.now())
            return None
        error = task.exception()
        if error is None:
            state.put(task.result())  # type: ignore[arg-type]
            state.unpublished = state.unpublished or state.serving == state.target
            return None
        if not isinstance(error, JobFault):
            raise error
        return self._failed(resource, state, instance, error)

    async def _dispose(self, resource: Resource, state: State, instances: Sequence[Instance]) -> None:
        await asyncio.gather(
            *(self._instances.dispose(resource.key, each, state.variant_of(each)) for each in instances)
        )
        for each in instances:
            del state.instances[each.id]

    def _keep(self, resource: Resource, state: State, phase: str, reason: str = "") -> Step:
        status: Document = {**resource.status, "EndpointConfigName": (state.serving or state.target).config}
        summaries = fleet.summaries(state)
        if summaries:
            status["ProductionVariants"] = summaries
        if reason:
            status["FailureReason"] = reason[:_REASON_LIMIT]
        return Step(phase, status, fleet.dump(state), after=None if phase == "Failed" else 0)


def _instance_id() -> str:
    """In the format of EC2's."""
    return f"i-{secrets.token_hex(9)[:17]}"
