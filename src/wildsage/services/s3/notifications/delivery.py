"""Events on their way: to queues and topics, as the principal ``s3.amazonaws.com`` and only where that may send."""

from __future__ import annotations

import json
import logging

from wildsage.core import arn
from wildsage.core.caller import service_caller
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context, Platform
from wildsage.kit.courier import Courier
from wildsage.services.s3.notifications import configuration, events
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document
from wildsage.store.objectindex import EVENTS
from wildsage.store.outbox import Waiting

log = logging.getLogger(__name__)

_PRINCIPAL = "s3.amazonaws.com"
_SUBJECT = "Amazon S3 Notification"
_ATTEMPTS = 64
"""About an hour: destinations are on this server, so what still refuses then was taken away or closed to S3."""


def courier(platform: Platform) -> Courier:
    """Delivers what happened to objects."""

    async def deliver(waiting: Waiting) -> float | None:
        document = waiting.letter.document
        body = events.body(document["Record"], waiting.number)
        try:
            await _send(platform, document["Bucket"], document["Account"], document["Target"], body)
        except ApiError as error:
            if waiting.attempts < _ATTEMPTS:
                raise
            log.warning("an event of bucket %s is given up: %s: %s", document["Bucket"], document["Target"], error)
        return None

    return Courier(platform, EVENTS, deliver)


async def validate(ctx: Context, bucket: Bucket, checked: Document) -> None:
    """Sends every destination a test event. Raises InvalidArgument for one that cannot be sent to."""
    for member, (target_member, _, word) in configuration.DESTINATIONS.items():
        for each in checked.get(member) or ():
            target = each[target_member]
            try:
                await _send(ctx.platform, bucket.name, bucket.account, target, _test_event(ctx, bucket))
            except ApiError as error:
                raise configuration.unable(target, _reason(error, word)) from None


def _reason(error: ApiError, word: str) -> str:
    if error.code in ("QueueDoesNotExist", "NotFound"):
        return f"The destination {word} does not exist"
    if error.code.startswith("AccessDenied"):
        return f"Permissions on the destination {word} do not allow S3 to publish notifications from this bucket"
    return error.message


def _test_event(ctx: Context, bucket: Bucket) -> str:
    """User Guide, "Event message structure": sent to each destination when a configuration is put."""
    event = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": events.timestamp(ctx.now),
        "Bucket": bucket.name,
        "RequestId": ctx.request_id,
        "HostId": events.host_id(ctx.request_id),
    }
    return json.dumps(event, separators=(",", ":"))


async def _send(platform: Platform, bucket: str, account: str, target: str, body: str) -> None:
    caller = service_caller(_PRINCIPAL, f"arn:aws:s3:::{bucket}", account)
    place = arn.parse(target)
    if place.service == "sqs":
        url = f"{platform.settings.url}/{place.account}/{place.resource}"
        params = {"QueueUrl": url, "MessageBody": body}
        await platform.calls.call(caller, place.region, "sqs", "SendMessage", params)
    else:
        params = {"TopicArn": target, "Message": body, "Subject": _SUBJECT}
        await platform.calls.call(caller, place.region, "sns", "Publish", params)
