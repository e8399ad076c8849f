"""Batch transform jobs while processes are killed outright: every object's output is there once, and whole."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, IMAGE, archive, upload
from tests.e2e.test_inputs import kill_control
from tests.waiting import wait_until

_PATIENCE = 120.0
_OBJECTS, _LINES = 6, 200
# Doubles each line, slowly enough to be killed meanwhile.
SCRIPT = """
import os, time
def model_fn(folder): return 2
def transform_fn(model, body, content_type, accept):
    if body.startswith("long"):
        while body.strip() == "long 2" and not os.path.exists("/opt/ml/go"):
            time.sleep(0.02)
        return body.strip()[-1] * 9_000_000, "text/csv"
    time.sleep(0.15)
    return "".join(f"{model * int(line)}\\n" for line in body.splitlines()), "text/csv"
"""
CARRIER, MODEL = b"wildsage.dataplane.transform", b"serve.py"


@pytest.fixture
def started(short_directory: Path) -> Iterator[Server]:
    found = start_server(short_directory / f"transform-{uuid.uuid4().hex[:6]}")
    data = upload(found, "model.tar.gz", archive("code/inference.py", SCRIPT))
    variables = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    container = {"Image": IMAGE, "ModelDataUrl": data, "Environment": variables}
    found.client("sagemaker").create_model(ModelName="doubles", ExecutionRoleArn=found.role, PrimaryContainer=container)
    for number in range(_OBJECTS):
        upload(found, f"in/{number}.csv", "".join(f"{number * 1000 + line}\n" for line in range(_LINES)).encode())
    yield found
    found.stop()


def begin(server: Server, name: str, instances: int, below: str = "in/", strategy: str = "MultiRecord") -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{below}"}
    server.client("sagemaker").create_transform_job(
        TransformJobName=name,
        ModelName="doubles",
        BatchStrategy=strategy,
        TransformInput={"DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{name}", "Accept": "text/csv", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": instances},
    )


def over(server: Server, name: str) -> dict[str, Any] | None:
    """The job once it is over; None while it is not, or nobody answers."""
    try:
        found: dict[str, Any] = server.client("sagemaker").describe_transform_job(TransformJobName=name)
    except (BotoCoreError, ClientError):
        return None
    return found if found["TransformJobStatus"] in ("Completed", "Failed", "Stopped") else None


def check(server: Server, name: str) -> None:
    """It went well, and each object's output is there, whole and once; nothing is left of it."""
    job = wait_until(lambda: over(server, name), _PATIENCE)
    assert job["TransformJobStatus"] == "Completed", job
    s3 = server.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{name}/")["Contents"]]
    assert keys == [f"{name}/{number}.csv.out" for number in range(_OBJECTS)]
    for number, key in enumerate(keys):
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert body == "".join(f"{2 * (number * 1000 + line)}\n" for line in range(_LINES)).encode()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    assert not list((server.data / "instances").glob("transform-*"))


def processes(server: Server, words: bytes) -> list[int]:
    """The processes of this server's instances whose command line has these words."""
    told = f"AWS_CONTAINER_CREDENTIALS_FULL_URI={server.url}/".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if words in (folder / "cmdline").read_bytes() and told in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def kill(server: Server, words: bytes, job: str) -> None:
    """SIGKILL to one of them, once there is one; the job may be over before."""
    wait_until(lambda: processes(server, words) or over(server, job), _PATIENCE)
    for pid in processes(server, words)[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_job_goes_on_however_often_control_is_killed(started: Server) -> None:
    begin(started, "control", instances=2)
    chance = random.Random(5)
    for _ in range(3):
        time.sleep(chance.uniform(0, 0.5))  # at another moment of the job each time
        kill_control(started)
    check(started, "control")


def test_what_carries_the_data_and_the_model_are_killed(started: Server) -> None:
    begin(started, "instances", instances=1)
    kill(started, CARRIER, "instances")
    kill(started, MODEL, "instances")
    check(started, "instances")


def test_half_an_upload_is_taken_away(started: Server) -> None:
    """What carries the data is killed once a part is in S3 and the container is at the next record."""
    upload(started, "long/long.txt", b"long 1\nlong 2\nlong 3\n")
    begin(started, "half", instances=1, below="long/", strategy="SingleRecord")
    s3, folder = started.client("s3"), started.data / "instances"
    wait_until(lambda: s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads"), _PATIENCE)
    kill(started, CARRIER, "half")
    for ml in folder.glob("transform-*/*-1/ml"):
        (ml / "go").touch()
    job = wait_until(lambda: over(started, "half"), _PATIENCE)
    assert job["TransformJobStatus"] == "Completed", job
    body = s3.get_object(Bucket=BUCKET, Key="half/long.txt.out")["Body"].read()
    assert body == b"".join(digit * 9_000_000 + b"\n" for digit in (b"1", b"2", b"3"))
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


def test_a_job_goes_on_after_a_restart_on_another_port(started: Server) -> None:
    begin(started, "restarted", instances=1)
    wait_until(lambda: processes(started, CARRIER) or over(started, "restarted"), _PATIENCE)
    started.stop()
    again = start_server(started.data)
    try:
        check(again, "restarted")
    finally:
        again.stop()
