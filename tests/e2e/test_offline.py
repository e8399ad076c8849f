"""Nothing leaves the machine: server and clients work in a network that has no way out, and nobody looks for one."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import clean_environment
from tests.offline import LEFT, run_offline


def test_the_guard_sees_who_tries() -> None:
    script = "import socket; s = socket.socket(); s.settimeout(0.2); print(s.connect_ex(('192.0.2.1', 443)))"
    answer = run_offline([sys.executable, "-c", script], clean_environment())
    assert answer.returncode == LEFT, answer.stderr
    assert "packets were sent" in answer.stderr


def test_server_and_clients_keep_to_loopback(short_directory: Path, tmp_path: Path) -> None:
    environment = {**clean_environment(), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tests.e2e.offline_session", str(short_directory / "offline")]
    answer = run_offline(command, environment)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "000000000000" in answer.stdout
