"""Which processes the supervisor takes for hanging."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from wildsage.cli.children import Child
from wildsage.cli.vigil import Vigil, Watched


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as found:
        yield found
        found.kill()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(tmp_path / "s"))
        found.listen(100)
        yield found


@pytest.fixture
def vigil(process: subprocess.Popen[bytes], listener: socket.socket, tmp_path: Path) -> Iterator[Vigil]:
    found = Vigil([Watched(Child("router", [], tmp_path / "log", process.pid), tmp_path / "s")], every=0)
    yield found
    found.close()


def test_three_looks_without_an_answer(
    vigil: Vigil, process: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        vigil.look()  # the first asks
    assert process.poll() is None
    vigil.look()
    assert process.wait(60) == -signal.SIGKILL
    assert f"the router process ({process.pid}) answers nothing any more" in capsys.readouterr().err


def test_some_are_given_more_looks(process: subprocess.Popen[bytes], listener: socket.socket, tmp_path: Path) -> None:
    patient = Vigil([Watched(Child("control", [], tmp_path / "log", process.pid), tmp_path / "s", 12)], every=0)
    for _ in range(12):
        patient.look()
    assert process.poll() is None
    patient.look()
    assert process.wait(60) == -signal.SIGKILL
    patient.close()


def test_an_answer_however_late_is_one(vigil: Vigil, process: subprocess.Popen[bytes], listener: socket.socket) -> None:
    vigil.look()  # asks
    for _ in range(10):
        for _ in range(2):
            vigil.look()
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(1000).startswith(b"GET /_wildsage/alive HTTP/1.1\r\n")
            accepted.sendall(b"HTTP/1.1 200 OK\r\n")
        vigil.look()  # asks anew
    assert process.poll() is None


def test_one_that_does_not_listen_yet(vigil: Vigil, process: subprocess.Popen[bytes], listener: socket.socket) -> None:
    listener.close()
    for _ in range(10):
        vigil.look()
    assert process.poll() is None
