"""A real server for the whole test session, started as a person would start it; its logs' ends beside a failure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, settings

from tests.byoc_images import images as images  # a fixture, as those below
from tests.container_engine import engine as engine
from tests.container_engine import engine_address
from tests.debian_image import debian as debian
from tests.debian_image import dockerd as dockerd
from tests.packages import index as index

ROOT = Path(__file__).resolve().parents[1]
_STOP_SECONDS = 60
_LINES = 60  # of each log, beside a failure
# Reads the description of each service once, which takes 150 ms; only one thread may make clients at a time.
_SESSION = boto3.session.Session()
_MAKING = threading.Lock()

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # that one is busy is no failure


def clean_environment() -> dict[str, str]:
    """This process's environment without anything of AWS or Wildsage, and with the package found from its source.

    It names the container engine that tests get: what runs before that is started finds it as soon as it answers.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "WILDSAGE_", "SAGEMAKER_", "PYTHONDONT")) and "proxy" not in name.lower()
    }
    own = {"DOCKER_HOST": engine_address(), "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    return {**kept, **own}


def wildsage(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    command = [sys.executable, "-m", "wildsage.cli", *words]
    return subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False, **options
    )


@dataclass
class Server:
    """One server. ``client`` makes stock boto3 clients with the environment that ``wildsage run`` gives."""

    data: Path
    process: subprocess.Popen[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> dict[str, Any]:
        """What ``wildsage status --json`` says."""
        found: dict[str, Any] = json.loads(wildsage("status", "--json", "--data", str(self.data)).stdout)
        return found

    @property
    def url(self) -> str:
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def role(self) -> str:
        """The ARN of the default execution role."""
        return self.environment["WILDSAGE_ROLE"]

    @property
    def root_key(self) -> tuple[str, str]:
        found = json.loads((self.data / "credentials.json").read_text())
        return found["access_key"], found["secret"]

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client as the execution role, or with the credentials given."""
        settings = {
            "aws_access_key_id": self.environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.environment["AWS_SECRET_ACCESS_KEY"],
            "aws_session_token": self.environment["AWS_SESSION_TOKEN"],
        }
        if "aws_access_key_id" in options:
            settings = {}
        region = options.pop("region_name", self.environment["AWS_REGION"])
        config = Config(retries={"total_max_attempts": 1}, read_timeout=60).merge(options.pop("config", Config()))
        settings = {"endpoint_url": self.url, "region_name": region, **settings, **options}
        with _MAKING:
            return _SESSION.client(service, config=config, **settings)

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """``wildsage run -- command``."""
        return wildsage("run", "--data", str(self.data), "--", *command, **options)

    def stop(self) -> None:
        """SIGTERM, and waits."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(_STOP_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self in _RUNNING:
            _RUNNING.remove(self)

    def logs(self) -> Iterator[tuple[str, str]]:
        """The end of each process's log, and the log's path."""
        for path in sorted((self.data / "logs").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-_LINES:]
            if lines:
                yield str(path), "\n".join(lines)


_RUNNING: list[Server] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the servers that run have logged last; what a machine lacks is a failure in CI."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
    if report.failed:
        report.sections += [entry for server in _RUNNING for entry in server.logs()]
    return report


def start_server(
    data: Path, *options: str, variables: Mapping[str, str] | None = None, python: Sequence[str] = (sys.executable,)
) -> Server:
    """``wildsage up --port 0`` on ``data`` with further environment ``variables``; returns once it is ready.

    ``python``: the command that runs Python.
    """
    command = [*python, "-m", "wildsage.cli", "up", "--port", "0", "--data", str(data), *options]
    process = subprocess.Popen(
        command,
        env={**clean_environment(), **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("no pipe")
    first = process.stdout.readline()
    if "is ready" not in first:
        rest = process.stdout.read()
        process.wait()
        process.stdout.close()
        pytest.fail(f"wildsage up did not start: {first}{rest}")
    exports = wildsage("env", "--data", str(data))
    words = [line.removeprefix("export ").partition("=") for line in exports.stdout.splitlines() if "export" in line]
    started = Server(data, process, {name: value.strip("'") for name, _, value in words})
    _RUNNING.append(started)
    return started


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Path]:
    """A directory whose path leaves room for the names of sockets."""
    path = Path(tempfile.mkdtemp(prefix="ws-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server(short_directory: Path) -> Iterator[Server]:
    """One ephemeral server for all tests; afterwards neither its processes nor its data are left."""
    started = start_server(short_directory / "session", "--ephemeral")
    pids = [started.process.pid, *started.status["processes"].values()]
    yield started
    started.stop()
    left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not left, f"processes {left} outlived the server"
    assert not started.data.exists(), "the ephemeral data directory was left behind"
