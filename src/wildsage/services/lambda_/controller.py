"""Brings functions from Pending to Active, and their changes from InProgress to Successful."""

from __future__ import annotations

from wildsage.core.errors import ClientFault, InternalFault
from wildsage.images.environments import Environments
from wildsage.images.recipes import named
from wildsage.images.uris import Framework
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.services.lambda_.functions import ACTIVE, FAILED, PENDING, UPDATED
from wildsage.services.lambda_.names import KIND
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

RECIPE = named(Framework.LAMBDA)


class FunctionController:
    """``kit.controller.Controller`` of functions: the first one waits for the environment that all of them share."""

    kind = KIND

    def __init__(self, platform: Platform, environments: Environments) -> None:
        self._platform = platform
        self._environments = environments

    async def step(self, resource: Resource) -> Step:
        try:
            await self._environments.resolve(RECIPE)
        except (ClientFault, InternalFault) as fault:
            return self._failed(resource, str(fault))
        status: Document = {"LastUpdateStatus": UPDATED}
        return Step(ACTIVE, status, resource.state)

    def give_up(self, resource: Resource, reason: str) -> Step:
        return self._failed(resource, reason)

    def _failed(self, resource: Resource, reason: str) -> Step:
        if resource.phase == PENDING:
            return Step(FAILED, {"StateReason": reason, "StateReasonCode": "InternalError"}, resource.state)
        status = {
            "LastUpdateStatus": "Failed",
            "LastUpdateStatusReason": reason,
            "LastUpdateStatusReasonCode": "InternalError",
        }
        return Step(resource.phase, status, resource.state)
