"""Processing jobs as both SDKs ask for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT, Server, clean_environment
from tests.sdk.session import interpreter

SECONDS = 600
pytestmark = pytest.mark.timeout(SECONDS + 60)


def run(server: Server, home: Path, sdk: str, script: str, *words: str) -> str:
    """What a script wrote, run by ``wildsage run`` under an SDK's interpreter."""
    scripts = ROOT / "tests" / "sdk" / "scripts"
    command = [str(interpreter(sdk)), str(scripts / script), str(scripts), *words]
    done = subprocess.run(
        [sys.executable, "-m", "wildsage.cli", "run", "--data", str(server.data), "--", *command],
        env={**clean_environment(), "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_processes(server: Server, tmp_path: Path, sdk: str) -> None:
    said = run(server, tmp_path, sdk, f"processing_{sdk.replace('sdk', 'v')}.py")
    assert "processing: all done" in said, said[-8000:]
    assert "summary written on algo-1" in said  # the log reached the terminal


@pytest.mark.parametrize(("sdk", "hosts"), [("sdk2", "2"), ("sdk3", "1")])
def test_the_sdk_runs_spark(server: Server, tmp_path: Path, sdk: str, hosts: str) -> None:
    said = run(server, tmp_path, sdk, f"spark_{sdk.replace('sdk', 'v')}.py", hosts)
    assert "spark: all done" in said, said[-8000:]
