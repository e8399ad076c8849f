"""The tags of what a call is about, for policies with conditions on them; asked by the door with every request.

Source: Service Authorization Reference, "Condition keys for Amazon SageMaker".
"""

from __future__ import annotations

from wildsage.access.asking import of_resource
from wildsage.access.guards import Guard
from wildsage.core import arn
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.tags.operations import KINDS


class Guards:
    """``gateway.parts.Guards`` for SageMaker."""

    def __init__(self, platform: Platform) -> None:
        self._resources = platform.resources

    async def __call__(self, _service: str, caller: Caller, action: str, resource: str, _version: str | None) -> Guard:
        """What is only to be made has no tags yet; whether there is such a resource is told by the operation itself."""
        if resource == "*" or action.startswith("sagemaker:Create"):
            return Guard()
        try:
            parsed = arn.parse(resource)
        except ValueError:
            return Guard()
        kind = KINDS.get(parsed.resource_type)
        if kind is None or parsed.account != caller.account:
            return Guard()
        tags = await self._resources.tags(kind.key(parsed.account, parsed.region, parsed.resource_name))
        return Guard(context=of_resource(tags))
