"""How a container is asked."""

from __future__ import annotations

from typing import Any

import pytest

from wildsage.core.transforms import MIB, Order
from wildsage.dataplane.transform.container import Limits, limits_of

WANTED = {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 4}


@pytest.mark.parametrize(
    ("asked", "wanted", "limits"),
    [
        ({}, {}, Limits(1, 6 * MIB, False)),
        ({}, WANTED, Limits(8, 4 * MIB, True)),
        ({"concurrent": 2, "payload_mib": 1, "strategy": "MultiRecord"}, WANTED, Limits(2, MIB, False)),
        ({"payload_mib": 0}, WANTED, Limits(8, 0, True)),
        ({}, {"MaxPayloadInMB": 0}, Limits(1, 0, False)),
        ({"concurrent": 50}, {}, Limits(50, 2 * MIB, False)),  # together no more than 100 MB
        ({}, {"MaxConcurrentTransforms": "many", "MaxPayloadInMB": 1e9, "BatchStrategy": 7}, Limits(1, 6 * MIB, False)),
    ],
)
def test_the_job_goes_before_the_container_and_that_before_the_default(
    asked: dict[str, Any], wanted: dict[str, Any], limits: Limits
) -> None:
    assert limits_of(Order("http://here:1", "us-east-1", (), "out", **asked), wanted) == limits
