"""Lifecycle policies: their rules, and which images they expire. Pure.

Source: ECR User Guide, "Lifecycle policy properties" and "How lifecycle policies work" (evaluation rules).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, TypeGuard

from wildsage.store.imageindex import Image

_DAY: Final = 86400.0
_MOST_RULES: Final = 50
_MOST_STARS: Final = 4
COUNT, AGE, IDLE = "imageCountMoreThan", "sinceImagePushed", "sinceImagePulled"


class Malformed(Exception):
    """Not a lifecycle policy; the words say why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``patterns``: of tags, each of which one of an image's tags must match. ``number``: of images, or days."""

    priority: int
    status: str
    patterns: tuple[str, ...]
    count: str
    number: int

    def selects(self, image: Image) -> bool:
        """Whether the rule speaks of the image."""
        if self.status == "any":
            return True
        if self.status == "untagged":
            return not image.tags
        return bool(image.tags) and all(
            any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in self.patterns
        )

    def over(self, image: Image, now: float) -> bool:
        """Whether its time is over, for a rule of days."""
        since = image.pushed if self.count == AGE else max(image.pushed, image.pulled or 0.0)
        return since < now - self.number * _DAY


@dataclass(frozen=True, slots=True)
class Expiry:
    """An image that a rule expires."""

    image: Image
    priority: int


def parse(text: str) -> list[Rule]:
    """The rules, in the order of their priorities; raises Malformed."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"it is not JSON: {error}") from None
    raw = document.get("rules") if isinstance(document, Mapping) else None
    if not isinstance(raw, list) or not 1 <= len(raw) <= _MOST_RULES:
        raise Malformed(f"there must be from 1 to {_MOST_RULES} rules")
    rules = sorted((_rule(each) for each in raw), key=lambda rule: rule.priority)
    if len({rule.priority for rule in rules}) < len(rules):
        raise Malformed("every rule needs a rulePriority of its own")
    statuses = [rule.status for rule in rules]
    if statuses.count("untagged") > 1:
        raise Malformed("only one rule may select untagged images")
    if "any" in statuses[:-1]:
        raise Malformed("a rule with the tagStatus any must be the only one, and have the highest rulePriority")
    return rules


def expiring(rules: Sequence[Rule], images: Sequence[Image], now: float) -> list[Expiry]:
    """What goes now, in the order of the rules; older images first.

    An image that a rule selects is no longer a matter of rules behind it, though they count it.
    """
    taken: set[str] = set()
    gone: list[Expiry] = []
    youngest_first = sorted(images, key=lambda image: (-image.pushed, image.digest))
    for rule in rules:
        selected = [image for image in youngest_first if rule.selects(image)]
        marked = selected[rule.number :] if rule.count == COUNT else [each for each in selected if rule.over(each, now)]
        gone += [Expiry(image, rule.priority) for image in reversed(marked) if image.digest not in taken]
        taken |= {image.digest for image in selected}
    return gone


def _rule(raw: Any) -> Rule:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("selection"), Mapping):
        raise Malformed("a rule needs rulePriority, selection and action")
    priority, selection, action = raw.get("rulePriority"), raw["selection"], raw.get("action")
    if not _is_positive(priority):
        raise Malformed("rulePriority must be a whole number from 1 on")
    if not isinstance(action, Mapping) or action.get("type") != "expire":
        raise Malformed(f"the action of rule {priority} must be expire: Wildsage archives no images")
    if selection.get("storageClass", "standard") != "standard":
        raise Malformed(f"rule {priority} selects archived images, and Wildsage archives none")
    count, number = selection.get("countType"), selection.get("countNumber")
    if count not in (COUNT, AGE, IDLE):
        raise Malformed(f"countType of rule {priority} must be {COUNT}, {AGE} or {IDLE}")
    if not _is_positive(number):
        raise Malformed(f"countNumber of rule {priority} must be a whole number from 1 on")
    if (selection.get("countUnit") != "days") is (count != COUNT) or (count == COUNT and "countUnit" in selection):
        raise Malformed(f"countUnit of rule {priority} must be days with {AGE} and {IDLE}, and absent otherwise")
    return Rule(priority, *_tags(priority, selection), count, number)


def _tags(priority: int, selection: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    status = selection.get("tagStatus")
    given = [name for name in ("tagPatternList", "tagPrefixList") if selection.get(name)]
    if status not in ("tagged", "untagged", "any"):
        raise Malformed(f"tagStatus of rule {priority} must be tagged, untagged or any")
    if (status == "tagged") is not (len(given) == 1):
        raise Malformed(
            f"rule {priority} needs tagPatternList or tagPrefixList if its tagStatus is tagged, else neither"
        )
    listed = selection[given[0]] if given else []
    if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
        raise Malformed(f"{given[0]} of rule {priority} must be a list of texts")
    if any(each.count("*") > _MOST_STARS for each in listed):
        raise Malformed(f"a pattern of rule {priority} has more than {_MOST_STARS} wildcards")
    escaped = [each.replace("[", "[[]").replace("?", "[?]") for each in listed]
    if given == ["tagPrefixList"]:
        return status, tuple(each.replace("*", "[*]") + "*" for each in escaped)
    return status, tuple(escaped)


def _is_positive(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
