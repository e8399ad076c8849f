"""Processing jobs as both SDKs ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Server
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_processes(server: Server, tmp_path: Path, sdk: str) -> None:
    said = run(server, tmp_path, sdk, f"processing_{sdk.replace('sdk', 'v')}.py")
    assert "processing: all done" in said, said[-8000:]
    assert "summary written on algo-1" in said  # the log reached the terminal


@pytest.mark.parametrize(("sdk", "hosts"), [("sdk2", "2"), ("sdk3", "1")])
def test_the_sdk_runs_spark(server: Server, tmp_path: Path, sdk: str, hosts: str) -> None:
    said = run(server, tmp_path, sdk, f"spark_{sdk.replace('sdk', 'v')}.py", hosts)
    assert "spark: all done" in said, said[-8000:]
