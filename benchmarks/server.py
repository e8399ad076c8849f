"""A Wildsage server of the benchmark's own, and stock clients for it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3


def wildsage(*arguments: str, data: Path) -> str:
    """Runs one ``wildsage`` command on a data directory and returns what it printed."""
    command = [sys.executable, "-m", "wildsage.cli", arguments[0], "--data", str(data), *arguments[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients; ``role`` is the execution role's ARN."""

    sagemaker: Any
    runtime: Any
    s3: Any
    logs: Any
    role: str


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``environment``: what ``wildsage env`` exports; ``folder``: scratch space."""

    data: Path
    folder: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return self.environment["AWS_ENDPOINT_URL"]

    def clients(self) -> Clients:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION")
        key, secret, token, region = (self.environment.get(name) for name in names)
        session = boto3.Session(key, secret, token, region)
        made = {
            name: session.client(name, endpoint_url=self.url)
            for name in ("sagemaker", "sagemaker-runtime", "s3", "logs")
        }
        return Clients(
            made["sagemaker"], made["sagemaker-runtime"], made["s3"], made["logs"], self.environment["WILDSAGE_ROLE"]
        )


def exports(text: str) -> dict[str, str]:
    """The variables that a script of ``export NAME=VALUE`` lines sets."""
    pairs = [
        word.partition("=") for line in text.splitlines() for word in shlex.split(line, comments=True) if "=" in word
    ]
    return {name: value for name, _, value in pairs}


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """A server with a data directory of its own on a free port, stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="wildsage-benchmark-") as folder:
        data = Path(folder) / "data"
        wildsage("up", "--port", "0", "--detach", data=data)
        try:
            yield Server(data, Path(folder), exports(wildsage("env", data=data)))
        finally:
            wildsage("down", data=data)


def result(name: str, **figures: Any) -> None:
    """One line of JSON for the results page."""
    print(json.dumps({"benchmark": name, "cpus": os.cpu_count(), **figures}))
