"""Processing jobs on the real sandbox while control ends, processes are killed and stops are asked for."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, SKLEARN, Server
from tests.unit.services.sagemaker.test_faults import role

from wildsage.images.choice import Preference
from wildsage.images.environments import Environments
from wildsage.images.seeking import Seeker
from wildsage.runtimes.containers.engine import Engine
from wildsage.services.sagemaker.instance.images import Images
from wildsage.services.sagemaker.instance.jobs import TERMINAL
from wildsage.services.sagemaker.processing.controller import ProcessingController
from wildsage.services.sagemaker.processing.kind import LOG_GROUP, PROCESSING_JOB
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

CODE = "/opt/ml/processing/code"
OUT = "/opt/ml/processing/out"
WAITING = f"""
import os, time
number = 0
while not os.path.exists("{OUT}/go"):
    open(f"{OUT}/{{number % 7}}", "w").write(str(number))
    print(number, flush=True); number += 1; time.sleep(0.02)
print("last", flush=True)
"""
DONE = f"open('{OUT}/x', 'w').write('x')"
STOPPED = f"""
import signal, sys, time
def stop(*_):
    open("{OUT}/half", "w").write("half")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True: time.sleep(0.05)
"""


async def create(server: Server, name: str, script: str, mode: str = "EndOfJob", **changes: Any) -> None:
    code = await server.put(f"{name}/code/process.py", script.encode())
    source = {"S3Uri": code, "LocalPath": CODE, "S3DataType": "S3Prefix"}
    target = {"S3Uri": f"s3://{BUCKET}/{name}/out", "LocalPath": OUT, "S3UploadMode": mode}
    request: dict[str, Any] = {
        "ProcessingJobName": name,
        "RoleArn": server.role,
        "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", f"{CODE}/process.py"]},
        "ProcessingInputs": [{"InputName": "code", "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": target}]},
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
        **changes,
    }
    await server.call("sagemaker", "CreateProcessingJob", **request)


async def ended(server: Server, name: str) -> Document:
    """Its description once it is over; nothing of it is left then."""
    await server.settled(PROCESSING_JOB, name, *TERMINAL)
    assert list(server.data.instances.iterdir()) == []
    return await server.call("sagemaker", "DescribeProcessingJob", ProcessingJobName=name)


async def said(server: Server, name: str, line: str) -> Resource:
    """The job once its log has a line."""
    async with asyncio.timeout(120):
        while line not in await server.log(LOG_GROUP, f"{name}/"):
            await server.control.platform.clock.sleep(0.05)
    return await server.settled(PROCESSING_JOB, name, "InProgress")


def ml(server: Server) -> Path:
    (folder,) = server.data.instances.iterdir()
    return folder / "algo-1" / "ml"


@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
async def test_a_running_job_is_adopted_by_the_next_control_process(server: Server, mode: str) -> None:
    await create(server, "adopted", WAITING, mode)
    await said(server, "adopted", "3")
    await server.stop()
    await server.start()
    await said(server, "adopted", "30")
    (ml(server) / "processing" / "out" / "go").touch()
    job = await ended(server, "adopted")
    assert job["ProcessingJobStatus"] == "Completed", job
    numbers = [line for line in await server.log(LOG_GROUP, "adopted/") if line.isdigit()]
    assert numbers == [str(number) for number in range(len(numbers))]
    kept = {key.rpartition("/")[2]: await server.get(key) for key in await server.keys("adopted/out/")}
    last = {str(number % 7): str(number).encode() for number in range(len(numbers))}
    assert kept == {**last, "go": b""}


async def test_a_job_whose_processes_were_killed_fails_in_words(server: Server) -> None:
    await create(server, "lost", WAITING)
    found = await said(server, "lost", "3")
    await server.stop()
    os.kill(found.state["handles"]["algo-1"]["pid"], signal.SIGKILL)
    await server.start()
    job = await ended(server, "lost")
    assert "The processing container vanished without an exit status" in job["FailureReason"]


async def test_a_stopped_job_has_its_grace_and_keeps_its_output(server: Server) -> None:
    await create(server, "stopped", STOPPED)
    await said(server, "stopped", "ready")
    await server.call("sagemaker", "StopProcessingJob", ProcessingJobName="stopped")
    job = await ended(server, "stopped")
    assert job["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert await server.get("stopped/out/half") == b"half"


LISTS = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
READS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


async def test_a_role_that_may_not_read_the_input(server: Server) -> None:
    for number, (granted, denied) in enumerate((((), "s3:ListBucket"), ((LISTS,), "s3:GetObject"))):
        arn = await role(server, f"Reader{number}", *granted)
        await create(server, f"unread-{number}", DONE, RoleArn=arn)
        job = await ended(server, f"unread-{number}")
        assert job["ProcessingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("ClientError: Data download failed:")
        assert denied in job["FailureReason"]


@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
async def test_a_role_that_may_not_write_the_output(server: Server, mode: str) -> None:
    arn = await role(server, "Reader", LISTS, READS)
    await create(server, "unwritten", f"{DONE}\nimport time; time.sleep(2.5)", mode, RoleArn=arn)
    job = await ended(server, "unwritten")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(f"ClientError: Failed to upload output to s3://{BUCKET}/unwritten/out")
    assert "s3:PutObject" in job["FailureReason"]
    assert await server.keys("unwritten/out/") == []


async def reaching(server: Server, stage: str) -> None:
    """Takes the steps of the only job, one by one, until that stage is next."""
    platform = server.control.platform
    images = Images(
        Environments(server.data.root / "environments", os.environ), {}, Seeker(Engine({}), Preference.NATIVE)
    )
    controller = ProcessingController(platform, platform.runtimes["sandbox"], images, server.control.attendants)
    while True:
        now = platform.clock.now()
        (job,) = await platform.resources.claim([PROCESSING_JOB.name], now, now + 30, 1)
        if job.state.get("stage", "") == stage:
            await platform.resources.apply(job, job, now)
            return
        step = await controller.step(copy.deepcopy(job))
        found = replace(job, phase=step.phase, status=step.status, state=step.state, due=now)
        await platform.resources.apply(job, found, now)


@pytest.mark.parametrize("stage", ["", "download", "launch", "run", "upload", "clean"])
async def test_a_stop_in_any_stage_ends_the_job(server: Server, stage: str) -> None:
    await server.rest()
    await create(server, "early", DONE if stage in ("upload", "clean") else STOPPED)
    await reaching(server, stage)
    await server.call("sagemaker", "StopProcessingJob", ProcessingJobName="early")
    await server.stop()
    await server.start()
    job = await ended(server, "early")
    assert job["ProcessingJobStatus"] == ("Completed" if stage in ("upload", "clean") else "Stopped"), job


@pytest.mark.parametrize("stage", ["download", "launch", "run", "upload", "clean"])
async def test_the_next_control_process_goes_on_from_any_stage(server: Server, stage: str) -> None:
    await server.rest()
    await create(server, "again", DONE)
    await reaching(server, stage)
    await server.stop()
    await server.start()
    job = await ended(server, "again")
    assert job["ProcessingJobStatus"] == "Completed", job
    assert await server.get("again/out/x") == b"x"


async def test_a_failure_of_one_instance_ends_the_others(server: Server) -> None:
    script = "import os, sys, time\nif os.uname().nodename == 'algo-2': sys.exit(3)\ntime.sleep(600)"
    cluster = {"InstanceType": "ml.t3.medium", "InstanceCount": 2, "VolumeSizeInGB": 1}
    await create(server, "peers", script, ProcessingResources={"ClusterConfig": cluster})
    job = await ended(server, "peers")
    assert job["FailureReason"].endswith("exit code: 3")


async def test_out_of_memory_is_said(server: Server) -> None:
    script = "data = []\nwhile True: data.append(bytearray(1 << 26)); data[-1][::4096] = b'x' * (1 << 14)"
    cluster = {"InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
    await create(server, "big", script, ProcessingResources={"ClusterConfig": cluster})
    job = await ended(server, "big")
    assert "The processing container ran out of memory (ml.t3.medium)" in job["FailureReason"]
