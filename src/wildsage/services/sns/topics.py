"""Topics: create, list, attributes, tags, permissions, delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from wildsage.access.conditions import PolicyError
from wildsage.access.policies import Use, compile_policy
from wildsage.core import paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.kind import tag_list, tag_map
from wildsage.kit.operation import operation
from wildsage.kit.permissions import add_permission, remove_permission
from wildsage.services.sns import names, retries
from wildsage.store.codec import Document
from wildsage.store.resources import AlreadyExists, Missing, Query, Resource

_PAGE = 100
_BOOLEANS = ("FifoTopic", "ContentBasedDeduplication")
_FIXED = ("FifoTopic",)
_MOST_POLICY = 30 * 1024  # characters
_TEXTS = ("DisplayName", "Policy", "DeliveryPolicy", "KmsMasterKeyId", "FifoThroughputScope")
_MOST_TAGS = 50


def kept(topic: Resource) -> Mapping[str, str]:
    """The attributes that were set."""
    found: Mapping[str, str] = topic.status["Attributes"]
    return found


def _check(given: Mapping[str, str], name: str) -> dict[str, str]:
    """Raises InvalidParameter."""
    for attribute, value in given.items():
        if attribute not in (*_BOOLEANS, *_TEXTS):
            raise names.invalid(f"Attributes Reason: Unknown attribute {attribute}, or one that Wildsage does not have")
        if attribute in _BOOLEANS and value.lower() not in ("true", "false"):
            raise names.invalid(f"Attributes Reason: {attribute} must be true or false")
        if attribute == "ContentBasedDeduplication" and not names.is_ordered(name):
            raise names.invalid("Attributes Reason: Content-based deduplication can only be set for FIFO topics")
        if attribute == "DeliveryPolicy":
            retries.effective(value)
        if attribute == "Policy" and value:
            if len(value) > _MOST_POLICY:
                raise names.invalid(f"Policy Reason: it is longer than {_MOST_POLICY} characters")
            try:
                compile_policy(value, Use.RESOURCE)
            except PolicyError as error:
                raise names.invalid(f"Policy Reason: {error}") from None
    return {attribute: value for attribute, value in given.items() if value != ""}


@operation("CreateTopic")
async def create_topic(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html"""
    name, given = request["Name"], request.get("Attributes") or {}
    names.check_name(name, given.get("FifoTopic", "false").lower() == "true")
    topic = Resource(
        names.key_of(names.TOPIC, f"arn:aws:sns:{ctx.region}:{ctx.account}:{name}", "Name"),
        spec={},
        status={"Attributes": _check(given, name)},
        tags=tag_map(request.get("Tags")),
        created=ctx.now,
        modified=ctx.now,
    )
    try:
        await ctx.platform.resources.create(topic)
    except AlreadyExists as error:
        there = kept(error.existing)
        if any(there.get(attribute, "") != value for attribute, value in given.items()):
            raise names.invalid("Attributes Reason: Topic already exists with different attributes") from None
        if request.get("Tags") and tag_map(request["Tags"]) != error.existing.tags:
            raise names.invalid("Tags Reason: Topic already exists with different tags") from None
    return {"TopicArn": names.arn_of(topic)}


@operation("ListTopics")
async def list_topics(ctx: Context, request: Document) -> Document:
    page = await ctx.platform.resources.page(
        Query(
            names.TOPIC,
            ctx.account,
            ctx.region,
            limit=_PAGE,
            sort="name",
            descending=False,
            after=names.position(request.get("NextToken")),
        )
    )
    answer: Document = {"Topics": [{"TopicArn": names.arn_of(each)} for each in page.items]}
    if page.following is not None:
        answer["NextToken"] = paging.encode(page.following)
    return answer


@operation("DeleteTopic")
async def delete_topic(ctx: Context, request: Document) -> Document:
    """Its subscriptions go with it; deleting what is not there is no error."""
    key = names.key_of(names.TOPIC, request["TopicArn"], "TopicArn")
    try:
        await ctx.platform.resources.remove(key)
    except Missing:
        return {}
    query = Query(names.SUBSCRIPTION, key.account, key.region, limit=500, sort="name", name_prefix=f"{key.name}:")
    while found := (await ctx.platform.resources.page(query)).items:
        for subscription in found:
            await ctx.platform.resources.remove(subscription.key)
    return {}


@operation("GetTopicAttributes")
async def get_topic_attributes(ctx: Context, request: Document) -> Document:
    topic = await names.fetch_topic(ctx.platform, request["TopicArn"])
    key = topic.key
    counts = dict.fromkeys((names.CONFIRMED, names.PENDING), 0)
    for subscription in await ctx.platform.resources.all_of(names.SUBSCRIPTION):
        there = subscription.key
        if (there.account, there.region) == (key.account, key.region) and there.name.startswith(f"{key.name}:"):
            counts[subscription.phase] += 1
    told = {
        "TopicArn": names.arn_of(topic),
        "Owner": key.account,
        "Policy": _default_policy(topic),
        "DisplayName": "",
        "SubscriptionsConfirmed": str(counts[names.CONFIRMED]),
        "SubscriptionsPending": str(counts[names.PENDING]),
        "SubscriptionsDeleted": "0",
        "EffectiveDeliveryPolicy": json.dumps(
            {
                "http": {
                    "defaultHealthyRetryPolicy": retries.effective(kept(topic).get("DeliveryPolicy")),
                    "disableSubscriptionOverrides": False,
                }
            }
        ),
    }
    if names.is_ordered(key.name):
        told |= {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    return {"Attributes": {**told, **kept(topic)}}


def _default_policy(topic: Resource) -> str:
    """What a new topic's policy says: the owner may. Who may by it is decided by the owner's own policies."""
    actions = ("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic")
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{name}" for name in (*actions, "Subscribe", "ListSubscriptionsByTopic", "Publish")],
        "Resource": names.arn_of(topic),
        "Condition": {"StringEquals": {"AWS:SourceOwner": topic.key.account}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


@operation("SetTopicAttributes")
async def set_topic_attributes(ctx: Context, request: Document) -> Document:
    attribute, value = request["AttributeName"], request.get("AttributeValue") or ""
    topic = await names.fetch_topic(ctx.platform, request["TopicArn"])
    if attribute in _FIXED:
        raise names.invalid("AttributeName")
    _check({attribute: value}, topic.key.name)
    await _change(ctx, topic, attribute, value)
    return {}


async def _change(ctx: Context, topic: Resource, attribute: str, value: str) -> None:
    def change(found: Resource) -> None:
        merged = {**found.status["Attributes"], attribute: value}
        found.status["Attributes"] = {name: each for name, each in merged.items() if each != ""}
        found.modified = ctx.now

    try:
        await ctx.platform.resources.edit(topic.key, change)
    except Missing:
        raise names.no_topic() from None


@operation("AddPermission")
async def add(ctx: Context, request: Document) -> Document:
    topic = await names.fetch_topic(ctx.platform, request["TopicArn"])
    actions = [f"SNS:{action}" for action in request["ActionName"]]
    policy = add_permission(
        kept(topic).get("Policy"), names.arn_of(topic), request["Label"], request["AWSAccountId"], actions
    )
    if policy is None:
        raise names.invalid("Statement already exists")
    await _change(ctx, topic, "Policy", policy)
    return {}


@operation("RemovePermission")
async def remove(ctx: Context, request: Document) -> Document:
    topic = await names.fetch_topic(ctx.platform, request["TopicArn"])
    policy = remove_permission(kept(topic).get("Policy"), names.arn_of(topic), request["Label"])
    if policy is not None:
        await _change(ctx, topic, "Policy", policy)
    return {}


@operation("TagResource")
async def tag_resource(ctx: Context, request: Document) -> Document:
    new = tag_map(request["Tags"])

    def change(tags: dict[str, str]) -> dict[str, str]:
        merged = {**tags, **new}
        if len(merged) > _MOST_TAGS:
            raise ApiError("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
        return merged

    return await _retag(ctx, request, change)


@operation("UntagResource")
async def untag_resource(ctx: Context, request: Document) -> Document:
    gone = set(request["TagKeys"])
    return await _retag(ctx, request, lambda tags: {key: value for key, value in tags.items() if key not in gone})


async def _retag(ctx: Context, request: Document, change: Callable[[dict[str, str]], dict[str, str]]) -> Document:
    try:
        await ctx.platform.resources.retag(names.key_of(names.TOPIC, request["ResourceArn"], "ResourceArn"), change)
    except Missing:
        raise ApiError("ResourceNotFound", "Resource does not exist", 404) from None
    return {}


@operation("ListTagsForResource")
async def list_tags_for_resource(ctx: Context, request: Document) -> Document:
    found = await ctx.platform.resources.get(names.key_of(names.TOPIC, request["ResourceArn"], "ResourceArn"))
    if found is None:
        raise ApiError("ResourceNotFound", "Resource does not exist", 404)
    return {"Tags": tag_list(found.tags)}
