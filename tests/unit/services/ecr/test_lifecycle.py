"""Lifecycle policies as pure functions: what the user guide says of them, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wildsage.services.ecr import lifecycle
from wildsage.store.imageindex import Image

DAY = 86400.0
NOW = 1_700_000_000.0


def image(name: str, days: float, *tags: str, pulled: float | None = None) -> Image:
    """Pushed ``days`` ago."""
    return Image(name, "m", "", None, 1, NOW - days * DAY, None if pulled is None else NOW - pulled * DAY, b"", tags)


def rule(priority: int, count: int, **selection: Any) -> dict[str, Any]:
    chosen = {"countType": "imageCountMoreThan", "countNumber": count, **selection}
    if chosen["countType"] != "imageCountMoreThan":
        chosen["countUnit"] = "days"
    return {"rulePriority": priority, "selection": chosen, "action": {"type": "expire"}}


def expired(images: list[Image], *rules: dict[str, Any]) -> dict[str, int]:
    """Image → the rule that expires it."""
    parsed = lifecycle.parse(json.dumps({"rules": list(rules)}))
    return {each.image.digest: each.priority for each in lifecycle.expiring(parsed, images, NOW)}


PROD = {"tagStatus": "tagged", "tagPrefixList": ["prod"]}
BETA = {"tagStatus": "tagged", "tagPrefixList": ["beta"]}
ANY = {"tagStatus": "any"}


def test_of_several_rules_the_first_that_selects_an_image_decides() -> None:
    """The user guide's examples of multiple rules."""
    images = [image("a", 10, "beta-1", "prod-1"), image("b", 9, "beta-2", "prod-2"), image("c", 8, "beta-3")]
    assert expired(images, rule(1, 1, **PROD), rule(2, 1, **BETA)) == {"a": 1}
    assert expired(images, rule(1, 1, **BETA), rule(2, 1, **PROD)) == {"a": 1, "b": 1}


def test_days_since_the_push_and_since_the_pull() -> None:
    images = [image("old", 15), image("young", 13), image("used", 100, pulled=1), image("idle", 100, pulled=50)]
    assert set(expired(images, rule(1, 14, countType="sinceImagePushed", **ANY))) == {"old", "used", "idle"}
    assert set(expired(images, rule(1, 14, countType="sinceImagePulled", **ANY))) == {"old", "idle"}


def test_the_youngest_are_kept_and_the_oldest_goes_first() -> None:
    images = [image(str(number), number) for number in (3, 1, 2, 4)]
    parsed = lifecycle.parse(json.dumps({"rules": [rule(1, 2, **ANY)]}))
    assert [each.image.digest for each in lifecycle.expiring(parsed, images, NOW)] == ["4", "3"]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        ({"tagStatus": "untagged"}, {"none"}),
        ({"tagStatus": "tagged", "tagPrefixList": ["v"]}, {"one", "both"}),
        ({"tagStatus": "tagged", "tagPrefixList": ["v", "prod"]}, {"both"}),
        ({"tagStatus": "tagged", "tagPatternList": ["v*1"]}, {"one"}),
        ({"tagStatus": "tagged", "tagPatternList": ["*o*"]}, {"both", "odd"}),
        ({"tagStatus": "tagged", "tagPatternList": ["[od]*"]}, set()),
        ({"tagStatus": "tagged", "tagPrefixList": ["*"]}, set()),
        ({"tagStatus": "any"}, {"none", "one", "both", "odd"}),
    ],
)
def test_what_a_rule_selects(selection: dict[str, Any], wanted: set[str]) -> None:
    images = [image("none", 2), image("one", 2, "v1.1"), image("both", 2, "v2", "prod"), image("odd", 2, "od")]
    assert set(expired(images, rule(1, 1, countType="sinceImagePushed", **selection))) == wanted


GOOD = rule(1, 1, **ANY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"rules": []}',
        '{"rules": [1]}',
        "[" * 100_000,
        *(
            json.dumps({"rules": rules})
            for rules in (
                [GOOD, GOOD],
                [{**GOOD, "rulePriority": True}],
                [{**GOOD, "action": {"type": "transition"}}],
                [rule(1, 0, **ANY)],
                [rule(1, 1, tagStatus="some")],
                [rule(1, 1, tagStatus="tagged")],
                [rule(1, 1, tagStatus="tagged", tagPrefixList=["a"], tagPatternList=["a"])],
                [rule(1, 1, tagStatus="tagged", tagPatternList=["*a*b*c*d*"])],
                [rule(1, 1, tagStatus="tagged", tagPrefixList="a")],
                [rule(1, 1, tagStatus="any", tagPrefixList=["a"])],
                [rule(1, 1, countUnit="days", **ANY)],
                [{**GOOD, "selection": {**ANY, "countType": "sinceImagePushed", "countNumber": 1}}],
                [rule(1, 1, **ANY), rule(2, 1, tagStatus="untagged")],
                [rule(1, 1, tagStatus="untagged"), rule(2, 1, tagStatus="untagged")],
                [rule(1, 1, countType="other", **ANY)],
            )
        ),
    ],
)
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(lifecycle.Malformed):
        lifecycle.parse(text)
