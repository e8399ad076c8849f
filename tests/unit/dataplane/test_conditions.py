"""What policies say of an invocation under conditions on what any request tells of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.dataplane.plant import USER, Plant, echo, endpoint

from wildsage.access.asking import INVOKING_KEYS
from wildsage.access.plain import conditionally, plainly
from wildsage.access.policies import compile_policy
from wildsage.core.routes import Permission, Variant

INVOKE = "sagemaker:InvokeEndpoint"
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
HERE, ELSEWHERE = {"aws:RequestedRegion": "us-east-1"}, {"aws:RequestedRegion": ["eu-west-1", "eu-central-1"]}
LOOPBACK, PRIVATE = {"aws:SourceIp": "127.0.0.0/8"}, {"aws:SourceIp": "10.0.0.0/8"}
PAST, FUTURE = {"aws:CurrentTime": "2020-01-01T00:00:00Z"}, {"aws:CurrentTime": "2999-01-01T00:00:00Z"}


def permission(*statements: dict[str, Any]) -> Permission:
    """As control compiles it."""
    policies = (compile_policy(json.dumps({"Version": "2012-10-17", "Statement": statements})),)
    allow, deny = plainly(policies, INVOKE, INVOKING_KEYS)
    return Permission(allow, deny, conditional=conditionally(policies, INVOKE, INVOKING_KEYS))


def denying(condition: dict[str, Any], **elements: Any) -> tuple[dict[str, Any], ...]:
    return ALLOW, {"Effect": "Deny", "Action": "*", "Resource": "*", **elements, "Condition": condition}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        (({**ALLOW, "Condition": {"StringEquals": HERE}},), True),
        (({**ALLOW, "Condition": {"StringEquals": ELSEWHERE}},), False),
        (({**ALLOW, "Condition": {"IpAddress": LOOPBACK, "DateLessThan": FUTURE}},), True),
        (({**ALLOW, "Condition": {"IpAddress": PRIVATE}},), False),
        (({**ALLOW, "Condition": {"DateLessThan": PAST}},), False),
        (({**ALLOW, "Condition": {"StringLike": {"aws:UserAgent": "*Botocore/*"}}},), True),
        (({**ALLOW, "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}},), False),
        (denying({"StringNotEquals": HERE}), True),
        (denying({"StringNotEquals": ELSEWHERE}), False),
        (denying({"NotIpAddress": LOOPBACK}), True),
        (denying({"NotIpAddress": PRIVATE}), False),
        (denying({"Bool": {"aws:SecureTransport": "false"}}), False),
        (denying({"Bool": {"aws:SecureTransport": "true"}}), True),
        (denying({"StringEquals": {"aws:ResourceTag/team": "a"}}), False),
    ],
)
async def test_conditions_on_the_request(plant: Plant, statements: tuple[dict[str, Any], ...], allowed: bool) -> None:
    live = endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),)))
    plant.put(live, **{USER: permission(*statements)})
    boto = plant.boto("AKIAUSER", "user-secret")
    if allowed:
        assert (await plant.invoke(boto))["Body"]
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            await plant.invoke(boto)
