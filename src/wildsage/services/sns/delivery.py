"""Messages on their way to subscribers: queues as the principal ``sns.amazonaws.com``, HTTP endpoints by POST.

What an endpoint refuses for good goes to the subscription's dead-letter queue, if it has one, as in AWS
(SNS Developer Guide, "Amazon SNS message delivery retries" and "Amazon SNS dead-letter queues").
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from urllib.parse import urlsplit

from wildsage.core import arn
from wildsage.core.caller import service_caller
from wildsage.core.errors import ApiError
from wildsage.core.metadata import IPV4, IPV6
from wildsage.kit.context import Platform
from wildsage.kit.courier import Courier
from wildsage.services.sns import envelope, names, retries
from wildsage.services.sns.publish import text_for
from wildsage.services.sns.subscriptions import BOXES, dead_letter_queue
from wildsage.services.sns.topics import kept
from wildsage.store.codec import Document
from wildsage.store.outbox import Waiting
from wildsage.store.resources import Resource
from wildsage.wire.http.client import Client, forgo
from wildsage.wire.http.client_connection import AnswerLost, Pool, Unreachable
from wildsage.wire.http.messages import BytesBody, Request

log = logging.getLogger(__name__)

_PRINCIPAL = "sns.amazonaws.com"
_HEAD_SECONDS = 15.0
_PORTS = {"http": 80, "https": 443}
# What a queue answers that will not be otherwise later: "client-side errors".
_FINAL = ("QueueDoesNotExist", "AccessDenied", "InvalidParameterValue", "InvalidMessageContents", "MissingParameter")


class Refused(Exception):
    """The endpoint will never take the message."""


class Failed(Exception):
    """The endpoint did not take the message this time."""


class Delivery:
    """Attempts at letters."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._client: Client | None = None

    def close(self) -> None:
        """Gives up the connections to web endpoints."""
        if self._client is not None:
            self._client.close()

    async def _web(self) -> Client:
        """Made when the first web endpoint is to be told: reading whom to trust takes a while."""
        if self._client is None:
            context = await asyncio.to_thread(
                ssl.create_default_context, cafile=self._platform.settings.data.tls / "bundle.pem"
            )
            self._client = Client(Pool(tls=context, shuns=is_metadata))
        return self._client

    async def __call__(self, waiting: Waiting) -> float | None:
        """``kit.courier.Deliver``."""
        document = waiting.letter.document
        key = names.key_of(names.SUBSCRIPTION, document["Subscription"], "SubscriptionArn")
        subscription = await self._platform.resources.get(key)
        if subscription is None:
            return None
        message = document["Message"]
        try:
            if subscription.spec["Protocol"] == "sqs":
                await self._to_queue(subscription, message)
            else:
                await self._post(subscription, message)
        except Failed as failure:
            after = await self._pause(subscription, waiting.attempts + 1)
            if after is not None:
                return after
            await self._bury(subscription, message, str(failure))
        except Refused as refusal:
            await self._bury(subscription, message, str(refusal))
        return None

    async def _pause(self, subscription: Resource, failed: int) -> float | None:
        topic = await self._platform.resources.get(names.key_of(names.TOPIC, subscription.spec["TopicArn"], "TopicArn"))
        of_topic = None if topic is None else kept(topic).get("DeliveryPolicy")
        policy = retries.effective(of_topic, subscription.status["Attributes"].get("DeliveryPolicy"))
        return retries.pause(policy, failed)

    async def _to_queue(self, subscription: Resource, message: Document) -> None:
        body, params = _content(subscription, message)
        if subscription.spec["Endpoint"].endswith(".fifo"):
            params |= {"MessageGroupId": message["Group"], "MessageDeduplicationId": message["Deduplication"]}
        try:
            await self._send(subscription, subscription.spec["Endpoint"], {"MessageBody": body, **params})
        except ApiError as error:
            if error.code.startswith(_FINAL):
                raise Refused(f"{error.code}: {error}") from None
            raise

    async def _send(self, subscription: Resource, queue: str, params: Document) -> None:
        place = arn.parse(queue)
        caller = service_caller(_PRINCIPAL, subscription.spec["TopicArn"], subscription.key.account)
        url = f"{self._platform.settings.url}/{place.account}/{place.resource}"
        await self._platform.calls.call(caller, place.region, "sqs", "SendMessage", {"QueueUrl": url, **params})

    async def _post(self, subscription: Resource, message: Document) -> None:
        """Any 2xx is a success; what is not 429 or a fault of the endpoint's is never tried again."""
        url = urlsplit(subscription.spec["Endpoint"])
        port = url.port or _PORTS[url.scheme]
        body, _ = _content(subscription, message)
        headers = [("host", url.netloc.rpartition("@")[2]), *_headers(subscription, message)]
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        request = Request("POST", target, headers, BytesBody(body.encode()))
        address = f"{'tls' if url.scheme == 'https' else 'tcp'}:{url.hostname}:{port}"
        try:
            response = await (await self._web()).send(address, request, _HEAD_SECONDS)
            await forgo(response)  # nobody reads what it says
        except (Unreachable, AnswerLost, TimeoutError) as error:
            raise Failed(f"{type(error).__name__}: {error}") from None
        if 200 <= response.status < 300:
            return
        words = f"The endpoint {subscription.spec['Endpoint']} answered {response.status}"
        raise Failed(words) if response.status == 429 or response.status >= 500 else Refused(words)

    async def _bury(self, subscription: Resource, message: Document, reason: str) -> None:
        """To the dead-letter queue, as the endpoint would have got it."""
        there = names.arn_of(subscription)
        policy = subscription.status["Attributes"].get("RedrivePolicy")
        if policy is None or message["Type"] == envelope.CONFIRMATION:
            log.warning("message %s is given up for %s: %s", message["MessageId"], there, reason)
            return
        queue = dead_letter_queue(policy)
        body, params = _content(subscription, message)
        given = params.get("MessageAttributes") or {}
        said = {"DataType": "String", "StringValue": reason[:1000]}
        params = {"MessageBody": body, "MessageAttributes": {**given, "ErrorMessage": said}}
        if queue.endswith(".fifo"):
            params |= {"MessageGroupId": message.get("Group", there), "MessageDeduplicationId": message["MessageId"]}
        try:
            await self._send(subscription, queue, params)
        except ApiError as error:
            log.warning("message %s is given up for %s: %s; %s", message["MessageId"], there, reason, error)


def is_metadata(address: str) -> bool:
    """Whether an IP address is link-local, or another of those where clouds tell machines their credentials.

    Whoever may subscribe chooses what this server calls. AWS calls nothing private at all; here the endpoints of one's
    own machine and network are what topics are for.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_link_local or str(mapped or found) in (*IPV4, *IPV6)


def _is_raw(subscription: Resource) -> bool:
    return bool(subscription.status["Attributes"].get("RawMessageDelivery", "").lower() == "true")


def _content(subscription: Resource, message: Document) -> tuple[str, Document]:
    """The body, and for raw messages to queues their attributes as parameters of SendMessage."""
    if message["Type"] == envelope.CONFIRMATION:
        return envelope.confirmation(message), {}
    text = text_for(message, subscription.spec["Protocol"])
    if not _is_raw(subscription):
        there = names.arn_of(subscription)
        return envelope.notification(message, text, subscription.spec["Base"], there), {}
    given = message.get("MessageAttributes")
    return text, {"MessageAttributes": given} if given else {}


def _headers(subscription: Resource, message: Document) -> list[tuple[str, str]]:
    """SNS Developer Guide, "Parsing message formats", the HTTP POST headers."""
    told = [
        ("x-amz-sns-message-type", message["Type"]),
        ("x-amz-sns-message-id", message["MessageId"]),
        ("x-amz-sns-topic-arn", subscription.spec["TopicArn"]),
        ("content-type", "text/plain; charset=UTF-8"),
        ("user-agent", "Amazon Simple Notification Service Agent"),
    ]
    if message["Type"] != envelope.CONFIRMATION:
        told.append(("x-amz-sns-subscription-arn", names.arn_of(subscription)))
        if _is_raw(subscription):
            told.append(("x-amz-sns-rawdelivery", "true"))
    return told


async def run(platform: Platform) -> None:
    """Delivers what was published, until cancelled."""
    delivery = Delivery(platform)
    try:
        async with asyncio.TaskGroup() as couriers:
            for box in BOXES:
                couriers.create_task(Courier(platform, box, delivery).run())
    finally:
        delivery.close()
