"""What queues say about who may: their policies, asked by the door with every request."""

from __future__ import annotations

from wildsage.access.guards import Guard
from wildsage.core import arn
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.services.sqs import names, queues
from wildsage.store.resources import Key

_OF_NONE = ("sqs:CreateQueue", "sqs:ListQueues")


class Guards:
    """``gateway.parts.Guards`` for SQS."""

    def __init__(self, platform: Platform) -> None:
        self._resources = platform.resources

    async def __call__(self, _service: str, _caller: Caller, action: str, resource: str, _version: str | None) -> Guard:
        """Raises QueueDoesNotExist, as SQS tells everyone."""
        if action in _OF_NONE or resource == "*":
            return Guard()
        parsed = arn.parse(resource)
        queue = await self._resources.get(Key(queues.KIND, parsed.account, parsed.region, parsed.resource))
        if queue is None:
            raise names.no_queue()
        return Guard(parsed.account, queues.kept(queue).get("Policy"))
