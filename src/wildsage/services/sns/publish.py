"""Publish and PublishBatch: a message becomes a letter to every subscriber who wants it, durable before the answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wildsage.core import ids
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.courier import topic_of
from wildsage.kit.operation import operation
from wildsage.services.sns import envelope, filters, names
from wildsage.services.sns.subscriptions import BOXES, box_of, of_topic
from wildsage.services.sns.topics import kept
from wildsage.store.codec import Document
from wildsage.store.outbox import Letter
from wildsage.store.publications import Publication, Publications
from wildsage.store.resources import Resource

_MOST_BYTES = 262_144
_MOST_ENTRIES = 10
_DUPLICATE_SECONDS = 300.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_SUBJECT = re.compile(r"[\x20-\x7e]{1,100}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
_TYPE = re.compile(r"String(\.Array)?|Number|Binary")


@operation("Publish")
async def publish(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
    if request.get("PhoneNumber"):
        raise names.invalid("PhoneNumber Reason: Wildsage sends no text messages")
    target = request.get("TopicArn") or request.get("TargetArn")
    if not target:
        raise names.invalid("TopicArn or TargetArn Reason: no value for required parameter")
    topic = await names.fetch_topic(ctx.platform, target, "TopicArn" if request.get("TopicArn") else "TargetArn")
    return await _publish(ctx, topic, await of_topic(ctx, topic.key), request)


@operation("PublishBatch")
async def publish_batch(ctx: Context, request: Document) -> Document:
    entries = request.get("PublishBatchRequestEntries") or []
    _check_batch(entries)
    topic = await names.fetch_topic(ctx.platform, request["TopicArn"])
    subscriptions = await of_topic(ctx, topic.key)
    answer: Document = {"Successful": [], "Failed": []}
    for entry in entries:
        try:
            told = await _publish(ctx, topic, subscriptions, entry)
        except ApiError as error:
            failure = {"Code": error.code, "Message": error.message, "SenderFault": error.status < 500}
            answer["Failed"].append({"Id": entry["Id"], **failure})
        else:
            answer["Successful"].append({"Id": entry["Id"], **told})
    return answer


def _check_batch(entries: list[Document]) -> None:
    if not entries:
        raise ApiError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > _MOST_ENTRIES:
        raise ApiError(
            "TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible (more than 10)."
        )
    listed = [entry["Id"] for entry in entries]
    if len(set(listed)) < len(listed):
        raise ApiError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
    if not all(_ID.fullmatch(each) for each in listed):
        raise ApiError(
            "InvalidBatchEntryId", "The Id of a batch entry in a batch request doesn't abide by the specification."
        )


async def _publish(ctx: Context, topic: Resource, subscriptions: list[Resource], request: Document) -> Document:
    message = _message(ctx, topic, request)
    group, token = _order(topic, request)
    message |= {name: value for name, value in (("Group", group), ("Deduplication", token)) if value}
    letters: dict[str, list[Letter]] = {box: [] for box in BOXES}
    for box, letter in _letters(message, subscriptions, group if names.is_ordered(topic.key.name) else None):
        letters[box].append(letter)
    publication = Publication(topic.uid, message["MessageId"], letters, token, ctx.now + _DUPLICATE_SECONDS)
    told: Document = {"MessageId": await Publications(ctx.platform.database).publish(publication, ctx.now)}
    for box, found in letters.items():
        if found:
            ctx.platform.hints.notify(topic_of(box))
    if "SequenceNumber" in message:
        told["SequenceNumber"] = message["SequenceNumber"]
    return told


def _letters(message: Document, subscriptions: list[Resource], group: str | None) -> Iterator[tuple[str, Letter]]:
    """Each with its box."""
    for each in subscriptions:
        if each.phase == names.CONFIRMED and _wants(each, message):
            there = names.arn_of(each)
            lane = "" if group is None else f"{there} {group}"
            yield box_of(each), Letter({"Subscription": there, "Message": message}, lane)


def _wants(subscription: Resource, message: Document) -> bool:
    given = subscription.status["Attributes"]
    if "FilterPolicy" not in given:
        return True
    scope = given.get("FilterPolicyScope", "MessageAttributes")
    policy = filters.parse(given["FilterPolicy"], scope)
    if scope == "MessageAttributes":
        return filters.matches(policy, filters.of_attributes(message.get("MessageAttributes") or {}))
    body = filters.of_body(text_for(message, subscription.spec["Protocol"]))
    return body is not None and filters.matches(policy, body)


def text_for(message: Document, protocol: str) -> str:
    """The message as it goes by that protocol: MessageStructure ``json`` may have one for each."""
    texts: Mapping[str, str] | None = message.get("Texts")
    return str(message["Message"]) if texts is None else texts.get(protocol, texts["default"])


def _message(ctx: Context, topic: Resource, request: Document) -> Document:
    """What is published; raises InvalidParameter for what cannot be."""
    text, subject = request.get("Message") or "", request.get("Subject")
    given = request.get("MessageAttributes") or {}
    if not text:
        raise names.invalid("Empty message")
    given = _attributes(given)
    if len(text.encode()) + sum(_size(name, value) for name, value in given.items()) > _MOST_BYTES:
        raise names.invalid("Message too long")
    if subject is not None and not _SUBJECT.fullmatch(subject):
        raise names.invalid("Subject")
    message: Document = {
        "Type": envelope.NOTIFICATION,
        "MessageId": ids.request_id(),
        "TopicArn": names.arn_of(topic),
        "Message": text,
        "Timestamp": envelope.timestamp(ctx.now),
    }
    if request.get("MessageStructure") == "json":
        message["Texts"] = _texts(text)
    elif request.get("MessageStructure"):
        raise names.invalid("MessageStructure")
    if subject:
        message["Subject"] = subject
    if given:
        message["MessageAttributes"] = given
    if names.is_ordered(topic.key.name):
        message["SequenceNumber"] = f"{10**19 + round(ctx.now * 1_000_000)}"
    return message


def _texts(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise names.invalid("Message Structure - JSON message body failed to parse") from None
    if not isinstance(found, dict) or not isinstance(found.get("default"), str):
        raise names.invalid("Message Structure - No default entry in JSON message body")
    return {protocol: value for protocol, value in found.items() if isinstance(value, str)}


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    """The message's attributes, each with its type and the value of it. Raises InvalidParameter."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        kind = str(value.get("DataType") or "")
        if not _TYPE.fullmatch(kind.split(".")[0]) and not _TYPE.fullmatch(kind):
            raise names.invalid(
                f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
                "prefixes is Binary, Number, and String."
            )
        member = "BinaryValue" if kind.startswith("Binary") else "StringValue"
        if not value.get(member):
            raise names.invalid(f"The message attribute '{name}' must contain non-empty message attribute value.")
        kept[name] = {"DataType": kind, member: value[member]}
    return kept


def _size(name: str, value: Mapping[str, Any]) -> int:
    content = value["BinaryValue"] if "BinaryValue" in value else str(value["StringValue"]).encode()
    return len(name.encode()) + len(value["DataType"]) + len(content)


def _order(topic: Resource, request: Document) -> tuple[str | None, str | None]:
    """Group and deduplication id."""
    group, token = request.get("MessageGroupId") or None, request.get("MessageDeduplicationId") or None
    for parameter, value in (("MessageGroupId", group), ("MessageDeduplicationId", token)):
        if value is not None and not _TOKEN.fullmatch(value):
            raise names.invalid(f"{parameter} Reason: it takes 1 to 128 alphanumeric and punctuation characters")
    if not names.is_ordered(topic.key.name):
        if token is not None:
            raise names.invalid(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter "
                "that is not valid for this topic type"
            )
        return group, None
    if group is None:
        raise names.invalid("The MessageGroupId parameter is required for FIFO topics")
    if token is None:
        if kept(topic).get("ContentBasedDeduplication", "").lower() != "true":
            raise names.invalid(
                "The topic should either have ContentBasedDeduplication enabled or "
                "MessageDeduplicationId provided explicitly"
            )
        token = hashlib.sha256(request["Message"].encode()).hexdigest()
    return group, token
