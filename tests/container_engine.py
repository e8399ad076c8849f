"""A container engine for tests: the one that answers on this machine, or one that the tests start and end.

The engine of the tests keeps its images between runs (in the cache folder), is shared by runs beside each other, and
ends with the last of them: each process of a run holds a lock that the engine's holder waits for.

    python -m tests.container_engine      holds a dockerd until nobody uses it
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

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


_FOLDER = Path(f"/run/wildsage-test-{zlib.crc32(os.fsencode(CACHE)):08x}")  # one for each place of images


@functools.cache
def engine_address() -> str:
    """As DOCKER_HOST names one: the machine's engine if that answers, else the tests' own.

    Nobody answers there until a test asks for the fixture ``engine``.
    """
    known = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if known.startswith("unix://") and answers(known.removeprefix("unix://")):
        return known
    return f"unix://{_FOLDER}/docker.sock"


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The address of an engine that answers: that of the machine, or the tests' own."""
    address = engine_address()
    if address != f"unix://{_FOLDER}/docker.sock":
        yield address
        return
    if os.geteuid() != 0:
        if answers(f"{_FOLDER}/docker.sock"):  # root's, whose tests run these as an ordinary user
            yield address
            return
        pytest.skip("needs a container engine at /var/run/docker.sock, or root to start one")
    if shutil.which("dockerd") is None:
        pytest.skip("needs a container engine: apt-get install docker.io")
    with _users() as users:
        with locked("engine"):
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for an engine that is just ending
            if not answers(f"{_FOLDER}/docker.sock"):
                _start(_FOLDER)
        yield address


def _users() -> IO[str]:
    """The file that those who use the engine have locked, and its holder when nobody does any more."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return (CACHE / "engine.users").open("w")


def _start(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
    folder.mkdir(exist_ok=True)
    with (folder / "log").open("w") as log:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.container_engine"],
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
    """Holds an engine until no test run uses it."""
    _FOLDER.mkdir(exist_ok=True)
    # Images are kept, networks are not: an engine that was ended amid its start leaves a record of a bridge without
    # addresses, and panics at every later start.
    shutil.rmtree(CACHE / "engine" / "network", ignore_errors=True)
    with _users() as users, subprocess.Popen(dockerd(_FOLDER, CACHE / "engine"), preexec_fn=os.setsid) as engine:
        while engine.poll() is None:
            time.sleep(1.0)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            break  # whoever comes now waits for the lock, and then starts another
        engine.send_signal(signal.SIGTERM)
        engine.wait()
        if engine.returncode == 0:
            subprocess.run(["umount", "--quiet", f"{_FOLDER}/exec/netns/default"], check=False)  # dockerd leaves it
            shutil.rmtree(_FOLDER, ignore_errors=True)
    sys.exit(engine.returncode)


if __name__ == "__main__":
    main()
