"""Attributes and addresses that are none."""

from __future__ import annotations

import pytest

from wildsage.core.errors import ApiError
from wildsage.services.sqs import attributes, names


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("DelaySeconds", "9" * 5000),
        ("DelaySeconds", "\u0663"),
        ("RedrivePolicy", '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:q", "maxReceiveCount": 1e400}'),
    ],
)
def test_numbers_that_are_none(attribute: str, value: str) -> None:
    with pytest.raises(ApiError) as refused:
        attributes.check({attribute: value}, "q")
    assert refused.value.status == 400


@pytest.mark.parametrize("url", ["http://[", "", "q", "http://host/q"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ApiError) as refused:
        names.account_and_name(url)
    assert refused.value.code == "InvalidAddress"
