"""A disk that a job fills: the job fails in words, the server goes on, and there is room again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conftest import Server
from tests.e2e.jobs import BUCKET, IMAGE, described, train, upload
from tests.e2e.small_disk import played, small_disk
from tests.waiting import wait_until

MEGABYTES = 48
FILLING = """
with open("/opt/ml/output/data/much", "wb", 0) as file:
    while True:
        file.write(bytes(65536))
"""
# Leaves room for itself, but not for its archive and the object that comes of it.
LARGE = """
import os
with open("/opt/ml/model/large", "wb", 0) as file:
    for _ in range(20):
        file.write(os.urandom(1 << 20))
"""
# The same of a processing job: there is room for its output once, but not twice.
OUTPUT = """
import os
with open("/opt/ml/processing/out/large", "wb", 0) as file:
    for _ in range(24):
        file.write(os.urandom(1 << 20))
"""
# Fills the disk to the last byte, catches the error, and goes on to write more log than there is room for.
CARELESS = """
try:
    with open("/tmp/much", "wb", 0) as file:
        while True:
            file.write(bytes(4096))
except OSError as error:
    print(error, flush=True)
for number in range(200_000):
    try:
        print("line", number)
    except OSError:
        pass
"""


def end(server: Server, name: str) -> tuple[str, str]:
    """How a training job ends, and why."""
    wait_until(lambda: described(server, name)["TrainingJobStatus"] != "InProgress", 120)
    job = described(server, name)
    return job["TrainingJobStatus"], job.get("FailureReason", "")


def process(server: Server, mode: str) -> tuple[str, str]:
    """How a processing job with much output ends, and why."""
    code = upload(server, f"{mode}/process.py", OUTPUT.encode())
    source = {"S3Uri": code, "LocalPath": "/opt/ml/processing/code", "S3DataType": "S3Prefix"}
    target = {"S3Uri": f"s3://{BUCKET}/{mode}", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": mode}
    entry = ["python3", "/opt/ml/processing/code/process.py"]
    sagemaker = server.client("sagemaker")
    sagemaker.create_processing_job(
        ProcessingJobName=mode,
        RoleArn=server.role,
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": entry},
        ProcessingInputs=[{"InputName": "code", "S3Input": source}],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": target}]},
        ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
    )

    def over() -> dict[str, str] | None:
        job: dict[str, str] = sagemaker.describe_processing_job(ProcessingJobName=mode)
        return job if job["ProcessingJobStatus"] != "InProgress" else None

    job = wait_until(over, 120)
    return job["ProcessingJobStatus"], job.get("FailureReason", "")


def download(server: Server) -> tuple[str, str]:
    """How a training job ends whose input has room once: sealed objects are copied, not linked."""
    uri = upload(server, "nothing", b"").replace("nothing", "sealed/")
    s3 = server.client("s3")
    s3.put_object(Bucket=BUCKET, Key="sealed/much", Body=bytes(24 << 20), ServerSideEncryption="AES256")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    train(server, "download", "", InputDataConfig=[{"ChannelName": "train", "DataSource": source}])
    found = end(server, "download")
    s3.delete_object(Bucket=BUCKET, Key="sealed/much")
    return found


def play(data: Path) -> dict[str, object]:
    """What happens on a small disk mounted at ``data``."""
    with small_disk(data, MEGABYTES) as server:
        before = server.status["processes"]
        found: dict[str, object] = {}
        for name, script in (
            ("filling", FILLING),
            ("large", LARGE),
            ("careless", CARELESS),
        ):
            train(server, name, script)
            found[name] = end(server, name)
        for mode in ("EndOfJob", "Continuous"):
            found[mode] = process(server, mode)
        found["download"] = download(server)
        train(server, "after", "print('fine')")
        found["after"] = end(server, "after")
        server.client("s3").put_object(Bucket=BUCKET, Key="there is room", Body=bytes(1 << 20))
        found["same processes"] = server.status["processes"] == before
        found["left"] = [path.name for path in (server.data / "instances").iterdir()]
        return found


def test_a_job_that_fills_the_disk_costs_nobody_else(tmp_path: Path) -> None:
    found = played("tests.e2e.test_full_disk", tmp_path)
    for mode in ("EndOfJob", "Continuous"):
        status, reason = found[mode]
        assert status == "Failed"
        assert "The disk that holds the objects is full. Free some space" in reason
    status, reason = found["download"]
    assert status == "Failed"
    assert "No space left on the disk of the data directory while downloading the input data" in reason
    status, reason = found["filling"]
    assert status == "Failed"
    assert "No space left on " in reason  # in its own words, or in ours if those found no room
    status, reason = found["large"]
    assert status == "Failed"
    assert "pace" in reason, reason
    assert found["careless"][0] in ("Completed", "Failed")
    assert found["after"] == ["Completed", ""]
    assert found["same processes"] is True
    assert found["left"] == []


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]))))
