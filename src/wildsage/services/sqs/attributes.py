"""Attributes of queues: what they must be and what they are by default. Pure.

Source: API reference, SetQueueAttributes and CreateQueue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wildsage.access.conditions import PolicyError
from wildsage.access.policies import Use, compile_policy
from wildsage.core import arn
from wildsage.core.errors import ApiError

# Attribute → default, least, most. Seconds, but for MaximumMessageSize (bytes).
_NUMBERS: Mapping[str, tuple[int, int, int]] = {
    "DelaySeconds": (0, 0, 900),
    "MaximumMessageSize": (1_048_576, 1024, 1_048_576),
    "MessageRetentionPeriod": (345_600, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, 20),
    "VisibilityTimeout": (30, 0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (300, 60, 86_400),
}
_DIGITS = re.compile(r"[0-9]{1,20}")
_SHOWN = ("DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds")
_BOOLEANS = ("FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
_OF_FIFO = ("FifoQueue", "ContentBasedDeduplication", *_WORDS)
_FIFO_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
_MOST_POLICY = 8192  # bytes; Developer Guide, "Special information for Amazon SQS policies"
_TEXTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId")
COUNTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
READ_ONLY = (*COUNTED, "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn")
KNOWN = frozenset({"All", *_NUMBERS, *_BOOLEANS, *_WORDS, *_TEXTS, *READ_ONLY})


@dataclass(frozen=True, slots=True)
class Redrive:
    """Where messages go that were received ``most`` times."""

    target: str
    most: int


def check(given: Mapping[str, str], name: str) -> dict[str, str]:
    """The attributes to keep, of the queue ``name``. An empty value takes one away.

    Raises InvalidAttributeName, InvalidAttributeValue or InvalidParameterValue.
    """
    ordered = name.endswith(".fifo")
    for attribute, value in given.items():
        if attribute not in KNOWN or attribute in READ_ONLY or attribute == "All":
            raise ApiError("InvalidAttributeName", f"Unknown Attribute {attribute}.")
        if attribute in _OF_FIFO and not ordered:
            raise ApiError("InvalidAttributeName", f"Unknown Attribute {attribute}.")
        _check_value(attribute, value)
    return {attribute: str(value) for attribute, value in given.items()}


def _check_value(attribute: str, value: str) -> None:
    if attribute in _NUMBERS:
        _, least, most = _NUMBERS[attribute]
        if not _DIGITS.fullmatch(str(value)) or not least <= int(value) <= most:
            raise bad_value(attribute)
    elif attribute in _BOOLEANS:
        if str(value).lower() not in ("true", "false"):
            raise bad_value(attribute)
    elif attribute in _WORDS:
        if value not in _WORDS[attribute]:
            raise bad_value(attribute)
    elif attribute == "Policy" and value:
        if len(value) > _MOST_POLICY:
            raise ApiError("OverLimit", "Submitted policy is over max allowed size.", 403)
        try:
            compile_policy(value, Use.RESOURCE)
        except PolicyError as error:
            raise ApiError("InvalidAttributeValue", f"Invalid value for the parameter Policy: {error}") from None
    elif attribute == "RedrivePolicy" and value:
        redrive_of({"RedrivePolicy": value})
    elif attribute == "RedriveAllowPolicy" and value:
        _check_allowed(_json(attribute, value))


def _check_allowed(policy: Any) -> None:
    """A RedriveAllowPolicy: who may use the queue for dead letters."""
    sources = policy.get("sourceQueueArns", []) if isinstance(policy, dict) else None
    if not isinstance(sources, list) or policy.get("redrivePermission") not in ("allowAll", "denyAll", "byQueue"):
        raise bad_value("RedriveAllowPolicy")


def bad_value(attribute: str) -> ApiError:
    return ApiError("InvalidAttributeValue", f"Invalid value for the parameter {attribute}.")


def _json(attribute: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise bad_value(attribute) from None


def redrive_of(kept: Mapping[str, str]) -> Redrive | None:
    """The redrive policy, if there is one. Raises InvalidParameterValue."""
    text = kept.get("RedrivePolicy")
    if not text:
        return None
    policy = _json("RedrivePolicy", text)
    try:
        target, most = str(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"])
        parsed = arn.parse(target)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ApiError(
            "InvalidParameterValue",
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: It must be JSON with a deadLetterTargetArn "
            "and a maxReceiveCount.",
        ) from None
    if parsed.service != "sqs" or not 1 <= most <= 1000:
        raise ApiError(
            "InvalidParameterValue",
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: {most}, "
            "valid values are from 1 to 1000 both inclusive.",
        )
    return Redrive(target, most)


def allows_source(kept: Mapping[str, str], source: str) -> bool:
    """Whether a dead-letter queue takes messages of the queue ``source`` (RedriveAllowPolicy; default: of any)."""
    text = kept.get("RedriveAllowPolicy")
    policy = _json("RedriveAllowPolicy", text) if text else {}
    permission = policy.get("redrivePermission", "allowAll")
    return permission == "allowAll" or (permission == "byQueue" and source in policy.get("sourceQueueArns", ()))


def number(kept: Mapping[str, str], attribute: str) -> int:
    """A numeric attribute or its default."""
    return int(kept.get(attribute) or _NUMBERS[attribute][0])


def shown(kept: Mapping[str, str], ordered: bool) -> dict[str, str]:
    """What GetQueueAttributes tells of them, with defaults."""
    told = {attribute: str(number(kept, attribute)) for attribute in (*_SHOWN, "VisibilityTimeout")}
    if ordered:
        told |= {"FifoQueue": "true", **_FIFO_DEFAULTS}
    if not kept.get("KmsMasterKeyId"):
        told["SqsManagedSseEnabled"] = "false"
    else:
        told["KmsDataKeyReusePeriodSeconds"] = str(number(kept, "KmsDataKeyReusePeriodSeconds"))
    return told | {attribute: value for attribute, value in kept.items() if value != ""}
