"""Both SageMaker SDKs, unchanged, from account_id() to delete_endpoint(), in a network without a way out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.conftest import clean_environment
from tests.offline import run_offline
from tests.sdk.session import SCRIPTS, SECONDS

pytestmark = pytest.mark.timeout(SECONDS + 180)


@pytest.fixture(scope="module")
def folder(short_directory: Path) -> Path:
    """Where a session of both SDKs has left its logs and ``status``."""
    place = short_directory / "sdk"
    place.mkdir()
    command = [sys.executable, "-m", "tests.sdk.session", str(place)]
    done = run_offline(command, clean_environment(), timeout=SECONDS + 120)
    (place / "status").write_text(f"{done.returncode}\n{done.stdout}{done.stderr}")
    return place


@pytest.mark.parametrize("sdk", SCRIPTS)
def test_the_sdk_trains_deploys_and_invokes(folder: Path, sdk: str) -> None:
    said = (folder / f"{sdk}.log").read_text(errors="replace")
    assert ": all done" in said, said[-8000:]
    # The training log reached the terminal as it would from AWS.
    assert "test_accuracy=" in said


def test_no_packet_left_the_machine(folder: Path) -> None:
    status = (folder / "status").read_text()
    assert status.startswith("0\n"), status
