"""What functions say about who may: their policies, asked by the door with every request."""

from __future__ import annotations

from wildsage.access.guards import Guard
from wildsage.core import arn
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.services.lambda_.names import KIND
from wildsage.services.lambda_.permissions import policy_of
from wildsage.store.resources import Key


class Guards:
    """``gateway.parts.Guards`` for Lambda."""

    def __init__(self, platform: Platform) -> None:
        self._resources = platform.resources

    async def __call__(
        self, _service: str, _caller: Caller, _action: str, resource: str, _version: str | None
    ) -> Guard:
        if resource == "*":
            return Guard()
        parsed = arn.parse(resource)
        name = parsed.resource.split(":")[1]
        function = await self._resources.get(Key(KIND, parsed.account, parsed.region, name))
        return Guard(parsed.account, None if function is None else policy_of(function))
