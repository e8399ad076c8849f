"""What policies say of an invocation under conditions on what a request tells of itself, and of the endpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.dataplane.plant import USER, Plant, echo, endpoint, invoker

from wildsage.core.routes import Variant

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
HERE, ELSEWHERE = {"aws:RequestedRegion": "us-east-1"}, {"aws:RequestedRegion": ["eu-west-1", "eu-central-1"]}
LOOPBACK, PRIVATE = {"aws:SourceIp": "127.0.0.0/8"}, {"aws:SourceIp": "10.0.0.0/8"}
PAST, FUTURE = {"aws:CurrentTime": "2020-01-01T00:00:00Z"}, {"aws:CurrentTime": "2999-01-01T00:00:00Z"}


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
        (({**ALLOW, "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}},), True),
        (denying({"StringNotEquals": HERE}), True),
        (denying({"StringNotEquals": ELSEWHERE}), False),
        (denying({"NotIpAddress": LOOPBACK}), True),
        (denying({"NotIpAddress": PRIVATE}), False),
        (denying({"Bool": {"aws:SecureTransport": "false"}}), False),
        (denying({"Bool": {"aws:SecureTransport": "true"}}), True),
        (denying({"StringEquals": {"aws:ResourceTag/team": "a"}}), False),
    ],
)
async def test_conditions(plant: Plant, statements: tuple[dict[str, Any], ...], allowed: bool) -> None:
    live = endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),)))
    live = replace(live, tags={"team": "a"})
    plant.put(live, **{USER: invoker(*statements)})
    boto = plant.boto("AKIAUSER", "user-secret")
    if allowed:
        assert (await plant.invoke(boto))["Body"]
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            await plant.invoke(boto)
