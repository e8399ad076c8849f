"""CloudWatch on a clock that only tests move."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from wildsage.core.clock import ManualClock
from wildsage.kit.context import Platform
from wildsage.kit.operation import Service
from wildsage.services.cloudwatch.service import CLOUDWATCH
from wildsage.services.sns.service import SNS
from wildsage.services.sqs.service import SQS


@pytest.fixture
def services() -> Mapping[str, Service]:
    return {"cloudwatch": CLOUDWATCH, "sns": SNS, "sqs": SQS}


@pytest.fixture
def clock(platform: Platform) -> ManualClock:
    """Full minutes since the epoch, plus one second."""
    manual = ManualClock(1_700_000_041.0)
    platform.clock = manual
    return manual
