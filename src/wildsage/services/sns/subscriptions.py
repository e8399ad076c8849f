"""Subscriptions: subscribe, confirm, attributes, list, unsubscribe."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from wildsage.core import arn, ids, paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.courier import topic_of
from wildsage.kit.operation import operation
from wildsage.services.sns import envelope, filters, names, retries
from wildsage.services.sns.topics import kept
from wildsage.store.codec import Document
from wildsage.store.outbox import Letter, Outbox
from wildsage.store.resources import Key, Missing, Page, Query, Resource

_BOX, _WEB_BOX = "sns", "sns-web"
BOXES = (_BOX, _WEB_BOX)
_PAGE = 100
_TOKEN_SECONDS = 2 * 86400
_WEB = ("http", "https")
_REFUSED = ("email", "email-json", "sms", "lambda", "application", "firehose")
_URL = re.compile(r"[\x21-\x7e]{1,2048}")
_ATTRIBUTES = ("RawMessageDelivery", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy", "DeliveryPolicy")


@operation("Subscribe")
async def subscribe(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html

    Queues of the caller's own account are subscribed at once, all others once they confirm.
    """
    topic = await names.fetch_topic(ctx.platform, request["TopicArn"])
    protocol, endpoint = request["Protocol"], request.get("Endpoint") or ""
    _check_endpoint(topic, protocol, endpoint)
    given = _check(request.get("Attributes") or {})
    there = await _same(ctx, topic, protocol, endpoint)
    if there is not None:
        if there.status["Attributes"] != given:
            raise names.invalid("Attributes Reason: Subscription already exists with different attributes")
        return _answer(there, request)
    at_once = protocol == "sqs" and arn.parse(endpoint).account == ctx.account
    subscription = Resource(
        Key(names.SUBSCRIPTION, topic.key.account, topic.key.region, f"{topic.key.name}:{uuid.uuid4()}"),
        spec={
            "TopicArn": names.arn_of(topic),
            "Protocol": protocol,
            "Endpoint": endpoint,
            "Owner": ctx.account,
            "Principal": ctx.caller.principal,
            "Base": names.base_url(ctx),
        },
        phase=names.CONFIRMED if at_once else names.PENDING,
        status={"Attributes": given},
        state={} if at_once else {"Token": secrets.token_hex(120)},
        created=ctx.now,
        modified=ctx.now,
    )
    await ctx.platform.resources.create(subscription)
    if not at_once:
        await _ask(ctx, subscription)
    return _answer(subscription, request)


def _answer(subscription: Resource, request: Document) -> Document:
    pending = subscription.phase == names.PENDING and not request.get("ReturnSubscriptionArn")
    return {"SubscriptionArn": "pending confirmation" if pending else names.arn_of(subscription)}


def _check_endpoint(topic: Resource, protocol: str, endpoint: str) -> None:
    """Raises InvalidParameter."""
    if protocol in _REFUSED:
        raise names.invalid(f"Protocol Reason: Wildsage delivers to sqs, http and https, not to {protocol}")
    if protocol in _WEB:
        _check_url(protocol, endpoint)
        return
    if protocol != "sqs":
        raise names.invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    try:
        parsed = arn.parse(endpoint)
    except ValueError:
        raise names.invalid("SQS endpoint ARN") from None
    if parsed.service != "sqs":
        raise names.invalid("SQS endpoint ARN")
    if parsed.resource.endswith(".fifo") and not names.is_ordered(topic.key.name):
        raise names.invalid("Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")


def _check_url(protocol: str, endpoint: str) -> None:
    """Raises InvalidParameter."""
    try:
        url = urlsplit(endpoint)
        fits = url.scheme == protocol and bool(url.hostname) and url.port != 0
    except ValueError:
        fits = False
    if not fits or not _URL.fullmatch(endpoint):
        raise names.invalid(f"Endpoint must match the specified protocol: it is no {protocol} URL")


def _check(given: Mapping[str, str]) -> dict[str, str]:
    """Raises InvalidParameter."""
    for attribute, value in given.items():
        if attribute not in _ATTRIBUTES:
            raise names.invalid("AttributeName")
        if attribute == "RawMessageDelivery" and value.lower() not in ("true", "false"):
            raise names.invalid(
                f"Attributes Reason: RawMessageDelivery: Invalid value [{value}]. Must be true or false."
            )
        if attribute == "FilterPolicyScope" and value not in ("MessageAttributes", "MessageBody"):
            raise names.invalid(
                f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
            )
        if attribute == "FilterPolicy" and value:
            filters.parse(value, given.get("FilterPolicyScope", "MessageAttributes"))
        if attribute == "DeliveryPolicy":
            retries.effective(value)
        if attribute == "RedrivePolicy" and value:
            dead_letter_queue(value)
    return {attribute: value for attribute, value in given.items() if value not in ("", "{}")}


def dead_letter_queue(policy: str) -> str:
    """The ARN of a redrive policy's queue. Raises InvalidParameter."""
    try:
        target = str(json.loads(policy)["deadLetterTargetArn"])
        parsed = arn.parse(target)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise names.invalid("RedrivePolicy: must have a deadLetterTargetArn with the ARN of an SQS queue") from None
    if parsed.service != "sqs":
        raise names.invalid("RedrivePolicy: deadLetterTargetArn is not the ARN of an SQS queue")
    return target


def box_of(subscription: Resource) -> str:
    """The outbox of its letters. Endpoints of the web have one of their own: those that hang must not delay queues."""
    return _WEB_BOX if subscription.spec["Protocol"] in _WEB else _BOX


async def _same(ctx: Context, topic: Resource, protocol: str, endpoint: str) -> Resource | None:
    """The subscription that is there already."""
    for each in await of_topic(ctx, topic.key):
        if (each.spec["Protocol"], each.spec["Endpoint"]) == (protocol, endpoint):
            return each
    return None


async def of_topic(ctx: Context, topic: Key) -> list[Resource]:
    """Every subscription of a topic."""
    found: list[Resource] = []
    after = None
    while True:
        page = await _page(ctx, topic.account, topic.region, f"{topic.name}:", after, 500)
        found += page.items
        if page.following is None:
            return found
        after = (page.following[0], page.following[1])


async def _page(
    ctx: Context, account: str, region: str, prefix: str, after: tuple[object, int] | None, limit: int = _PAGE
) -> Page:
    query = Query(
        names.SUBSCRIPTION,
        account,
        region,
        limit=limit,
        sort="created",
        descending=False,
        name_prefix=prefix,
        after=after,
    )
    return await ctx.platform.resources.page(query)


async def _ask(ctx: Context, subscription: Resource) -> None:
    """Has the endpoint asked whether it wants to be subscribed."""
    topic, token = subscription.spec["TopicArn"], subscription.state["Token"]
    message = {
        "Type": envelope.CONFIRMATION,
        "MessageId": ids.request_id(),
        "Token": token,
        "TopicArn": topic,
        "SubscribeURL": envelope.subscribe_url(names.base_url(ctx), topic, token),
        "Timestamp": envelope.timestamp(ctx.now),
    }
    letter = Letter({"Subscription": names.arn_of(subscription), "Message": message})
    box = box_of(subscription)
    await Outbox(ctx.platform.database, box).add([letter], ctx.now)
    ctx.platform.hints.notify(topic_of(box))


@operation("ConfirmSubscription")
async def confirm_subscription(ctx: Context, request: Document) -> Document:
    """Whoever has the token may; AuthenticateOnUnsubscribe counts only where the request is signed."""
    topic = await names.fetch_topic(ctx.platform, request["TopicArn"])
    for each in await of_topic(ctx, topic.key):
        token = each.state.get("Token")  # queues of one's own have none
        if token and secrets.compare_digest(token.encode(), request["Token"].encode()):
            break
    else:
        raise names.invalid("Token")
    if each.phase == names.PENDING and ctx.now > each.created + _TOKEN_SECONDS:
        raise names.invalid("Token Reason: it is older than two days")
    authenticated = names.is_signed(ctx)
    guarded = authenticated and str(request.get("AuthenticateOnUnsubscribe", "")).lower() == "true"

    def change(found: Resource) -> None:
        found.phase = names.CONFIRMED
        found.state = {**found.state, "Authenticated": authenticated, "Guarded": guarded}

    try:
        await ctx.platform.resources.edit(each.key, change)
    except Missing:
        raise names.no_subscription() from None
    return {"SubscriptionArn": names.arn_of(each)}


@operation("Unsubscribe")
async def unsubscribe(ctx: Context, request: Document) -> Document:
    """The link in a message needs no signature, unless the subscription was confirmed to need it."""
    key = names.key_of(names.SUBSCRIPTION, request["SubscriptionArn"], "SubscriptionArn")
    found = await ctx.platform.resources.get(key)
    if found is None:
        return {}
    signed = names.is_signed(ctx)
    if signed and ctx.account not in (key.account, found.spec["Owner"]):
        raise names.no_subscription()
    if found.state.get("Guarded") and not signed:
        raise ApiError("AuthorizationError", "Unsubscribing from this topic needs a signed request.", 403)
    try:
        await ctx.platform.resources.remove(key)
    except Missing:
        return {}
    return {}


@operation("GetSubscriptionAttributes")
async def get_subscription_attributes(ctx: Context, request: Document) -> Document:
    found = await names.fetch_subscription(ctx, request["SubscriptionArn"])
    spec, given = found.spec, found.status["Attributes"]
    told = {
        "SubscriptionArn": names.arn_of(found),
        "TopicArn": spec["TopicArn"],
        "Protocol": spec["Protocol"],
        "Endpoint": spec["Endpoint"],
        "Owner": spec["Owner"],
        "SubscriptionPrincipal": spec["Principal"],
        "PendingConfirmation": str(found.phase == names.PENDING).lower(),
        "ConfirmationWasAuthenticated": str(found.state.get("Authenticated", found.phase == names.CONFIRMED)).lower(),
        "RawMessageDelivery": "false",
    }
    if "FilterPolicy" in given:
        told["FilterPolicyScope"] = "MessageAttributes"
    if spec["Protocol"] in _WEB:
        topic = await names.fetch_topic(ctx.platform, spec["TopicArn"])
        policy = retries.effective(kept(topic).get("DeliveryPolicy"), given.get("DeliveryPolicy"))
        told["EffectiveDeliveryPolicy"] = json.dumps({"healthyRetryPolicy": policy})
    return {"Attributes": told | given}


@operation("SetSubscriptionAttributes")
async def set_subscription_attributes(ctx: Context, request: Document) -> Document:
    attribute, value = request["AttributeName"], request.get("AttributeValue") or ""
    found = await names.fetch_subscription(ctx, request["SubscriptionArn"])
    if attribute not in _ATTRIBUTES:
        raise names.invalid("AttributeName")

    def change(subscription: Resource) -> None:
        merged = {**subscription.status["Attributes"], attribute: value}
        subscription.status["Attributes"] = _check(merged)
        subscription.modified = ctx.now

    try:
        await ctx.platform.resources.edit(found.key, change)
    except Missing:
        raise names.no_subscription() from None
    return {}


def _summary(found: Resource) -> Document:
    pending = found.phase == names.PENDING
    shown = {name: found.spec[name] for name in ("TopicArn", "Protocol", "Endpoint", "Owner")}
    return {"SubscriptionArn": "PendingConfirmation" if pending else names.arn_of(found), **shown}


def _listed(page: Page) -> Document:
    answer: Document = {"Subscriptions": [_summary(each) for each in page.items]}
    if page.following is not None:
        answer["NextToken"] = paging.encode(page.following)
    return answer


@operation("ListSubscriptions")
async def list_subscriptions(ctx: Context, request: Document) -> Document:
    """Those of the caller's topics."""
    return _listed(await _page(ctx, ctx.account, ctx.region, "", names.position(request.get("NextToken"))))


@operation("ListSubscriptionsByTopic")
async def list_subscriptions_by_topic(ctx: Context, request: Document) -> Document:
    key = (await names.fetch_topic(ctx.platform, request["TopicArn"])).key
    after = names.position(request.get("NextToken"))
    return _listed(await _page(ctx, key.account, key.region, f"{key.name}:", after))
