"""Jobs of several instances while control is killed, and when the server goes down."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, described, log_of, train, upload
from tests.e2e.killing import end_control
from tests.waiting import wait_until

TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
_PATIENCE = 120.0

# Passes a number back and forth for as long as S3 has no object "go", which it asks for through the job's network.
PASSING = f"""
import boto3, botocore, os, socket, time
me = os.environ["SM_CURRENT_HOST"]
s3 = boto3.client("s3")

def may_go():
    try:
        s3.head_object(Bucket="{BUCKET}", Key="go")
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError):
        return False
    return True

if me == "algo-1":
    peer = socket.create_server((me, 7777)).accept()[0]
    number, file = 0, peer.makefile("rw")
    print("ready", flush=True)
    while not may_go():
        file.write(f"{{number}}\\n"); file.flush()
        assert int(file.readline()) == number + 1
        number += 1
        time.sleep(0.02)
    print("passed", number > 0, flush=True)
else:
    end = time.monotonic() + 60
    while True:
        try:
            peer = socket.create_connection(("algo-1", 7777), 5)
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)
    peer.settimeout(None)
    file = peer.makefile("rw")
    print("ready", flush=True)
    for line in file:
        file.write(f"{{int(line) + 1}}\\n"); file.flush()
"""


@pytest.fixture
def started(short_directory: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    name: str = request.node.name
    found = start_server(short_directory / name[5:25])
    yield found
    found.stop()


def status_of(server: Server, name: str) -> str:
    """Empty while control is not there to say."""
    try:
        return str(described(server, name)["TrainingJobStatus"])
    except (BotoCoreError, ClientError):
        return ""


def said(server: Server, name: str, line: str) -> int:
    try:
        return log_of(server, name).split("\n").count(line)
    except (BotoCoreError, ClientError):
        return 0


def holders(folder: Path) -> list[int]:
    """The processes that have something of ``folder`` open: keepers and hubs hold their own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if any(str(each.readlink()).startswith(f"{folder}/") for each in (entry / "fd").iterdir()):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_killed_control_finds_all_instances_and_their_network_again(started: Server) -> None:
    train(started, "passing", PASSING, ResourceConfig=TWO)
    assert wait_until(lambda: said(started, "passing", "ready") == 2, _PATIENCE)
    for _ in range(2):
        before = started.status["processes"]["control"]
        os.kill(before, signal.SIGKILL)
        assert wait_until(lambda: status_of(started, "passing") == "InProgress", _PATIENCE)
    upload(started, "go", b"")
    assert wait_until(lambda: status_of(started, "passing") in ("Completed", "Failed"), _PATIENCE)
    job = described(started, "passing")
    assert job.get("FailureReason") is None
    assert wait_until(lambda: said(started, "passing", "passed True") == 1, _PATIENCE)
    assert holders(started.data / "instances") == []


@pytest.mark.parametrize("seed", range(4))
def test_control_killed_while_instances_start(started: Server, seed: int) -> None:
    """At any moment of it: the next one finishes what was begun, once."""
    name = f"starting-{seed}"
    script = "import os; print('once', flush=True); open('/opt/ml/model/' + os.environ['SM_CURRENT_HOST'], 'w').close()"
    train(started, name, script, ResourceConfig=TWO)
    time.sleep(random.Random(seed).uniform(0, 0.5))  # the moment, not a wait for anything
    end_control(started)
    assert wait_until(lambda: status_of(started, name) in ("Completed", "Failed"), _PATIENCE)
    assert described(started, name).get("FailureReason") is None
    assert said(started, name, "once") == 2
    assert holders(started.data / "instances") == []


def test_down_ends_instances_and_network(started: Server) -> None:
    train(started, "endless", "import time; print('ready', flush=True); time.sleep(600)", ResourceConfig=TWO)
    assert wait_until(lambda: said(started, "endless", "ready") == 2, _PATIENCE)
    assert len(holders(started.data / "instances")) >= 3
    started.stop()
    assert wait_until(lambda: holders(started.data / "instances") == [], _PATIENCE)
