"""Brings functions from Pending to Active, and their changes from InProgress to Successful."""

from __future__ import annotations

import uuid
from dataclasses import replace

from wildsage.core.errors import ClientFault, InternalFault
from wildsage.images.choice import Where
from wildsage.images.environments import Environments
from wildsage.images.recipes import named
from wildsage.images.seeking import Seeker, by_digest
from wildsage.images.uris import Framework
from wildsage.kit.context import Platform
from wildsage.kit.controller import Step
from wildsage.services.lambda_.functions import ACTIVE, CHANGED, FAILED, PENDING, UPDATED
from wildsage.services.lambda_.images import pull_of
from wildsage.services.lambda_.names import KIND
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

RECIPE = named(Framework.LAMBDA)


class FunctionController:
    """``kit.controller.Controller`` of functions.

    The first one that is a zip waits for the environment that all of them share; each image is had in the engine.
    """

    kind = KIND

    def __init__(self, platform: Platform, environments: Environments, seeker: Seeker) -> None:
        self._platform = platform
        self._environments = environments
        self._seeker = seeker

    async def step(self, resource: Resource) -> Step:
        state = resource.state
        try:
            if "wanted" in state:
                state = await self._imaged(resource)
            else:
                await self._environments.resolve(RECIPE)
        except ClientFault as fault:
            return self._failed(resource, str(fault).removeprefix("ClientError: "), "InvalidImage")
        except InternalFault as fault:
            return self._failed(resource, str(fault).removeprefix("InternalServerError: "), "InternalError")
        status: Document = {"LastUpdateStatus": UPDATED}
        return Step(ACTIVE, status, state)

    async def _imaged(self, resource: Resource) -> Document:
        """The state with the image that the engine has; a tag may name another than before."""
        wanted = resource.state["wanted"]
        pull = await pull_of(self._platform, resource)
        found = await self._seeker.look(wanted, pull)
        if found.choice.where is Where.NATIVE:
            raise ClientFault(f"{wanted} is an image for SageMaker; it does not speak Lambda's Runtime API.")
        info = await self._seeker.have(wanted, found, _unheard, pull)
        resolved = by_digest(wanted, info, pull)
        digest = (resolved or info.id).rpartition("sha256:")[2]
        state = {**resource.state, "image": info.id, "sha256": digest, "resolved": resolved}
        if resource.state.get("image") == info.id:
            return state
        self._platform.hints.notify(CHANGED, about=resource.uid)
        return {**state, "build": str(uuid.uuid4())}

    def give_up(self, resource: Resource, reason: str) -> Step:
        return self._failed(resource, reason, "InternalError")

    def _failed(self, resource: Resource, reason: str, code: str) -> Step:
        kept = Step(resource.phase, {}, resource.state)
        if resource.phase in (PENDING, FAILED):
            return replace(kept, phase=FAILED, status={"StateReason": reason, "StateReasonCode": code})
        status = {
            "LastUpdateStatus": "Failed",
            "LastUpdateStatusReason": reason,
            "LastUpdateStatusReasonCode": code,
        }
        return replace(kept, status=status)


async def _unheard(_line: str) -> None:
    """Nobody watches how an image of a function is pulled."""
