"""Whom topics do not call."""

from __future__ import annotations

import pytest

from wildsage.services.sns.delivery import is_metadata


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("169.254.169.254", True),
        ("169.254.170.2", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.169.254", True),
        ("fd00:ec2::254", True),
        ("168.63.129.16", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.0.0.7", False),
        ("192.0.2.1", False),
    ],
)
def test_addresses_that_tell_machines_their_credentials(address: str, expected: bool) -> None:
    assert is_metadata(address) is expected
