"""Spot jobs that are interrupted and jobs that are lost, as both SDKs ask for them; the server has a schedule."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Server, clean_environment, start_server
from tests.e2e.jobs import log_of
from tests.sdk.running import SCRIPTS, SECONDS, command

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.fixture(scope="module")
def interrupting(short_directory: Path) -> Iterator[Server]:
    """A server that takes spot instances away after two seconds or so."""
    started = start_server(short_directory / "spot", variables={"WILDSAGE_SPOT_INTERRUPTIONS": "seed=7,mean=2"})
    yield started
    started.stop()


def lose(server: Server, prefix: str) -> bool:
    """Kills what keeps the container of the job that waits for it; False if there is no such job yet."""
    found = server.client("sagemaker").list_training_jobs(NameContains=prefix, StatusEquals="InProgress")
    for job in found["TrainingJobSummaries"]:
        if "waits to be lost" in log_of(server, job["TrainingJobName"]):
            (keeper,) = (server.data / "instances").glob("train-*/algo-1/keeper")
            os.kill(int(keeper.read_text().split()[1]), signal.SIGKILL)
            return True
    return False


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_resumes(interrupting: Server, tmp_path: Path, sdk: str) -> None:
    version, said = sdk.replace("sdk", "v"), tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command(interrupting, sdk, f"spot_{version}.py", str(SCRIPTS)),
            env={**clean_environment(), "HOME": str(tmp_path)},
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline, lost = time.monotonic() + SECONDS, False
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
        lost = lost or lose(interrupting, f"lost-{version}")
        time.sleep(0.5)
    assert "spot: all done" in said.read_text(), said.read_text()[-8000:]
    assert lost
