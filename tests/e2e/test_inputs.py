"""The input of jobs while processes of the server are killed, and from file systems."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, described, log_of, train, upload
from tests.waiting import wait_until

SYSTEM = "fs-0123456789abcdef0"
MIB = 1 << 20
_PATIENCE = 120.0


@pytest.fixture
def disk(short_directory: Path) -> Path:
    """A file system as far as the server knows."""
    found = short_directory / "disk"
    (found / "data").mkdir(parents=True, exist_ok=True)
    return found


@pytest.fixture
def started(short_directory: Path, request: pytest.FixtureRequest, disk: Path) -> Iterator[Server]:
    name: str = request.node.name
    found = start_server(short_directory / name[5:25], variables={"WILDSAGE_FILE_SYSTEMS": f"{SYSTEM}={disk}"})
    yield found
    found.stop()


def of(name: str, prefix: str, mode: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": mode}


def ended(server: Server, name: str) -> dict[str, Any]:
    """The job once it is over; control may be gone for a while."""

    def over() -> dict[str, Any] | None:
        try:
            job = described(server, name)
        except Exception as error:
            assert "ServiceUnavailable" in str(error) or "503" in str(error) or "onnect" in str(error), error
            return None
        return job if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    found: dict[str, Any] = wait_until(over, _PATIENCE)
    return found


def kill_control(server: Server) -> None:
    """Returns once another one answers."""
    pid = server.status["processes"]["control"]
    os.kill(pid, signal.SIGKILL)

    def another() -> bool:
        status = server.status
        return bool(status.get("control") == "ready" and status["processes"]["control"] != pid)

    wait_until(another, _PATIENCE)


# Reads its pipe in pieces, and waits after each until there is a line for it in a file that the test writes.
SLOW = """
import pathlib, time
script = pathlib.Path("/opt/ml/input/data/disk/lines")
total = 0
for epoch in range(3):
    with open(f"/opt/ml/input/data/train_{epoch}", "rb") as pipe:
        total += len(pipe.read(1 << 20))
        print("read", epoch, flush=True)
        while script.read_text().count("go") <= epoch:
            time.sleep(0.02)
        while piece := pipe.read(1 << 20):
            total += len(piece)
print("total", total, flush=True)
"""


def _has_read(server: Server, epoch: int) -> bool:
    return f"read {epoch}" in log_of(server, "flows")


def test_a_pipe_flows_while_control_is_killed(started: Server, disk: Path) -> None:
    upload(started, "train/one", os.urandom(5 * MIB))
    upload(started, "train/two", os.urandom(5 * MIB))
    (disk / "data" / "lines").write_text("")
    train(started, "flows", SLOW, InputDataConfig=[of("train", "train/", "Pipe"), mounted("disk", "ro")])
    for epoch in range(2):
        wait_until(partial(_has_read, started, epoch), _PATIENCE)
        kill_control(started)
        (disk / "data" / "lines").write_text("go\n" * (epoch + 1))
    (disk / "data" / "lines").write_text("go\n" * 3)
    job = ended(started, "flows")
    assert job["TrainingJobStatus"] == "Completed", job
    assert f"total {30 * MIB}" in log_of(started, "flows")


WHOLE = """
import pathlib
data = pathlib.Path("/opt/ml/input/data")
for name in ("file", "fast"):
    assert sum(path.stat().st_size for path in (data / name).iterdir()) == 1000, name
    assert len(list((data / name).iterdir())) == 100, name
assert len((data / "pipe_0").read_bytes()) == 1000
print("all there", flush=True)
"""


def _under_way(server: Server, name: str) -> bool:
    return bool(described(server, name)["SecondaryStatus"] != "Starting")


def test_control_is_killed_while_it_gets_the_input(started: Server) -> None:
    """Whenever that happens, the job has all of its data, once."""
    upload(started, "many/000", b"0123456789")
    s3 = started.client("s3")
    for number in range(1, 100):
        s3.put_object(Bucket=BUCKET, Key=f"many/{number:03}", Body=b"0123456789")
    rng = random.Random(4)
    channels = [of("file", "many/", "File"), of("fast", "many/", "FastFile"), of("pipe", "many/", "Pipe")]
    for number in range(2):
        name = f"hit-{number}"
        train(started, name, WHOLE, InputDataConfig=channels)
        wait_until(partial(_under_way, started, name), _PATIENCE)
        if rng.random() < 0.7:
            wait_until(lambda: _staged(started, rng.randrange(100)), _PATIENCE)
        kill_control(started)
        job = ended(started, name)
        assert job["TrainingJobStatus"] == "Completed", job
        assert "all there" in log_of(started, name)
    assert list((started.data / "instances").iterdir()) == []


def _staged(server: Server, count: int) -> bool:
    """Whether a running job has at least so many files, or there is none any more."""
    folders = list((server.data / "instances").glob("*/*/channels/file"))
    return not folders or sum(1 for _ in folders[0].iterdir()) >= count


def mounted(name: str, mode: str, path: str = "/data") -> dict[str, Any]:
    source = {
        "FileSystemId": SYSTEM,
        "FileSystemType": "EFS",
        "FileSystemAccessMode": mode,
        "DirectoryPath": path,
    }
    return {"ChannelName": name, "DataSource": {"FileSystemDataSource": source}}


MOUNTED = """
import pathlib
data = pathlib.Path("/opt/ml/input/data")
print("read", (data / "ro" / "x").read_text())
try:
    (data / "ro" / "y").write_text("no")
except OSError as error:
    print(error.strerror)
(data / "rw" / "written").write_text("by the job")
"""


def test_channels_from_a_file_system(started: Server, disk: Path) -> None:
    (disk / "data" / "x").write_text("from the disk")
    train(started, "mounted", MOUNTED, InputDataConfig=[mounted("ro", "ro"), mounted("rw", "rw")])
    job = ended(started, "mounted")
    assert job["TrainingJobStatus"] == "Completed", job
    assert "read from the disk\nRead-only file system" in log_of(started, "mounted")
    assert (disk / "data" / "written").read_text() == "by the job"
    train(started, "missing", MOUNTED, InputDataConfig=[mounted("ro", "ro", "/missing")])
    job = ended(started, "missing")
    assert f"Unable to mount file system: {SYSTEM} directory path: /missing" in job["FailureReason"]
