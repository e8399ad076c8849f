"""Both SageMaker SDKs, unchanged, against a real server: the whole loop, each in an empty HOME.

The SDKs look at their jobs every 10 to 30 seconds, so most of the time here is theirs; they run side by side.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import ROOT, Server, clean_environment
from tests.sdk.conftest import interpreter

SCRIPTS = {"sdk2": "v2.py", "sdk3": "v3.py"}
_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Run:
    """One script under way."""

    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="module")
def runs(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Every script under way."""
    started: dict[str, Run] = {}
    for sdk, script in SCRIPTS.items():
        home = tmp_path_factory.mktemp(sdk)
        words = [str(interpreter(sdk)), str(ROOT / "tests" / "sdk" / "scripts" / script), str(ROOT / "examples")]
        path = home / "log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "wildsage.cli", "run", "--data", str(server.data), "--", *words],
                env={**clean_environment(), "HOME": str(home)},
                cwd=home,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started[sdk] = Run(process, path)
    yield started
    for run in started.values():
        run.process.kill()
        run.process.wait()


@pytest.mark.parametrize("sdk", SCRIPTS)
def test_the_sdk_trains_deploys_and_invokes(runs: dict[str, Run], sdk: str) -> None:
    run = runs[sdk]
    status = run.process.wait(_SECONDS)
    said = run.log.read_text(errors="replace")
    assert status == 0, said[-8000:]
    assert ": all done" in said
    # The training log reached the terminal as it would from AWS.
    assert "test_accuracy=" in said
