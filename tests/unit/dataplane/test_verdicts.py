"""Routers decide by the tags of endpoints and by who asks, as control does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.dataplane.plant import ACCOUNT, allow, deny, invoker

from wildsage.access.asking import of_session
from wildsage.core.caller import session_of
from wildsage.core.sessions import Session
from wildsage.dataplane.verdicts import asking, of_invoker, of_session_policies
from wildsage.wire.http.messages import BytesBody, Request

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/ada-iris"
NOW = 1_700_000_000.0
REQUEST = Request("POST", "/endpoints/ada-iris/invocations", [("host", "here")], BytesBody(b""))
USER = {
    "aws:username": "ada",
    "aws:userid": "AIDAUSER",
    "aws:principaltype": "User",
    "aws:principalarn": f"arn:aws:iam::{ACCOUNT}:user/team/ada",
    "aws:principalaccount": ACCOUNT,
    "aws:principaltag/team": "blue",
}
ROLE = {"aws:principaltype": "AssumedRole", "aws:principaltag/team": "blue", "aws:principaltag/post": "lead"}
SESSION = Session(session_of(ACCOUNT, "Execution", "AROAX", "job"), "", NOW - 60, NOW + 60, (), {"Team": "red"})
SAME_TEAM = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}

NOT_LIVE = deny("*", Condition={"StringEquals": {"aws:ResourceTag/stage": "live"}})


def on(**condition: dict[str, Any]) -> dict[str, Any]:
    return allow("*", Condition=condition)


@pytest.mark.parametrize(
    ("statements", "tags", "allowed"),
    [
        ([allow("*", Condition=SAME_TEAM)], {"team": "blue"}, True),
        ([allow("*", Condition=SAME_TEAM)], {"Team": "blue"}, True),
        ([allow("*", Condition=SAME_TEAM)], {"team": "red"}, False),
        ([allow("*", Condition=SAME_TEAM)], {}, False),
        ([on(StringEquals={"sagemaker:ResourceTag/team": ["red", "blue"]})], {"team": "blue"}, True),
        ([on(StringNotEquals={"aws:ResourceTag/team": "red"})], {}, True),
        ([on(StringEqualsIfExists={"aws:ResourceTag/team": "red"})], {}, True),
        ([on(Null={"aws:ResourceTag/team": "true"})], {"team": "blue"}, False),
        ([allow("*"), NOT_LIVE], {}, True),
        (
            [allow("*"), NOT_LIVE],
            {"stage": "live"},
            False,
        ),
        ([allow("arn:aws:sagemaker:*:*:endpoint/${aws:username}-*")], {}, True),
        ([allow("arn:aws:sagemaker:*:*:endpoint/${aws:PrincipalTag/team}-*")], {}, False),
        ([allow("arn:aws:sagemaker:*:*:endpoint/${aws:PrincipalTag/none, 'ada'}-*")], {}, True),
        ([on(StringEquals={"aws:PrincipalType": "User", "aws:PrincipalAccount": ACCOUNT})], {}, True),
        ([on(ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:user/team/*"})], {}, True),
        ([on(StringEquals={"aws:userid": "AIDAUSER"})], {}, True),
        ([on(Bool={"aws:PrincipalIsAWSService": "true"})], {}, False),
        ([on(Bool={"aws:ViaAWSService": "false"})], {}, True),
        ([allow("*"), deny("*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})], {}, True),
        ([allow("*"), deny("*", Condition={"StringNotEquals": {"aws:SourceVpc": "vpc-1"}})], {}, False),
    ],
)
def test_a_user(statements: list[dict[str, Any]], tags: dict[str, str], allowed: bool) -> None:
    found = of_invoker(invoker(*statements, context=USER))
    asked = asking(REQUEST, "us-east-1", NOW, tags, found.context)
    assert not found.steady
    assert [found.of(streams, ARN, asked).allowed for streams in (False, True)] == [allowed, allowed]


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:PrincipalTag/team": "red", "aws:PrincipalTag/post": "lead"}}, True),
        ({"StringEquals": {"aws:userid": "AROAX:job"}}, True),
        ({"StringLike": {"aws:username": "*"}}, False),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"DateGreaterThan": {"aws:TokenIssueTime": "2023-11-14T22:12:00Z"}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2023-11-14T22:12:00Z"}}, False),
    ],
)
def test_a_session_of_a_role(condition: dict[str, Any], allowed: bool) -> None:
    """Its tags win over those of the role."""
    conditional = allow("*", Condition=condition)
    role = of_invoker(invoker(conditional, context=ROLE))
    within = of_session_policies([json.dumps({"Version": "2012-10-17", "Statement": conditional})])
    asked = asking(REQUEST, "us-east-1", NOW, {}, role.context, of_session(SESSION))
    assert not role.steady
    assert not within.steady
    assert role.of(False, ARN, asked).allowed is allowed
    narrowed = within.of(False, ARN, asked)
    assert narrowed.allowed is allowed
    assert allowed or narrowed.reason == "because no session policy allows the sagemaker:InvokeEndpoint action"


def test_what_a_boundary_says_under_conditions_counts() -> None:
    found = of_invoker(invoker(allow("*"), boundary=[allow("*", Condition=SAME_TEAM)], context=USER))
    for team, allowed in (("blue", True), ("red", False)):
        asked = asking(REQUEST, "us-east-1", NOW, {"team": team}, found.context)
        assert found.of(False, ARN, asked).allowed is allowed


def test_streams_are_an_action_of_their_own() -> None:
    found = of_invoker(invoker({**allow("*"), "Action": "sagemaker:InvokeEndpoint"}))
    assert [found.steadily(streams, ARN).allowed for streams in (False, True)] == [True, False]
