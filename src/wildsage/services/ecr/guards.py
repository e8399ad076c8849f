"""What repositories say about who may: their policies, asked by the door with every request."""

from __future__ import annotations

from wildsage.access.guards import Guard
from wildsage.core import arn
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.services.ecr import names
from wildsage.services.ecr.policies import POLICY
from wildsage.store.resources import Key


class Guards:
    """``gateway.parts.Guards`` for ECR."""

    def __init__(self, platform: Platform) -> None:
        self._resources = platform.resources

    async def __call__(self, _service: str, caller: Caller, action: str, resource: str, _version: str | None) -> Guard:
        """Whether there is such a repository is told by the operation itself, to those who may ask."""
        if resource == "*":
            return Guard()
        try:
            parsed = arn.parse(resource)
        except ValueError:
            return Guard()
        key = Key(names.KIND, parsed.account, parsed.region, parsed.resource_name)
        found = await self._resources.get(key)
        if found is None:
            return Guard(parsed.account)
        tags = {f"aws:resourcetag/{name.lower()}": (value,) for name, value in found.tags.items()}
        tags |= {f"ecr:resourcetag/{name.lower()}": (value,) for name, value in found.tags.items()}
        policy = found.state.get(POLICY)
        return Guard(parsed.account, None if policy is None else names.with_any_resource(policy), context=tags)
