"""What is taken out of policies for whoever decides without all of them, or without all of a request's context."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wildsage.access.decisions import Identity, Question, decide
from wildsage.access.plain import about, plainly, steady
from wildsage.access.policies import Policy, Principal, compile_policy

ACTION, OTHER = "sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"
CONDITION = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
VARIABLE = "*:a-${aws:username}"


def policy(*statements: dict[str, Any]) -> Policy:
    return compile_policy(
        json.dumps({"Version": "2012-10-17", "Statement": [{"Action": ACTION, **each} for each in statements]})
    )


@pytest.mark.parametrize(("resource", "condition"), [("*:a", CONDITION), (VARIABLE, {}), (VARIABLE, CONDITION)])
def test_what_cannot_be_decided_allows_nothing_and_denies(resource: str, condition: dict[str, Any]) -> None:
    both = policy(*({"Effect": effect, "Resource": resource, "Condition": condition} for effect in ("Allow", "Deny")))
    assert plainly([both], ACTION) == ((), ("*",) if "$" in resource else (resource,))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Resource": ["*:a", "*:b"]}, {"Action": [ACTION], "Resource": ["*:a", "*:b"]}),
        ({"Action": "sagemaker:invoke*", "Resource": "*"}, {"Action": [ACTION, OTHER], "Resource": ["*"]}),
        ({"Action": ["s3:*", "*"], "NotResource": "*:a"}, {"Action": [ACTION, OTHER], "NotResource": ["*:a"]}),
        ({"Resource": VARIABLE}, {"Action": [ACTION], "Resource": [VARIABLE]}),
        ({"Resource": "*", "Condition": CONDITION}, {"Action": [ACTION], "Resource": ["*"], "Condition": CONDITION}),
    ],
)
def test_what_policies_say_of_some_actions_is_a_policy(statement: dict[str, Any], expected: dict[str, Any]) -> None:
    found = policy({"Effect": "Deny", **statement}, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    assert json.loads(about([found], (ACTION, OTHER)))["Statement"] == [{"Effect": "Deny", **expected}]


def test_all_but_some_actions_is_still_that_of_what_is_left() -> None:
    found = compile_policy(
        json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "NotAction": OTHER, "Resource": "*"}})
    )
    taken = compile_policy(about([found], (ACTION, OTHER)))
    identity = Identity(Principal("AWS", frozenset()), (taken,))
    assert decide(identity, Question(ACTION, "*", {})).allowed
    assert not decide(identity, Question(OTHER, "*", {})).allowed


def test_what_says_nothing_of_an_action_is_left_out() -> None:
    assert about([policy({"Effect": "Allow", "Resource": "*"})], (OTHER,)) == ""


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Resource": "*:a?"}, True),
        ({"NotResource": "*:a"}, True),
        ({"Resource": VARIABLE}, False),
        ({"NotResource": VARIABLE}, False),
        ({"Resource": "*", "Condition": CONDITION}, False),
    ],
)
def test_what_action_and_resource_alone_decide_is_steady(statement: dict[str, Any], expected: bool) -> None:
    assert steady([policy({"Effect": "Allow", "Resource": "*"}), policy({"Effect": "Deny", **statement})]) is expected
