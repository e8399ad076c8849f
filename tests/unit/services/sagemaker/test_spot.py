"""Managed spot training and checkpoints, with real containers that are really interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import ACCOUNT, BUCKET, REGION, Server, Training
from tests.unit.services.sagemaker.test_training import left_behind, stages

from wildsage.core.errors import ApiError
from wildsage.core.jobs import Interruptions, JobSettings
from wildsage.services.sagemaker.training.interrupt import interrupt
from wildsage.services.sagemaker.training.kind import LOG_GROUP, TRAINING_JOB

SPOT: dict[str, Any] = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
    "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/saved"},
}
# One epoch an attempt, until there are three; each leaves a file, and the one before goes. Waits for its end.
EPOCHS = """
import glob, os, signal, sys, time
found = sorted(glob.glob("/opt/ml/checkpoints/epoch-*"))
epoch = int(found[-1].rpartition("-")[2]) + 1 if found else 0
print(f"begins with epoch {epoch} on {os.environ['SM_CURRENT_HOST']}", flush=True)
if epoch == 2:
    open("/opt/ml/model/model.txt", "w").write(f"epoch {epoch}")
    sys.exit()
def save(*_):
    open(f"/opt/ml/checkpoints/epoch-{epoch}", "w").write("weights")
    for path in found:
        os.unlink(path)
    print(f"saved epoch {epoch}", flush=True)
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
print(f"training {epoch}", flush=True)
while True:
    time.sleep(60)
"""
SAVES = """
import os, time
os.makedirs("{path}/deep", exist_ok=True)
open("{path}/deep/a", "w").write("a")
open("{path}/b", "w").write("b")
os.symlink("/etc/hostname", "{path}/link")
print(sorted(os.listdir("{path}")), flush=True)
"""


async def until(found: Callable[[], Any]) -> Any:
    """What ``found`` gives once it is true."""
    async with asyncio.timeout(120):
        while True:
            value = await found()
            if value:
                return value
            await asyncio.sleep(0.05)


async def lines(server: Server, name: str) -> list[str]:
    return await server.log(LOG_GROUP, f"{name}/algo-1-")


async def says(server: Server, name: str, line: str) -> None:
    async def there() -> bool:
        return line in await lines(server, name)

    await until(there)


async def take_away(server: Server, name: str, **params: Any) -> None:
    await interrupt(server.control.platform, ACCOUNT, REGION, {"TrainingJobName": name, **params})


async def test_an_interrupted_job_goes_on_where_it_was(server: Server, training: Training) -> None:
    await training.create("spot", EPOCHS, **SPOT)
    await says(server, "spot", "training 0")
    await take_away(server, "spot")
    await says(server, "spot", "training 1")
    assert await server.keys("saved/") == ["saved/epoch-0"]
    await take_away(server, "spot", CapacityAfterSeconds=1)
    job = await training.end("spot")
    assert job.get("FailureReason") is None
    assert stages(job) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert await server.keys("saved/") == ["saved/epoch-1"], "what a container deletes goes in S3, too"
    told = [line for line in await lines(server, "spot") if line.startswith(("begins", "saved"))]
    assert told == [
        "begins with epoch 0 on algo-1",
        "saved epoch 0",
        "begins with epoch 1 on algo-1",
        "saved epoch 1",
        "begins with epoch 2 on algo-1",
    ]
    assert 1 <= job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]
    assert job["TrainingEndTime"] - job["TrainingStartTime"] >= 1, "the wait for instances"
    assert await left_behind(server) == []


async def test_a_schedule_interrupts_by_itself(server: Server, training: Training) -> None:
    await server.stop()
    server.jobs = JobSettings(interruptions=Interruptions("7", 0.5))
    await server.start()
    await training.create("drawn", EPOCHS, **SPOT)
    job = await training.end("drawn")
    assert job["TrainingJobStatus"] == "Completed", job
    assert stages(job).count("Interrupted") >= 2
    assert await server.keys("saved/")


async def test_nobody_waits_longer_than_asked(server: Server, training: Training) -> None:
    stopping = {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 5}
    await training.create("late", EPOCHS, **{**SPOT, "StoppingCondition": stopping})
    await says(server, "late", "training 0")
    await take_away(server, "late", CapacityAfterSeconds=1000)
    job = await training.end("late")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert stages(job)[-3:] == ["Interrupted", "Stopping", "MaxWaitTimeExceeded"]
    assert "ModelArtifacts" not in job
    assert await left_behind(server) == []


async def test_a_job_that_waits_for_instances_can_be_stopped(server: Server, training: Training) -> None:
    await training.create("idle", EPOCHS, **SPOT)
    await says(server, "idle", "training 0")
    await take_away(server, "idle", CapacityAfterSeconds=1000)
    key = TRAINING_JOB.key(ACCOUNT, REGION, "idle")

    async def waits() -> bool:
        found = await server.control.platform.resources.get(key)
        return found is not None and found.state.get("stage") == "wait"

    await until(waits)
    with pytest.raises(ApiError, match="interrupted already"):
        await take_away(server, "idle")
    await server.stop()
    await server.start()  # a new control process goes on waiting
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="idle")
    job = await training.end("idle")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert await server.keys("saved/") == ["saved/epoch-0"]


async def test_only_spot_jobs_that_run_are_interrupted(server: Server, training: Training) -> None:
    await training.create("plain", "print('fine')")
    with pytest.raises(ApiError, match="no managed spot training"):
        await take_away(server, "plain")
    with pytest.raises(ApiError, match="not found"):
        await take_away(server, "absent")
    await training.create("over", "print('fine')", **SPOT)
    assert (await training.end("over"))["TrainingJobStatus"] == "Completed"
    with pytest.raises(ApiError, match="nothing to interrupt"):
        await take_away(server, "over")
    with pytest.raises(ApiError, match="CapacityAfterSeconds"):
        await take_away(server, "over", CapacityAfterSeconds=-1)


@pytest.mark.parametrize("path", ["/opt/ml/checkpoints", "/opt/ml/saved", "/mnt/checkpoints"])
async def test_checkpoints_without_spot(server: Server, training: Training, path: str) -> None:
    await server.put("before/old", b"old")
    await server.put("before-not", b"its neighbour")
    config = {"S3Uri": f"s3://{BUCKET}/before/", "LocalPath": path}
    await training.create("kept", SAVES.format(path=path), CheckpointConfig=config)
    job = await training.end("kept")
    assert job["TrainingJobStatus"] == "Completed", job
    assert [each for each in await lines(server, "kept") if each.startswith("[")][-1:] == [
        "['b', 'deep', 'link', 'old']"
    ]
    assert await server.keys("before/") == ["before/b", "before/deep/a", "before/old"]
    assert await server.get("before/deep/a") == b"a"


async def test_checkpoints_go_up_while_the_job_runs(server: Server, training: Training) -> None:
    script = "import time\nopen('/opt/ml/checkpoints/first', 'w').write('1')\ntime.sleep(600)"
    await training.create("long", script, CheckpointConfig=SPOT["CheckpointConfig"])

    async def there() -> bool:
        return await server.keys("saved/") == ["saved/first"]

    await until(there)
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="long")
    assert (await training.end("long"))["TrainingJobStatus"] == "Stopped"


async def test_a_folder_that_went_away_deletes_nothing(server: Server, training: Training) -> None:
    await server.put("saved/old", b"old")
    script = "import shutil, os\nshutil.rmtree('/opt/ml/checkpoints')\nos.symlink('/etc', '/opt/ml/checkpoints')"
    await training.create("gone", script, CheckpointConfig=SPOT["CheckpointConfig"])
    assert (await training.end("gone"))["TrainingJobStatus"] == "Completed"
    assert await server.keys("saved/") == ["saved/old"]


async def test_a_bucket_that_is_not_there_fails_in_words(server: Server, training: Training) -> None:
    await training.create("nowhere", "print()", CheckpointConfig={"S3Uri": "s3://no-such-bucket-here/saved"})
    job = await training.end("nowhere")
    assert job["FailureReason"].startswith("ClientError: Checkpoints could not be downloaded from s3://no-such-bucket")


async def test_an_internal_error_is_retried(server: Server, training: Training) -> None:
    retry = {"RetryStrategy": {"MaximumRetryAttempts": 1}, "CheckpointConfig": SPOT["CheckpointConfig"]}
    await training.create("lost", EPOCHS, **retry)
    for attempt in range(2):
        await until(partial(begun, server, "lost", attempt))
        await kill_keeper(server, "lost")
    job = await training.end("lost")
    assert job["FailureReason"].startswith("InternalServerError: The training container vanished")
    assert stages(job).count("Starting") == 2
    assert any(
        "The job is tried again (RetryStrategy). Attempt 1 failed: I" in each for each in await lines(server, "lost")
    )
    assert await left_behind(server) == []


async def begun(server: Server, name: str, attempt: int) -> bool:
    return (await lines(server, name)).count("training 0") == attempt + 1


async def kill_keeper(server: Server, name: str) -> None:
    """As if the machine had lost the container."""
    found = await server.control.platform.resources.get(TRAINING_JOB.key(ACCOUNT, REGION, name))
    assert found is not None
    os.kill(json.loads(json.dumps(found.state["handles"]["algo-1"]))["pid"], signal.SIGKILL)
