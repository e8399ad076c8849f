"""Other S3 servers for ours to stand in front of: a second Wildsage, and moto's server."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from tests.conftest import Server, clean_environment, start_server
from tests.sdk.session import interpreter

_CONFIG = Config(retries={"total_max_attempts": 1}, read_timeout=60)


@dataclass(frozen=True)
class Upstream:
    """One S3 and a client that uses it directly."""

    kind: str
    url: str
    access_key: str
    secret_key: str
    client: Any

    def settings(self, **further: str) -> dict[str, str]:
        """What a server is started with to stand in front of it."""
        settings = {"": self.url, "_ACCESS_KEY": self.access_key, "_SECRET_KEY": self.secret_key, **further}
        return {f"WILDSAGE_S3_UPSTREAM{name}": value for name, value in settings.items()}


def _upstream(kind: str, url: str, access_key: str, secret_key: str) -> Upstream:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=_CONFIG,
    )
    return Upstream(kind, url, access_key, secret_key, client)


@contextlib.contextmanager
def wildsage(folder: Path) -> Iterator[tuple[Upstream, Server]]:
    """A Wildsage with keys of its own."""
    server = start_server(folder)
    try:
        yield _upstream("wildsage", server.url, *server.root_key), server
    finally:
        server.stop()


@contextlib.contextmanager
def moto(log: Path) -> Iterator[Upstream]:
    """moto's server; it takes any key."""
    command = [str(interpreter("moto").with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
    reading, writing = os.pipe()
    process = subprocess.Popen(command, env=clean_environment(), stdout=writing, stderr=writing)
    os.close(writing)
    with os.fdopen(reading, "r", errors="replace") as output, log.open("w") as kept:
        try:
            for line in output:
                kept.write(line)
                if found := re.search(r"Running on (http://\S+)", line):
                    break
            else:
                raise RuntimeError(f"moto did not start; see {log}")
            # Its access log must not fill the pipe.
            copying = subprocess.Popen(["cat"], stdin=output, stdout=kept)
            try:
                yield _upstream("moto", found[1], "key", "secret")
            finally:
                process.terminate()
                process.wait(60)
                copying.wait(60)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def in_front_of(settings: Mapping[str, str], folder: Path) -> Iterator[Server]:
    server = start_server(folder, variables=settings)
    try:
        yield server
    finally:
        server.stop()
