"""What is taken out of policies for whoever decides without all of a request's context."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wildsage.access.plain import conditionally, plainly
from wildsage.access.policies import Policy, compile_policy

ACTION = "sagemaker:InvokeEndpoint"
HOSTNAME = "sagemaker:TargetContainerHostname"
KNOWN = frozenset({HOSTNAME.lower()})


def policy(*statements: dict[str, Any]) -> Policy:
    return compile_policy(
        json.dumps({"Version": "2012-10-17", "Statement": [{"Action": ACTION, **each} for each in statements]})
    )


def test_conditions_on_known_keys_are_handed_on_as_they_are_written() -> None:
    condition = {"StringLike": {HOSTNAME: ["common*"]}}
    found = policy(
        {"Effect": "Allow", "Resource": "*:a"},
        {"Effect": "Allow", "Resource": ["*:b", "*:c"], "Condition": condition},
        {"Effect": "Deny", "Resource": "*:d", "Condition": condition},
        {"Effect": "Deny", "Resource": "*:e"},
    )
    assert plainly([found], ACTION, KNOWN) == (("*:a",), ("*:e",))
    assert conditionally([found], ACTION, KNOWN) == (
        (True, ("*:b", "*:c"), json.dumps(condition)),
        (False, ("*:d",), json.dumps(condition)),
    )


@pytest.mark.parametrize(
    ("resource", "condition"),
    [
        ("*:a", {"StringLike": {"aws:username": "x"}}),
        ("*:a", {"StringLike": {HOSTNAME: "x", "aws:username": "x"}}),
        ("*:a", {"StringLike": {HOSTNAME: "${aws:username}"}}),
        ("*:a-${aws:username}", {"StringLike": {HOSTNAME: "x"}}),
    ],
)
def test_what_cannot_be_decided_allows_nothing_and_denies(resource: str, condition: dict[str, Any]) -> None:
    both = policy(*({"Effect": effect, "Resource": resource, "Condition": condition} for effect in ("Allow", "Deny")))
    assert conditionally([both], ACTION, KNOWN) == ()
    assert plainly([both], ACTION, KNOWN) == ((), ("*",) if "$" in resource else (resource,))


def test_who_knows_no_keys_is_told_of_no_conditions() -> None:
    found = policy({"Effect": "Deny", "Resource": "*:a", "Condition": {"StringLike": {HOSTNAME: "x"}}})
    assert plainly([found], ACTION) == ((), ("*:a",))
