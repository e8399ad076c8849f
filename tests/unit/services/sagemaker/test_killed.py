"""``kill -9`` of control in every stage of a training job: the next process brings it to the same end."""

from __future__ import annotations

import asyncio
import signal
import sys

from tests.conftest import ROOT, clean_environment
from tests.unit.services.sagemaker.conftest import ACCOUNT, REGION, Server, Training
from tests.unit.services.sagemaker.dying import SETTINGS
from tests.unit.services.sagemaker.test_faults import HANGS
from tests.unit.services.sagemaker.test_spot import EPOCHS, SPOT, lines, says, until
from tests.unit.services.sagemaker.test_training import CHANNEL, left_behind, stages

from wildsage.core.jobs import JobSettings
from wildsage.services.sagemaker.training.kind import TRAINING_JOB

PIPED = [{**CHANNEL, "InputMode": "Pipe"}]
SPOT_STAGES = ["prepare", "download", "feed", "launch", "train", "save", "again", "wait", "upload", "clean"]


async def dies_in(server: Server, stage: str) -> None:
    """A process of control that is killed there; returns once it is dead."""
    command = (sys.executable, "-m", "tests.unit.services.sagemaker.dying", str(server.data.root), stage)
    path = f"{ROOT / 'src'}:{ROOT}"
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**clean_environment(), "PYTHONPATH": path})
    async with asyncio.timeout(120):
        assert await process.wait() == -signal.SIGKILL


async def in_stage(server: Server, name: str, stage: str) -> None:
    async def there() -> bool:
        found = await server.control.platform.resources.get(TRAINING_JOB.key(ACCOUNT, REGION, name))
        return found is not None and found.state.get("stage") == stage

    await until(there)


async def test_a_spot_job_whose_control_is_killed_in_every_stage(server: Server, training: Training) -> None:
    await server.put("data/train/a.csv", b"1,2\n")
    await server.rest()
    await training.create("killed", EPOCHS, InputDataConfig=PIPED, **SPOT)
    await server.stop()
    for stage in SPOT_STAGES:
        await dies_in(server, stage)
    server.jobs = SETTINGS
    await server.start()
    job = await training.end("killed")
    assert job["TrainingJobStatus"] == "Completed", job
    assert stages(job).count("Interrupted") >= 2
    assert stages(job)[-3:] == ["Training", "Uploading", "Completed"]
    told = [line.split()[-1] for line in await lines(server, "killed") if line.startswith("saved")]
    assert told == ["0", "1"], "each epoch was trained to its end once"
    assert await server.keys("saved/") == ["saved/epoch-1"]
    assert await server.keys("out/killed/") == ["out/killed/output/model.tar.gz"]
    assert await left_behind(server) == []


async def test_control_is_killed_while_it_stops_a_job(server: Server, training: Training) -> None:
    await training.create("stopped", HANGS)
    await says(server, "stopped", "hangs")
    await server.rest()
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="stopped")
    await server.stop()
    await dies_in(server, "stop")
    server.jobs = JobSettings(stop_grace=0.5)
    await server.start()
    job = await training.end("stopped")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert await server.keys("out/stopped/") == ["out/stopped/output/model.tar.gz"]
    assert await left_behind(server) == []


async def test_control_is_killed_and_jobs_are_stopped_while_they_wait_for_their_turn(
    server: Server, training: Training
) -> None:
    await server.stop()
    server.jobs = SETTINGS
    await server.start()
    for name, stage in (("runs", "train"), ("ready", "turn"), ("queued", "queue")):
        await training.create(name, HANGS)
        await in_stage(server, name, stage)
    await server.stop()
    for stage in ("queue", "turn"):
        await dies_in(server, stage)
    await server.start()
    for name, stage in (("queued", "queue"), ("ready", "turn")):
        await in_stage(server, name, stage)
        await server.call("sagemaker", "StopTrainingJob", TrainingJobName=name)
        job = await training.end(name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
        assert await server.keys(f"out/{name}/") == []
    assert "hangs" in await lines(server, "runs")
