"""Jobs of several instances as both SDKs ask for them, with the launchers that they name or ship."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Server
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_trains_on_several_instances(server: Server, tmp_path: Path, sdk: str) -> None:
    said = run(server, tmp_path, sdk, f"distributed_{sdk.replace('sdk', 'v')}.py")
    assert "distributed: all done" in said, said[-8000:]
