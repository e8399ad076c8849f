"""A container engine for tests: the one that answers on this machine, or one that the tests start and end.

The engine of the tests keeps its images between runs (in the cache folder), and ends when the test run does:

    python -m tests.container_engine PID FOLDER      holds a dockerd at FOLDER/docker.sock until process PID is gone
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import http.client
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wildsage-test"
_PATIENCE = 120.0  # seconds for an engine to answer


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float = 60) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Opens it."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def answers(path: str) -> bool:
    """Whether an engine answers at the socket ``path``."""
    connection = UnixConnection(path, 10)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """One process of this machine at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Dockerd:
    """An engine of a test's own, to be stopped and started at will, in a network namespace of its own.

    So it does not touch the machine's firewall and bridges (``--bridge=none`` would remove another engine's), and
    nobody reaches its containers.

    ``folder``: its own, with a path that is short enough for a socket. What holds its containers (containerd) is a
    process of its own, as where systemd starts both, so that they can outlive it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        places = (f"--root={folder}/held", f"--state={folder}/holds", f"--address={folder}/containerd.sock")
        command = ["unshare", "--net", "containerd", "--log-level=warn", *places]
        self._holder = subprocess.Popen(command, start_new_session=True)

    @property
    def socket(self) -> str:
        return f"{self._folder}/docker.sock"

    def start(self, *options: str) -> None:
        """Returns when it answers."""
        end = time.monotonic() + _PATIENCE
        while not (self._folder / "containerd.sock").exists():  # then it is in its namespace, too
            if self._holder.poll() is not None or time.monotonic() > end:
                pytest.skip("containerd cannot run here")
            time.sleep(0.02)
        held = f"--containerd={self._folder}/containerd.sock"
        apart = ("--iptables=false", "--ip6tables=false", "--ip-masq=false", "--shutdown-timeout=1", held)
        beside = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]
        command = [*beside, *dockerd(self._folder, self._folder / "data", *apart, *options)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        while not answers(self.socket):
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.skip(f"dockerd cannot run here: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """With SIGKILL its containers go on."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE)

    def end(self) -> None:
        """All of it."""
        self.stop()
        self._holder.terminate()
        self._holder.wait(_PATIENCE)


def dockerd(folder: Path, data: Path, *options: str) -> list[str]:
    """The command of an engine of its own: socket and private files in ``folder``, images in ``data``."""
    return [
        *("dockerd", f"--host=unix://{folder}/docker.sock", f"--pidfile={folder}/docker.pid"),
        *(f"--exec-root={folder}/exec", f"--data-root={data}", "--log-level=warn", *options),
    ]


# The process that all processes of the test run are children of, where there are several.
_RUN = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
_FOLDER = Path(f"/run/wildsage-test-{_RUN}")


@functools.cache
def engine_address() -> str:
    """As DOCKER_HOST names one: the machine's engine if that answers, else the one of this test run.

    Nobody answers there until a test asks for the fixture ``engine``.
    """
    known = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if known.startswith("unix://") and answers(known.removeprefix("unix://")):
        return known
    return f"unix://{_FOLDER}/docker.sock"


@pytest.fixture(scope="session")
def engine() -> str:
    """The address of an engine that answers: that of the machine, or of one started for this test run."""
    address = engine_address()
    if answers(address.removeprefix("unix://")):
        return address
    if os.geteuid() != 0:
        pytest.skip("needs a container engine at /var/run/docker.sock, or root to start one")
    if shutil.which("dockerd") is None:
        pytest.skip("needs a container engine: apt-get install docker.io")
    with locked("engine"):
        if not answers(address.removeprefix("unix://")):
            _start(_RUN, _FOLDER)
    return address


def _start(run: int, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / "log").open("w") as log:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.container_engine", str(run), str(folder)],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )
    end = time.monotonic() + _PATIENCE
    while not answers(f"{folder}/docker.sock"):
        if holder.poll() is not None or time.monotonic() > end:
            holder.kill()
            pytest.skip(f"dockerd cannot run here: {(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.1)
    holder.returncode = 0  # it outlives this process, which would be warned of that


def main() -> None:
    """Holds an engine until the test run has ended."""
    run, folder = int(sys.argv[1]), Path(sys.argv[2])
    watched = os.pidfd_open(run)
    with subprocess.Popen(dockerd(folder, CACHE / "engine"), preexec_fn=os.setsid) as engine:
        while engine.poll() is None:
            if _ended(watched):
                break
        engine.send_signal(signal.SIGTERM)
    if engine.returncode == 0:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(engine.returncode)


def _ended(watched: int) -> bool:
    """Whether the process of that descriptor ends within a second."""
    return bool(select.select([watched], [], [], 1.0)[0])


if __name__ == "__main__":
    main()
