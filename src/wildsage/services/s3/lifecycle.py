"""Lifecycle rules: what they must be, and what they say of an object (User Guide, "Lifecycle configuration elements").

Expirations and the abortion of unfinished uploads run (``expiry``).  There is one storage tier, so transitions are kept
and change nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wildsage.core.errors import ApiError
from wildsage.services.s3 import errors
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document
from wildsage.store.objectindex import ObjectVersion
from wildsage.wire.timestamps import RFC822, format_timestamp

SETTING: Final = "LifecycleConfiguration"
DAY: Final = 86_400.0
_MOST_RULES: Final = 1000
_LONGEST_ID: Final = 255
_LAST_DAY: Final = 253_402_214_400.0  # 9999-12-31: no header writes a later one


def check(configuration: Document) -> Document:
    """The configuration with an id for every rule. Raises InvalidArgument, InvalidRequest or MalformedXML."""
    rules = configuration.get("Rules") or []
    if not 1 <= len(rules) <= _MOST_RULES:
        raise errors.malformed_xml()
    named = [{**rule, "ID": rule.get("ID") or secrets.token_hex(16)} for rule in rules]
    for rule in named:
        _check_rule(rule)
    if len({rule["ID"] for rule in named}) < len(named):
        raise errors.invalid_argument("Rule ID must be unique. Found same ID for more than one rule", "ID", "")
    return {**configuration, "Rules": named}


def _check_rule(rule: Document) -> None:
    if len(rule["ID"]) > _LONGEST_ID:
        raise errors.invalid_argument("ID length should not exceed allowed limit of 255", "ID", rule["ID"])
    expiration = rule.get("Expiration") or {}
    if expiration.get("Days") is not None and expiration["Days"] <= 0:
        words = "'Days' for Expiration action must be a positive integer"
        raise errors.invalid_argument(words, "Days", str(expiration["Days"]))
    for timed in (expiration, *(rule.get("Transitions") or ())):
        if timed.get("Date") is not None and timed["Date"] % DAY:
            raise errors.invalid_argument("'Date' must be at midnight GMT", "Date", str(timed["Date"]))
    if len([name for name in ("Days", "Date", "ExpiredObjectDeleteMarker") if expiration.get(name) is not None]) > 1:
        raise errors.malformed_xml()
    actions = ("Expiration", "Transitions", "NoncurrentVersionExpiration", "NoncurrentVersionTransitions")
    if not any(rule.get(name) for name in (*actions, "AbortIncompleteMultipartUpload")):
        raise ApiError("InvalidRequest", "At least one action needs to be specified in a rule", 400)


@dataclass(frozen=True, slots=True)
class Rule:
    """One enabled rule."""

    raw: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        narrowed = self._filter
        return str(narrowed.get("Prefix") or self.raw.get("Prefix") or "")

    @property
    def _filter(self) -> Mapping[str, Any]:
        given: Mapping[str, Any] = self.raw.get("Filter") or {}
        both: Mapping[str, Any] = given.get("And") or given
        return both

    def covers(self, item: ObjectVersion) -> bool:
        """Whether the rule's filter takes in the object: prefix, every tag, and size."""
        narrowed = self._filter
        tags: Mapping[str, str] = item.document.get("Tags") or {}
        wanted: Sequence[Document] = narrowed.get("Tags") or ([narrowed["Tag"]] if narrowed.get("Tag") else [])
        larger, smaller = narrowed.get("ObjectSizeGreaterThan"), narrowed.get("ObjectSizeLessThan")
        return (
            item.key.startswith(self.prefix)
            and all(tags.get(tag["Key"]) == tag["Value"] for tag in wanted)
            and (larger is None or item.size > larger)
            and (smaller is None or item.size < smaller)
        )

    def expires(self, item: ObjectVersion) -> float | None:
        """When a current object expires (epoch seconds), if it ever does by this rule."""
        expiration = self.raw.get("Expiration") or {}
        if expiration.get("Date") is not None:
            return float(expiration["Date"])
        return None if expiration.get("Days") is None else midnight_after(item.modified, expiration["Days"])


def rules_of(bucket: Bucket) -> Iterator[Rule]:
    """The bucket's enabled rules."""
    for rule in (bucket.settings.get(SETTING) or {}).get("Rules") or ():
        if rule.get("Status") == "Enabled":
            yield Rule(rule)


def midnight_after(since: float, days: int) -> float:
    """S3 counts whole days and rounds up to the next midnight UTC."""
    return min(-(-(since + days * DAY) // DAY) * DAY, _LAST_DAY)


def told(bucket: Bucket, item: ObjectVersion) -> Document:
    """The x-amz-expiration header of an answer about a current object."""
    found = [
        (when, rule) for rule in rules_of(bucket) if rule.covers(item) and (when := rule.expires(item)) is not None
    ]
    if not found:
        return {}
    when, rule = min(found, key=lambda pair: pair[0])
    return {"Expiration": f'expiry-date="{format_timestamp(when, RFC822)}", rule-id="{rule.raw["ID"]}"'}
