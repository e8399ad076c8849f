"""Warm pools as both SDKs ask for them, keep them longer and end them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Server
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_reuses_instances(server: Server, tmp_path: Path, sdk: str) -> None:
    version = sdk.replace("sdk", "v")
    said = run(server, tmp_path, sdk, f"warm_{version}.py")
    assert "warm: all done" in said, said[-8000:]
    found = server.client("logs").filter_log_events(logGroupName=LOG_GROUP, logStreamNamePrefix=f"warm-{version}-")
    lines = [event["message"] for event in found["events"]]
    assert [line for line in lines if line.startswith("cached")] == ["cached by 0 jobs", "cached by 1 jobs"]
