"""Jobs of several instances as both SDKs ask for them, with the launchers that they name or ship."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT, Server, clean_environment
from tests.sdk.session import interpreter

_SECONDS = 600
pytestmark = pytest.mark.timeout(_SECONDS + 60)


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_trains_on_several_instances(server: Server, tmp_path: Path, sdk: str) -> None:
    scripts = ROOT / "tests" / "sdk" / "scripts"
    words = [str(interpreter(sdk)), str(scripts / f"distributed_{sdk.replace('sdk', 'v')}.py"), str(scripts)]
    done = subprocess.run(
        [sys.executable, "-m", "wildsage.cli", "run", "--data", str(server.data), "--", *words],
        env={**clean_environment(), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert "distributed: all done" in done.stdout, (done.stdout + done.stderr)[-8000:]
