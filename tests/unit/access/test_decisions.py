"""Policies are decided as IAM decides them; cases follow the IAM User Guide's own examples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from wildsage.access.conditions import PolicyError
from wildsage.access.decisions import Decision, Identity, Question, decide, decide_across, decide_assume, trusts
from wildsage.access.managed import managed_policies
from wildsage.access.plain import about
from wildsage.access.policies import Policy, Principal, Use, compile_policy

ACCOUNT = "arn:aws:iam::123456789012:root"
ADA = "arn:aws:iam::123456789012:user/ada"
ME = Principal("AWS", frozenset({ADA}), ACCOUNT)


def policy(*statements: Mapping[str, Any], use: Use = Use.IDENTITY) -> Policy:
    return compile_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), use)


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def ask(
    identity: Sequence[Policy],
    action: str,
    resource: str = "*",
    context: Mapping[str, Sequence[str]] | None = None,
    **more: Any,
) -> Decision:
    on_resource = more.pop("on_resource", None)
    who = Identity(ME, tuple(identity), context={"aws:username": ("ada",)}, **more)
    return decide(who, Question(action, resource, context or {}), on_resource)


def test_nothing_is_allowed_that_nothing_allows() -> None:
    assert ask([], "s3:GetObject") == Decision(False, "because no identity-based policy allows the s3:GetObject action")


def test_an_explicit_deny_wins() -> None:
    decision = ask([policy(allow("*"), deny("s3:Delete*"))], "s3:DeleteObject", "arn:aws:s3:::b/k")
    assert decision == Decision(False, "with an explicit deny in an identity-based policy", explicit=True)
    assert ask([policy(allow("*"), deny("s3:Delete*"))], "s3:GetObject", "arn:aws:s3:::b/k").allowed


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("S3:getobject", "s3:GetObject", True),
        ("s3:Get*", "s3:GetBucketLocation", True),
        ("s3:*Object", "s3:PutObject", True),
        ("s3:Ge?Object", "s3:GetObject", True),
        ("s3:Get", "s3:GetObject", False),
        ("*", "iam:PassRole", True),
        ("iam:*", "s3:GetObject", False),
    ],
)
def test_actions(pattern: str, action: str, matches: bool) -> None:
    assert ask([policy(allow(pattern))], action).allowed is matches


def test_not_action_and_not_resource() -> None:
    power = policy({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"})
    assert ask([power], "s3:GetObject").allowed
    assert not ask([power], "iam:CreateUser").allowed
    others = policy({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::secret/*"})
    assert ask([others], "s3:GetObject", "arn:aws:s3:::open/k").allowed
    assert not ask([others], "s3:GetObject", "arn:aws:s3:::secret/k").allowed


@pytest.mark.parametrize(
    ("pattern", "resource", "matches"),
    [
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a/b/c", True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", False),
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/ada/x", True),
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/bob/x", False),
        ("arn:aws:s3:::home/${aws:missing}/*", "arn:aws:s3:::home//x", False),
        ("arn:aws:s3:::home/${aws:missing, 'all'}/*", "arn:aws:s3:::home/all/x", True),
        ("arn:aws:s3:::${*}/x", "arn:aws:s3:::*/x", True),
        ("arn:aws:s3:::${*}/x", "arn:aws:s3:::any/x", False),
        ("arn:aws:sagemaker:*:*:endpoint/iris-?", "arn:aws:sagemaker:eu-west-1:1:endpoint/iris-7", True),
    ],
)
def test_resources(pattern: str, resource: str, matches: bool) -> None:
    assert ask([policy(allow("*", pattern))], "s3:GetObject", resource).allowed is matches


def test_a_variables_value_is_no_pattern() -> None:
    who = Identity(ME, (policy(allow("*", "arn:aws:s3:::home/${aws:username}/x")),), context={"aws:username": ("*",)})
    assert not decide(who, Question("s3:GetObject", "arn:aws:s3:::home/bob/x", {})).allowed


CONDITIONS = [
    ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, {"aws:requestedregion": ["eu-west-1"]}, True),
    ({"StringEquals": {"aws:RequestedRegion": ["a", "eu-west-1"]}}, {"aws:requestedregion": ["eu-west-1"]}, True),
    ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, {"aws:requestedregion": ["us-east-1"]}, False),
    ({"StringEquals": {"s3:prefix": "${aws:username}/"}}, {"s3:prefix": ["ada/"]}, True),
    ({"StringEquals": {"absent": "x"}}, {}, False),
    ({"StringEqualsIfExists": {"absent": "x"}}, {}, True),
    ({"StringNotEquals": {"absent": "x"}}, {}, True),
    ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": ["b"]}, False),
    ({"StringEqualsIgnoreCase": {"k": "ABC"}}, {"k": ["abc"]}, True),
    ({"StringLike": {"k": "home/*"}}, {"k": ["home/ada"]}, True),
    ({"StringNotLike": {"k": "home/*"}}, {"k": ["work"]}, True),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": ["10"]}, True),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": ["11"]}, False),
    ({"NumericEquals": {"k": 5}}, {"k": ["not a number"]}, False),
    ({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, {"aws:currenttime": ["2026-06-01"]}, True),
    ({"DateLessThan": {"aws:EpochTime": "1000"}}, {"aws:epochtime": ["999"]}, True),
    ({"Bool": {"aws:SecureTransport": False}}, {"aws:securetransport": ["false"]}, True),
    ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, {}, False),
    ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, {}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ["10.2.3.4"]}, True),
    ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.1/32"]}}, {"aws:sourceip": ["127.0.0.1"]}, False),
    ({"ArnLike": {"k": "arn:aws:iam::*:role/team-*"}}, {"k": ["arn:aws:iam::1:role/team-a"]}, True),
    ({"ArnLike": {"k": "arn:aws:*:role/x"}}, {"k": ["arn:aws:iam::1:role/x"]}, False),
    ({"ArnNotEquals": {"k": "arn:aws:iam::1:role/x"}}, {"k": ["arn:aws:iam::1:role/x"]}, False),
    ({"Null": {"k": "true"}}, {}, True),
    ({"Null": {"k": "false"}}, {"k": ["v"]}, True),
    ({"Null": {"k": "true"}}, {"k": ["v"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:tagkeys": ["a"]}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:tagkeys": ["a", "c"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
    ({"ForAnyValue:StringLike": {"aws:TagKeys": "team*"}}, {"aws:tagkeys": ["x", "team1"]}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {}, False),
    ({"StringEquals": {"a": "1", "b": "2"}}, {"a": ["1"], "b": ["3"]}, False),
    ({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": ["1"], "b": ["true"]}, True),
]


@pytest.mark.parametrize("escape", [False, True])
@pytest.mark.parametrize("version", [{}, {"Version": "2008-10-17"}])
def test_the_old_language_has_no_variables(version: dict[str, str], escape: bool) -> None:
    """IAM User Guide, "IAM policy elements: Variables and tags"."""
    home = allow("*", "arn:aws:s3:::home/${aws:username}/*")
    prefix = allow("s3:ListBucket", Condition={"StringEquals": {"s3:prefix": "${aws:username}"}})
    text = json.dumps({**version, "Statement": [home, prefix]})
    old = [compile_policy(text.replace("$", "\\u0024") if escape else text)]
    assert not ask(old, "s3:GetObject", "arn:aws:s3:::home/ada/x").allowed
    assert ask(old, "s3:GetObject", "arn:aws:s3:::home/${aws:username}/x").allowed
    assert not ask(old, "s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": ("ada",)}).allowed
    assert ask(old, "s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": ("${aws:username}",)}).allowed
    taken = [compile_policy(about(old, ["s3:GetObject"]))]
    assert not ask(taken, "s3:GetObject", "arn:aws:s3:::home/ada/x").allowed


@pytest.mark.parametrize(("condition", "context", "holds"), CONDITIONS)
def test_conditions(condition: Any, context: Any, holds: bool) -> None:
    assert ask([policy(allow("*", Condition=condition))], "s3:ListBucket", context=context).allowed is holds


def test_boundary_and_session_narrow_but_do_not_allow() -> None:
    admin, reader = policy(allow("*")), policy(allow("s3:Get*"))
    assert ask([admin], "s3:GetObject", boundary=reader, session=(reader,)).allowed
    assert ask([admin], "s3:PutObject", boundary=reader).reason == (
        "because no permissions boundary policy allows the s3:PutObject action"
    )
    assert ask([admin], "s3:PutObject", session=(reader,)).reason == (
        "because no session policy allows the s3:PutObject action"
    )
    assert not ask([], "s3:GetObject", boundary=reader, session=(reader,)).allowed


def test_a_resource_policy_may_allow_what_the_identity_does_not() -> None:
    named = policy(allow("s3:GetObject", Principal={"AWS": ADA}), use=Use.RESOURCE)
    anyone = policy(allow("s3:GetObject", Principal="*"), use=Use.RESOURCE)
    account = policy(allow("s3:GetObject", Principal={"AWS": "123456789012"}), use=Use.RESOURCE)
    assert ask([], "s3:GetObject", on_resource=named).allowed
    assert ask([], "s3:GetObject", on_resource=anyone).allowed
    assert not ask([], "s3:GetObject", on_resource=account).allowed
    assert ask([policy(allow("s3:*"))], "s3:GetObject", on_resource=account).allowed


def test_a_resource_policy_may_deny_by_name_by_account_and_everyone_else() -> None:
    admin = policy(allow("*"))
    for principal in ({"AWS": ADA}, {"AWS": ACCOUNT}, "*"):
        refused = policy(deny("s3:*", Principal=principal), use=Use.RESOURCE)
        assert ask([admin], "s3:GetObject", on_resource=refused).reason == (
            "with an explicit deny in a resource-based policy"
        )
    others = policy(
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "NotPrincipal": {"AWS": [ADA, ACCOUNT]}},
        use=Use.RESOURCE,
    )
    assert ask([admin], "s3:GetObject", on_resource=others).allowed


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"Service": "sns.amazonaws.com"}])
def test_everyone_is_services_too(principal: Any) -> None:
    """Queues are opened to topics by ``"Principal": "*"`` and a condition on aws:SourceArn."""
    topic = {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:123456789012:t"}}
    queue = policy(allow("sqs:SendMessage", Principal=principal, Condition=topic), use=Use.RESOURCE)
    service = Identity(Principal("Service", frozenset({"sns.amazonaws.com"})))
    for name in ("t", "other"):
        context = {"aws:sourcearn": (f"arn:aws:sns:us-east-1:123456789012:{name}",)}
        asked = Question("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:q", context)
        assert decide_across(service, asked, queue, granted=False, anonymous=True).allowed is (name == "t")


def test_trust_by_service_by_name_and_through_the_account() -> None:
    def trust(principal: Any) -> Policy:
        return policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}, use=Use.TRUST)

    sagemaker = Principal("Service", frozenset({"sagemaker.amazonaws.com"}))
    assert trusts(trust({"Service": "sagemaker.amazonaws.com"}), sagemaker)
    assert not trusts(trust({"Service": "lambda.amazonaws.com"}), sagemaker)
    question = Question("sts:AssumeRole", "arn:aws:iam::123456789012:role/r", {})
    powerless, allowed = Identity(ME), Identity(ME, (policy(allow("sts:*")),))
    assert decide_assume(powerless, trust({"AWS": ADA}), question).allowed
    assert not decide_assume(powerless, trust({"AWS": ACCOUNT}), question).allowed
    assert decide_assume(allowed, trust({"AWS": ACCOUNT}), question).allowed
    assert not decide_assume(allowed, trust({"Service": "sagemaker.amazonaws.com"}), question).allowed


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        ({"Version": "1999-01-01", "Statement": [allow("*")]}, "Version"),
        ({"Version": "2012-10-17"}, "must have a Statement"),
        ({"Statement": [{"Effect": "allow", "Action": "*", "Resource": "*"}]}, "Allow or Deny"),
        ({"Statement": [{"Effect": "Allow", "Resource": "*"}]}, "Action or NotAction"),
        ({"Statement": [{"Effect": "Allow", "Action": "*"}]}, "Resource or NotResource"),
        ({"Statement": [allow("GetObject")]}, "start with a service"),
        ({"Statement": [allow("*", "bucket")]}, "must be an ARN"),
        ({"Statement": [allow("*", Principal="*")]}, "no Principal"),
        ({"Statement": [allow("*", NotAction="*")]}, "both Action and NotAction"),
        ({"Statement": [allow("*", Condition={"StringIs": {"a": "b"}})]}, "operator"),
        ({"Statement": [allow("*", Condition={"Bool": ["a"]})]}, "must be an object"),
        ({"Statement": [allow("*", Condition={"NumericEquals": {"a": "b"}})]}, "not a number"),
        ({"Statement": [allow("*", Condition={"IpAddress": {"a": "b"}})]}, "not an IP address"),
    ],
)
def test_malformed_documents_are_refused_in_words(document: Any, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        compile_policy(document if isinstance(document, str) else json.dumps(document))


def test_the_shipped_policies_do_what_they_are_known_for() -> None:
    shipped = {each.name: compile_policy(each.document) for each in managed_policies().values()}
    full, reader = [shipped["AmazonSageMakerFullAccess"]], [shipped["AmazonSageMakerReadOnly"]]
    endpoint, role = "arn:aws:sagemaker:us-east-1:1:endpoint/x", "arn:aws:iam::1:role/x"
    passing = {"iam:passedtoservice": ["sagemaker.amazonaws.com"]}
    assert ask(full, "sagemaker:CreateEndpoint", endpoint).allowed
    assert ask(full, "sagemaker:ListEndpoints").allowed
    assert ask(full, "s3:GetObject", "arn:aws:s3:::sagemaker-us-east-1-1/k").allowed
    assert not ask(full, "s3:GetObject", "arn:aws:s3:::private/k").allowed
    assert ask(full, "iam:PassRole", role, passing).allowed
    assert not ask(full, "iam:PassRole", role, {"iam:passedtoservice": ["ec2.amazonaws.com"]}).allowed
    assert ask(reader, "sagemaker:DescribeEndpoint", endpoint).allowed
    assert not ask(reader, "sagemaker:DeleteEndpoint", endpoint).allowed
