"""What topics say about who may: their policies, asked by the door with every request."""

from __future__ import annotations

from wildsage.access.guards import Guard
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.services.sns import names
from wildsage.services.sns.topics import kept

_ALARMS = "cloudwatch.amazonaws.com"


class Guards:
    """``gateway.parts.Guards`` for SNS. A topic whose policy was never set leaves it to its owner's policies."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def __call__(self, _service: str, caller: Caller, action: str, resource: str, _version: str | None) -> Guard:
        """Raises NotFound, as SNS tells everyone."""
        if action == "sns:CreateTopic" or resource == "*":
            return Guard()
        key = names.key_of(names.TOPIC, resource, "TopicArn")
        topic = await self._platform.resources.get(key)
        if topic is None and action != "sns:DeleteTopic":  # deleting what is not there is no error
            raise names.no_topic()
        policy = None if topic is None else kept(topic).get("Policy")
        # A new topic's policy lets in what acts for its own account (AWS:SourceOwner): alarms of CloudWatch do.
        granted = policy is None and caller.arn == _ALARMS and caller.source_account == key.account
        return Guard(key.account, policy, granted and action == "sns:Publish")
