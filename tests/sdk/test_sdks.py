"""Both SageMaker SDKs, unchanged, against a real server: the whole loop, in an empty HOME."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT, Server, clean_environment
from tests.sdk.conftest import interpreter

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize(("sdk", "script"), [("sdk2", "v2.py"), ("sdk3", "v3.py")])
def test_the_sdk_trains_deploys_and_invokes(server: Server, tmp_path: Path, sdk: str, script: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [
        "run",
        "--data",
        str(server.data),
        "--",
        str(interpreter(sdk)),
        str(SCRIPTS / script),
        str(ROOT / "examples"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "wildsage.cli", *command],
        env={**clean_environment(), "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
    assert ": all done" in done.stdout
    # The training log reached the terminal as it would from AWS.
    assert "test_accuracy=" in done.stdout
