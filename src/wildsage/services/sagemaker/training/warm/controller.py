"""Takes warm pools away when their time is over."""

from __future__ import annotations

from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.runtimes.base import Runtime
from wildsage.services.sagemaker.training.warm import pools, rules
from wildsage.store.resources import Resource


class WarmPoolController:
    """One reconcile step of a warm pool."""

    kind = pools.WARM_POOL

    def __init__(self, platform: Platform, runtime: Runtime) -> None:
        self._platform = platform
        self._runtime = runtime

    async def step(self, resource: Resource) -> Step:
        """Two at its end: from the first on no job takes it, and only when nothing is left of it it is Terminated."""
        phase, status, state, now = resource.phase, resource.status, resource.state, self._platform.clock.now()
        if phase != rules.AVAILABLE:
            return Step(phase, status, state)
        if "ending" not in state:
            left = state["ends"] - now
            return Step(phase, status, state if left > 0 else {**state, "ending": now}, after=max(left, 0.0))
        await pools.remove(self._platform, self._runtime, resource)
        billed = {"ResourceRetainedBillableTimeInSeconds": rules.retained(resource, state["ending"])}
        return Step(rules.TERMINATED, {**status, **billed}, state)

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """It is tried for as often as it takes."""
        return None
