"""Processes of the server killed at random moments, under load of every kind; the seeds are fixed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, await_endpoint, deploy, described, invoke, log_of, train
from tests.e2e.killing import gone, kill
from tests.e2e.test_durability import ECHO, processes_of
from tests.waiting import wait_until

KILLS = 5
LINES = """
import pathlib, time
for number in range(400):
    print(f"line {number}", flush=True)
    time.sleep(0.02)
pathlib.Path("/opt/ml/model/model.txt").write_text("trained" * 1000)
"""


class Writer(threading.Thread):
    """Writes objects for as long as it is let; ``kept`` is what the server has acknowledged."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.s3 = server.client("s3")
        self.kept: dict[str, str] = {}
        self.over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            body = f"{number}".encode() * 997
            key = f"written/{number % 50}-{number}"
            try:
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            except (BotoCoreError, ClientError):
                time.sleep(0.05)  # it was killed meanwhile: the object may be there or not
            else:
                self.kept[key] = hashlib.sha256(body).hexdigest()
            number += 1


def answered(call: Any, *arguments: Any) -> Any:
    """What ``call`` returns, once the server is there again."""

    def attempt() -> Any:
        try:
            return call(*arguments) or True
        except (BotoCoreError, ClientError):
            return None

    return wait_until(attempt, 30)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost(short_directory: Path, seed: int) -> None:
    dice = random.Random(seed)
    data = short_directory / f"kills{seed}"
    server = start_server(data)
    try:
        deploy(server, "steady", ECHO)
        train(server, "lines", LINES)
        writer = Writer(server)
        writer.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 1.0))
            kill(_pid(server, "control" if dice.random() < 0.6 else "router"))
            assert b'"sum": 3' in answered(invoke, server, "steady", b"[1, 2]")
        time.sleep(dice.uniform(0.05, 0.5))
        writer.over.set()
        children = [_pid(server, name) for name in ("control", "router")]
        for pid in (server.process.pid, *children):
            os.kill(pid, signal.SIGKILL)
        writer.join()
        server.stop()
        server = start_server(data)
        _check(server, writer.kept)
        server.client("sagemaker").delete_endpoint(EndpointName="steady")
        wait_until(lambda: not server.client("sagemaker").list_endpoints()["Endpoints"], 60)
        assert list((data / "instances").iterdir()) == []
    finally:
        server.stop()
    wait_until(lambda: not processes_of(str(data)))


def _pid(server: Server, name: str) -> int:
    """The process of that name, once it has been started again."""

    def running() -> int | None:
        pid: int | None = server.status["processes"].get(name)
        return None if pid is None or gone(pid) else pid

    found: int = wait_until(running)
    return found


def _check(server: Server, kept: dict[str, str]) -> None:
    await_endpoint(server, "steady")
    assert b'"sum": 3' in invoke(server, "steady", b"[1, 2]")
    s3 = server.client("s3")
    assert kept
    for key, digest in kept.items():
        assert hashlib.sha256(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest() == digest
    wait_until(lambda: described(server, "lines")["TrainingJobStatus"] != "InProgress", 60)
    assert described(server, "lines")["TrainingJobStatus"] == "Completed"
    lines = [line for line in log_of(server, "lines").splitlines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(400)]
