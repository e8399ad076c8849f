"""What a notification configuration must be. Pure.

Source: S3 User Guide, "Configuring event notifications using object key name filtering" and "Supported destinations";
messages as S3 answers them.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from wildsage.core import arn
from wildsage.core.errors import ApiError
from wildsage.services.s3 import errors
from wildsage.store.codec import Document

SETTING = "NotificationConfiguration"
# Member of the configuration → member with the destination's ARN, its service, its word in messages.
DESTINATIONS = {
    "QueueConfigurations": ("QueueArn", "sqs", "queue"),
    "TopicConfigurations": ("TopicArn", "sns", "topic"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One destination and what it wants to hear of: ``events`` without ``s3:``, the last part maybe ``*``."""

    id: str
    target: str
    events: tuple[str, ...]
    prefix: str
    suffix: str

    def wants(self, event: str, key: str) -> bool:
        """Whether it hears of ``event`` (``ObjectCreated:Put``) of that key."""
        return (
            key.startswith(self.prefix)
            and key.endswith(self.suffix)
            and any(each == event or (each.endswith("*") and event.startswith(each[:-1])) for each in self.events)
        )


def rules_of(configuration: Document) -> Iterator[Rule]:
    """The rules of a configuration that ``check`` has seen."""
    for member, (target, _, _) in DESTINATIONS.items():
        for each in configuration.get(member) or ():
            filters = _filters(each)
            events = tuple(event.removeprefix("s3:") for event in each["Events"])
            yield Rule(each.get("Id", ""), each[target], events, filters.get("prefix", ""), filters.get("suffix", ""))


def check(configuration: Document, region: str) -> Document:
    """The configuration as it is kept, every part with an id. Raises InvalidArgument, or NotImplemented in words."""
    for member, what in (
        ("LambdaFunctionConfigurations", "Lambda functions, because there is no AWS Lambda here"),
        ("EventBridgeConfiguration", "EventBridge, because there is no EventBridge here yet"),
    ):
        if configuration.get(member) is not None and configuration[member] != []:
            words = f"Wildsage does not send events of buckets to {what}. Use an SQS queue or an SNS topic."
            raise ApiError("NotImplemented", words, 501)
    kept: Document = {}
    for member, (target, service, _) in DESTINATIONS.items():
        listed = configuration.get(member) or []
        if listed:
            kept[member] = [{**each, "Id": each.get("Id") or str(uuid.uuid4())} for each in listed]
        for each in listed:
            _check_target(each[target], service, region)
            _filters(each)
    rules = list(rules_of(kept))
    if len({rule.id for rule in rules}) < len(rules):
        raise _invalid("Same ID used for multiple configurations. IDs must be unique.")
    for one, other in itertools.combinations(rules, 2):
        if _common_event(one, other) and _overlap(one, other):
            raise _invalid(
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes "
                "are overlapping for the same event type."
            )
    return kept


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidArgument", message, 400)


def _filters(each: Document) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in ((each.get("Filter") or {}).get("Key") or {}).get("FilterRules") or ():
        name = str(rule.get("Name", "")).lower()
        if name not in ("prefix", "suffix"):
            raise _invalid("filter rule name must be either prefix or suffix")
        if name in found:
            raise _invalid(f"Cannot specify more than one {name} rule in a filter.")
        found[name] = str(rule.get("Value") or "")
    return found


def _check_target(target: str, service: str, region: str) -> None:
    try:
        parsed = arn.parse(target)
    except ValueError:
        raise errors.invalid_argument("The ARN could not be parsed", "Arn", target) from None
    if parsed.service != service:
        raise errors.invalid_argument("The ARN is not of the service that the configuration names", "Arn", target)
    if parsed.region != region:
        message = "The notification destination service region is not valid for the bucket location constraint"
        raise errors.invalid_argument(message, "Arn", target)
    if parsed.resource.endswith(".fifo"):
        raise unable(target, "FIFO queues and topics are not supported as destinations of a bucket's events")


def unable(target: str, reason: str) -> ApiError:
    """S3's answer where a destination cannot be told anything."""
    fields = {"ArgumentName1": f"{target}, null", "ArgumentValue1": reason}
    return ApiError("InvalidArgument", "Unable to validate the following destination configurations", 400, fields)


def _common_event(one: Rule, other: Rule) -> bool:
    return any(_same_event(here, there) for here in one.events for there in other.events)


def _same_event(one: str, other: str) -> bool:
    if one.endswith("*"):
        return other.startswith(one[:-1])
    return one == other or (other.endswith("*") and one.startswith(other[:-1]))


def _overlap(one: Rule, other: Rule) -> bool:
    """Whether a key may satisfy both."""
    prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    return prefixes and (one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix))
