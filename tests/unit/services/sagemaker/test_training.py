"""Training jobs on the real sandbox."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, REGION, Server, Training

from wildsage.services.sagemaker.training.kind import LOG_GROUP, TRAINING_JOB

CHANNEL = {
    "ChannelName": "train",
    "ContentType": "text/csv",
    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/train"}},
}

SCRIPT = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
options = parser.parse_args()
for number in range(options.epochs):
    print(f"epoch={number} loss={1 / (number + 1):.3f}", flush=True)
files = sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"]))
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w") as file:
    json.dump({"files": files, "job": os.environ["TRAINING_JOB_NAME"], "user": os.environ["GREETING"]}, file)
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt"), "w") as file:
    file.write("fine")
"""


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def stages(job: dict[str, Any]) -> list[str]:
    return [each["Status"] for each in job["SecondaryStatusTransitions"]]


async def left_behind(server: Server) -> list[str]:
    return sorted(path.name for path in server.data.instances.iterdir())


async def test_a_script_trains_and_leaves_model_output_log_and_metrics(server: Server, training: Training) -> None:
    await server.put("data/train/a.csv", b"1,2\n")
    await server.put("data/train/deep/b.csv", b"3,4\n")
    created = await training.create(
        "good",
        SCRIPT,
        InputDataConfig=[CHANNEL],
        Environment={"GREETING": "hello"},
        AlgorithmSpecification={
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": r"loss=([0-9.]+)"}],
        },
        ProfilerConfig={"S3OutputPath": f"s3://{BUCKET}/", "DisableProfiler": False},
        DebugHookConfig={"S3OutputPath": f"s3://{BUCKET}/", "CollectionConfigurations": []},
    )
    job = await training.end("good")
    assert job.get("FailureReason") is None
    assert (
        created["TrainingJobArn"]
        == job["TrainingJobArn"]
        == f"arn:aws:sagemaker:{REGION}:000000000000:training-job/good"
    )
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert stages(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(each["StartTime"] <= each["EndTime"] for each in job["SecondaryStatusTransitions"])
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": f"s3://{BUCKET}/out/good/output/model.tar.gz"}
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [("loss", 0.333)]
    model = contents(await server.get("out/good/output/model.tar.gz"))
    assert model == {"model.json": b'{"files": ["a.csv", "deep"], "job": "good", "user": "hello"}'}
    assert contents(await server.get("out/good/output/output.tar.gz")) == {"report.txt": b"fine"}
    lines = await server.log(LOG_GROUP, "good/algo-1-")
    assert [line for line in lines if line.startswith("epoch=")] == [
        "epoch=0 loss=1.000",
        "epoch=1 loss=0.500",
        "epoch=2 loss=0.333",
    ]
    assert "scikit-learn" in lines[0]
    assert await left_behind(server) == []


async def test_an_empty_prefix_fails_in_words(server: Server, training: Training) -> None:
    await training.create("empty", SCRIPT, InputDataConfig=[CHANNEL])
    job = await training.end("empty")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        f'ClientError: Data download failed:No S3 objects found under S3 URL "s3://{BUCKET}/data/train" given in input '
        f"data source. Please ensure that the bucket exists in the selected region ({REGION}), that objects exist "
        f'under that S3 prefix, and that the role "{server.role}" has "s3:ListBucket" permissions on bucket "{BUCKET}".'
    )
    assert await left_behind(server) == []


async def test_a_script_that_raises_fails_with_its_words(server: Server, training: Training) -> None:
    await training.create("raises", "raise ValueError('the label column is missing')")
    job = await training.end("raises")
    assert stages(job)[-1] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:")
    assert "ValueError: the label column is missing" in job["FailureReason"]
    assert job["FailureReason"].endswith(", exit code: 1")
    assert await server.keys("out/raises") == []
    assert await left_behind(server) == []


async def test_a_script_killed_by_memory_fails_in_words(server: Server, training: Training) -> None:
    hungry = "blocks = []\nwhile True: blocks.append(bytearray(64 << 20))"
    resources = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
    await training.create("hungry", hungry, ResourceConfig=resources)
    job = await training.end("hungry")
    assert "memory" in job["FailureReason"]
    assert "exit code: 137" in job["FailureReason"]
    assert await left_behind(server) == []


async def test_an_unknown_image_fails_in_words(training: Training) -> None:
    image = {"TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1", "TrainingInputMode": "File"}
    await training.create("image", SCRIPT, AlgorithmSpecification=image)
    job = await training.end("image")
    # Without a container engine that is all; one asks the registry, which is nobody's.
    assert "e image 123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1" in job["FailureReason"]


async def running(server: Server, name: str, line: str) -> None:
    async with asyncio.timeout(120):
        while True:
            job = await server.settled(TRAINING_JOB, name, "InProgress", "Failed")
            assert job.phase == "InProgress", job.status
            if job.status["SecondaryStatus"] == "Training" and line in await server.log(LOG_GROUP, f"{name}/"):
                return
            await asyncio.sleep(0.02)


SLOW = """
import os, signal, sys, time
def stop(*_):
    with open("/opt/ml/model/partial", "w") as file:
        file.write("half")
    print("bye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


async def test_a_stopped_job_keeps_its_model(server: Server, training: Training) -> None:
    await training.create("slow", SLOW)
    await running(server, "slow", "ready")
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="slow")
    described = await server.call("sagemaker", "DescribeTrainingJob", TrainingJobName="slow")
    assert described["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = await training.end("slow")
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert stages(job) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert contents(await server.get("out/slow/output/model.tar.gz")) == {"partial": b"half"}
    assert "bye" in await server.log(LOG_GROUP, "slow/")
    assert await left_behind(server) == []


async def test_the_time_limit_stops_a_job(server: Server, training: Training) -> None:
    await training.create("limit", SLOW, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = await training.end("limit")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert await server.keys("out/limit") == ["out/limit/output/model.tar.gz"]


async def test_a_running_job_is_adopted_by_the_next_control_process(server: Server, training: Training) -> None:
    counting = (
        "import os, time\n"
        "number = 0\n"
        "while not os.path.exists('/opt/ml/go'):\n"
        "    print(number, flush=True); number += 1; time.sleep(0.02)\n"
        "print('last', flush=True)"
    )
    await training.create("adopted", counting)
    await running(server, "adopted", "3")
    await server.stop()
    await server.start()
    await running(server, "adopted", "30")
    (folder,) = server.data.instances.iterdir()
    (folder / "algo-1" / "ml" / "go").touch()
    job = await training.end("adopted")
    assert job["TrainingJobStatus"] == "Completed"
    numbers = [line for line in await server.log(LOG_GROUP, "adopted/") if line.isdigit()]
    assert numbers == [str(number) for number in range(len(numbers))]
    assert await left_behind(server) == []


async def test_a_job_whose_processes_were_killed_fails_in_words(server: Server, training: Training) -> None:
    await training.create("lost", SLOW)
    await running(server, "lost", "ready")
    found = await server.settled(TRAINING_JOB, "lost", "InProgress")
    await server.stop()
    os.kill(found.state["handles"]["algo-1"]["pid"], signal.SIGKILL)
    await server.start()
    job = await training.end("lost")
    assert "vanished without an exit status" in job["FailureReason"]
    assert await left_behind(server) == []


async def test_an_isolated_job_reaches_nobody(server: Server, training: Training) -> None:
    script = (
        "import os, socket\n"
        "assert 'AWS_CONTAINER_CREDENTIALS_FULL_URI' not in os.environ\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except OSError as error: print('isolated', flush=True)\n"
    )
    await training.create("isolated", script, EnableNetworkIsolation=True)
    job = await training.end("isolated")
    assert job["TrainingJobStatus"] == "Completed", job
    assert "isolated" in await server.log(LOG_GROUP, "isolated/")


@pytest.fixture
def small_disk(server: Server) -> Iterator[None]:
    """One MiB for all instances."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", server.data.instances], check=True)
    yield
    subprocess.run(["umount", server.data.instances], check=True)


@pytest.mark.usefixtures("small_disk")
async def test_a_full_disk_fails_in_words(server: Server, training: Training) -> None:
    await server.put("data/train/big.bin", bytes(4 << 20))
    await training.create("full", SCRIPT, InputDataConfig=[CHANNEL])
    job = await training.end("full")
    assert "No space left on the disk" in job["FailureReason"]
    assert await left_behind(server) == []
