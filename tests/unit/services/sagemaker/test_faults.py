"""What can go wrong with a training job, one test each: it ends soon, in words, and leaves nothing."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, REGION, Server, Training, archive
from tests.unit.services.sagemaker.test_spot import EPOCHS, SPOT, lines, says, take_away
from tests.unit.services.sagemaker.test_training import CHANNEL, contents, left_behind, stages

from wildsage.core.errors import ApiError
from wildsage.core.jobs import JobSettings
from wildsage.kit.controller import Step
from wildsage.services.sagemaker.training.controller import TrainingController
from wildsage.store.resources import Resource

HANGS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("/opt/ml/model/model.txt", "w").write("so far")
print("hangs", flush=True)
while True:
    time.sleep(60)
"""
RUNNING = ("train", "stop", "save", "again", "wait")
MANY = """
import json, os, sys
with open("/opt/ml/input/config/hyperparameters.json") as file:
    given = json.load(file)
assert sum(name.startswith("p") for name in given) == 96
assert sum(name.startswith("SM_HP_P") for name in os.environ) == 96
assert sum(len(word) for word in sys.argv) > 200_000
assert json.loads(os.environ["SM_TRAINING_ENV"])["current_host"] == "algo-1"
"""


async def test_a_host_that_hangs_is_killed_and_its_model_kept(server: Server, training: Training) -> None:
    await server.stop()
    server.jobs = JobSettings(stop_grace=0.5)
    await server.start()
    await training.create("hangs", HANGS)
    await says(server, "hangs", "hangs")
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="hangs")
    job = await training.end("hangs")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert contents(await server.get("out/hangs/output/model.tar.gz")) == {"model.txt": b"so far"}
    assert await left_behind(server) == []


async def test_hyperparameters_longer_than_allowed(training: Training) -> None:
    for given, words in (
        ({"p": "x" * 2501}, "less than or equal to 2500"),
        ({"x" * 257: "p"}, "less than or equal to 256"),
        ({f"p{number}": "" for number in range(101)}, "less than or equal to 100"),
    ):
        with pytest.raises(ApiError, match=words) as caught:
            await training.create("long", "", HyperParameters=given)
        assert caught.value.code == "ValidationException"


async def test_as_many_hyperparameters_as_allowed(server: Server, training: Training) -> None:
    """Their variables would be longer than Linux has them: AWS's own toolkit fails of that."""
    uri = await server.put("many/sourcedir.tar.gz", archive({"train.py": MANY}))
    own = {
        "sagemaker_submit_directory": uri,
        "sagemaker_program": "train.py",
        "sagemaker_region": REGION,
        "sagemaker_job_name": "many",
    }
    given = {f"p{number}": "x" * 2500 for number in range(96)}
    await training.create("many", "", HyperParameters={**own, **given})
    job = await training.end("many")
    assert job["TrainingJobStatus"] == "Completed", job
    told = [line for line in await lines(server, "many") if "Too long for variables" in line]
    assert len(told) == 1
    assert "SM_HPS, SM_TRAINING_ENV, SM_USER_ARGS" in told[0]


async def test_requirements_that_cannot_be_installed(server: Server, training: Training) -> None:
    source = archive({"train.py": "", "requirements.txt": "no-such-distribution-here==1.0\n"})
    uri = await server.put("odd/requirements.tar.gz", source)
    await training.create(
        "unmet",
        "",
        HyperParameters={"sagemaker_submit_directory": uri, "sagemaker_program": "train.py"},
        Environment={"PIP_NO_INDEX": "1"},
    )
    reason = (await training.end("unmet"))["FailureReason"]
    assert reason.startswith("AlgorithmError: InstallRequirementsError")
    assert "no-such-distribution-here==1.0" in reason
    assert await left_behind(server) == []


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


async def role(server: Server, name: str, *statements: dict[str, Any]) -> str:
    """A role that may do what the statements say, and nothing else."""
    made = await server.call("iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        await server.call("iam", "PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=policy)
    arn: str = made["Role"]["Arn"]
    return arn


async def test_a_role_that_may_not_read(server: Server, training: Training) -> None:
    await training.create("unread", "", RoleArn=await role(server, "Nobody"))
    reason = (await training.end("unread"))["FailureReason"]
    assert reason.startswith("ClientError: ")
    assert "s3:GetObject" in reason


@pytest.mark.parametrize("mode", ["File", "FastFile", "Pipe"])
async def test_a_role_that_may_not_read_the_input(server: Server, training: Training, mode: str) -> None:
    await server.put("data/train/a.csv", b"1,2\n")
    source = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/unlisted*"}
    lists = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    for more, action in (((), "s3:ListBucket"), ((lists,), "s3:GetObject")):
        arn = await role(server, f"Lists{len(more)}", source, *more)
        name = f"unlisted-{len(more)}"
        await training.create(name, "", RoleArn=arn, InputDataConfig=[{**CHANNEL, "InputMode": mode}])
        reason = (await training.end(name))["FailureReason"]
        assert reason.startswith("ClientError: Data download failed:")
        assert action in reason
    assert await left_behind(server) == []


async def test_a_role_that_may_not_read_checkpoints(server: Server, training: Training) -> None:
    await server.put("saved/epoch-0", b"weights")
    source = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/unsaved*"}
    lists = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    for more, action in (((), "s3:ListBucket"), ((lists,), "s3:GetObject")):
        arn = await role(server, f"Saves{len(more)}", source, *more)
        name = f"unsaved-{len(more)}"
        await training.create(name, "", RoleArn=arn, CheckpointConfig=SPOT["CheckpointConfig"])
        reason = (await training.end(name))["FailureReason"]
        assert reason.startswith(f"ClientError: Checkpoints could not be downloaded from s3://{BUCKET}/saved")
        assert action in reason
    assert await server.get("saved/epoch-0") == b"weights"
    assert await left_behind(server) == []


async def test_a_role_that_may_not_write(server: Server, training: Training) -> None:
    reads = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    script = "open('/opt/ml/model/m', 'w').write('m')\nopen('/opt/ml/checkpoints/c', 'w').write('c')"
    arn = await role(server, "Reader", reads)
    await training.create("unwritten", script, RoleArn=arn)
    reason = (await training.end("unwritten"))["FailureReason"]
    assert reason.startswith("ClientError: Artifact upload failed:")
    assert "s3:PutObject" in reason
    await training.create("unsaved", script, RoleArn=arn, CheckpointConfig=SPOT["CheckpointConfig"])
    reason = (await training.end("unsaved"))["FailureReason"]
    assert reason.startswith(f"ClientError: Checkpoints could not be uploaded to s3://{BUCKET}/saved")
    assert await left_behind(server) == []


@pytest.mark.parametrize(
    "stage", ["prepare", "download", "feed", "launch", "train", "stop", "upload", "save", "again", "wait", "clean"]
)
async def test_a_stop_in_every_stage(
    server: Server, training: Training, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage is reached, then the job is stopped, then the stage goes on."""
    step = TrainingController.step
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def held(self: TrainingController, resource: Resource) -> Step:
        if resource.state.get("stage", "prepare") == stage and not reached.is_set():
            reached.set()
            await go_on.wait()
        return await step(self, resource)

    monkeypatch.setattr(TrainingController, "step", held)
    await server.put("data/train/a.csv", b"1,2\n")
    piped = {"InputDataConfig": [{**CHANNEL, "InputMode": "Pipe"}]} if stage == "feed" else {}
    await training.create("halted", EPOCHS if stage in RUNNING else "", **SPOT, **piped)
    if stage == "stop":
        await says(server, "halted", "training 0")
        await server.call("sagemaker", "StopTrainingJob", TrainingJobName="halted")
    if stage in ("save", "again", "wait"):
        await says(server, "halted", "training 0")
        await take_away(server, "halted", CapacityAfterSeconds=1000)
    async with asyncio.timeout(120):
        await reached.wait()
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="halted")
    go_on.set()
    job = await training.end("halted")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == (
        ("Completed", "Completed") if stage in ("upload", "clean") else ("Stopped", "Stopped")
    )
    assert await left_behind(server) == []


async def test_every_step_may_be_lost(server: Server, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control is killed after each step, before what it found is kept: it is all done once more, to the same end."""
    step = TrainingController.step
    done: list[str] = []

    async def twice(self: TrainingController, resource: Resource) -> Step:
        first = await step(self, copy.deepcopy(resource))
        second = await step(self, resource)
        done.append(resource.state.get("stage", "prepare"))
        assert (second.phase, second.state.get("stage")) == (first.phase, first.state.get("stage"))
        return second

    monkeypatch.setattr(TrainingController, "step", twice)
    await training.create("twice", EPOCHS, **SPOT)
    for epoch in range(2):
        await says(server, "twice", f"training {epoch}")
        await take_away(server, "twice")
    job = await training.end("twice")
    assert job["TrainingJobStatus"] == "Completed", job
    assert {"prepare", "download", "launch", "train", "save", "again", "wait", "upload", "clean"} <= set(done)
    told = [line for line in await lines(server, "twice") if line.startswith(("begins", "saved"))]
    assert [line.split()[-1] for line in told if line.startswith("saved")] == ["0", "1"]
    assert len(told) == 5
    assert stages(job).count("Interrupted") == 2
    assert await server.keys("saved/") == ["saved/epoch-1"]
    assert await left_behind(server) == []


async def test_a_role_that_goes_away(server: Server, training: Training) -> None:
    arn = await role(server, "Gone", {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"})
    await training.create("orphan", EPOCHS, RoleArn=arn)
    await says(server, "orphan", "training 0")
    await server.call("iam", "DeleteRolePolicy", RoleName="Gone", PolicyName="p")
    await server.call("iam", "DeleteRole", RoleName="Gone")
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="orphan")
    reason = (await training.end("orphan"))["FailureReason"]
    assert reason.startswith(f"ClientError: Could not assume role {arn}")
    assert await left_behind(server) == []
