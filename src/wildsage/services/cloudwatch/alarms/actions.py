"""Actions of alarms: messages on their way to SNS, as the principal ``cloudwatch.amazonaws.com``; scaling policies.

A scaling policy is only told that there is something to look at: it reads the alarm itself, again and again while it is
in ALARM, and knows what it did because of it.
"""

from __future__ import annotations

import logging

from wildsage.core import arn
from wildsage.core.caller import service_caller
from wildsage.core.errors import ApiError
from wildsage.kit.alarms import POLICY_ALARMED, is_scaling_policy
from wildsage.kit.context import Platform
from wildsage.kit.courier import Courier
from wildsage.services.cloudwatch.alarms.changes import BOX, history_topic
from wildsage.store.codec import Document, dumps
from wildsage.store.facts import Fact
from wildsage.store.outbox import Waiting

log = logging.getLogger(__name__)

_ATTEMPTS = 8
"""Some three minutes: the topics are on this server, so what still refuses then was taken away or closed."""


def courier(platform: Platform) -> Courier:
    """Delivers what alarms have to tell."""

    async def deliver(waiting: Waiting) -> float | None:
        told = waiting.letter.document
        try:
            await _run(platform, told)
        except ApiError as error:
            if waiting.attempts < _ATTEMPTS and error.code != "NotFound":
                raise
            log.warning("an action of alarm %s is given up: %s: %s", told["Alarm"], told["Action"], error)
            await _remember(platform, told, f"Failed to execute action {told['Action']}. Received error: {error}")
        else:
            await _remember(platform, told, f"Successfully executed action {told['Action']}")
        return None

    return Courier(platform, BOX, deliver)


async def _run(platform: Platform, told: Document) -> None:
    if is_scaling_policy(told["Action"]):
        platform.hints.notify(POLICY_ALARMED, about=told["Action"])
        return
    source = arn.build("cloudwatch", told["Region"], told["Account"], f"alarm:{told['Alarm']}")
    caller = service_caller("cloudwatch.amazonaws.com", source, told["Account"])
    params = {"TopicArn": told["Action"], "Subject": told["Subject"], "Message": told["Message"]}
    await platform.calls.call(caller, arn.parse(told["Action"]).region, "sns", "Publish", params)


async def _remember(platform: Platform, told: Document, summary: str) -> None:
    at = round(platform.clock.now() * 1000)
    kind = "MetricAlarm" if '"Trigger"' in told["Message"] else "CompositeAlarm"
    item = {"AlarmType": kind, "HistoryItemType": "Action", "HistorySummary": summary[:255]}
    body = dumps({**item, "HistoryData": dumps({"actionState": summary, "notificationResource": told["Action"]})})
    topic = history_topic(told["Account"], told["Region"])
    await platform.facts.append(topic, [Fact(told["Alarm"], at, at, body)])
