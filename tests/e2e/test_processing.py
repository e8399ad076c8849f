"""Processing jobs while control is killed outright, again and again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, IMAGE
from tests.e2e.test_inputs import kill_control
from tests.waiting import wait_until

_PATIENCE = 120.0
_KILLS = 4
SCRIPT = """
import os, time
for number in range(40):
    print(number, flush=True)
    open(f"/opt/ml/processing/out/{os.uname().nodename}-{number}", "w").write(str(number))
    time.sleep(0.05)
"""


@pytest.fixture
def started(short_directory: Path) -> Iterator[Server]:
    found = start_server(short_directory / "processing")
    yield found
    found.stop()


def answered(server: Server, name: str) -> dict[str, Any] | None:
    """The job; None while nobody answers."""
    try:
        found: dict[str, Any] = server.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    except Exception as error:
        assert "ServiceUnavailable" in str(error) or "503" in str(error) or "onnect" in str(error), error
        return None
    return found


def test_a_job_goes_on_however_often_control_is_killed(started: Server) -> None:
    s3 = started.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="code/process.py", Body=SCRIPT.encode())
    source = {"S3Uri": f"s3://{BUCKET}/code/", "LocalPath": "/opt/ml/processing/code", "S3DataType": "S3Prefix"}
    target = {"S3Uri": f"s3://{BUCKET}/out", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "Continuous"}
    cluster = {"InstanceType": "ml.t3.medium", "InstanceCount": 2, "VolumeSizeInGB": 1}
    started.client("sagemaker").create_processing_job(
        ProcessingJobName="killed",
        RoleArn=started.role,
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/process.py"],
        },
        ProcessingInputs=[{"InputName": "code", "S3Input": source}],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": target}]},
        ProcessingResources={"ClusterConfig": cluster},
    )
    chance = random.Random(11)
    for _ in range(_KILLS):
        time.sleep(chance.uniform(0, 0.3))  # at another moment of the job each time
        kill_control(started)

    def over() -> dict[str, Any] | None:
        found = answered(started, "killed")
        return found if found and found["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    job = wait_until(over, _PATIENCE)
    assert job["ProcessingJobStatus"] == "Completed", job
    keys = {each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="out/")["Contents"]}
    assert keys == {f"out/algo-{host}-{number}" for host in (1, 2) for number in range(40)}
    logs = started.client("logs")
    group = "/aws/sagemaker/ProcessingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="killed/")["logStreams"]
    for stream in streams:
        page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        numbers = [event["message"] for event in page["events"] if event["message"].isdigit()]
        assert numbers == [str(number) for number in range(40)]
    assert len(streams) == 2
