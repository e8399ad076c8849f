"""Training jobs of several instances on the real sandbox."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, SKLEARN, Server, Training
from tests.unit.services.sagemaker.test_training import contents, left_behind, stages

from wildsage.core.jobs import JobSettings
from wildsage.runtimes.base import Phase
from wildsage.runtimes.sandbox import runtime
from wildsage.services.sagemaker.training import rules
from wildsage.services.sagemaker.training.kind import LOG_GROUP, TRAINING_JOB
from wildsage.store.resources import Resource


def of(count: int) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 30}


# Every host writes a file, tells algo-1 that it is there, and prints what it knows of itself.
MEET = """
import json, os, socket, time
me, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
with open(f"/opt/ml/model/{me}.txt", "w") as file:
    file.write(os.environ["SM_CURRENT_INSTANCE_TYPE"])
for folder in ("model", "output/data"):
    with open(f"/opt/ml/{folder}/same.txt", "w") as file:
        file.write(me)
os.makedirs(f"/opt/ml/model/deep/{me}")
if me == "algo-1":
    with socket.create_server((me, 7777)) as listener:
        print("came", sorted(listener.accept()[0].makefile().read() for _ in hosts[1:]))
else:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("algo-1", 7777), 5).sendall(me.encode())
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)
print(f"value={hosts.index(me)};")
print(me, os.environ["SM_NETWORK_INTERFACE_NAME"], [name for _, name in socket.if_nameindex()])
"""


async def printed(server: Server, job: str, host: str) -> list[str]:
    return await server.log(LOG_GROUP, f"{job}/{host}-")


async def every_one(server: Server, job: str, count: int, line: str) -> Resource:
    """The job, once each of its instances has printed ``line``."""
    async with asyncio.timeout(120):
        while True:
            found = await server.settled(TRAINING_JOB, job, "InProgress", "Failed")
            assert found.phase == "InProgress", found.status
            logs = [await printed(server, job, f"algo-{number + 1}") for number in range(count)]
            if "handles" in found.state and all(line in log for log in logs):
                return found
            await asyncio.sleep(0.02)


async def test_instances_meet_and_what_they_leave_becomes_one(server: Server, training: Training) -> None:
    metric = {"Name": "value", "Regex": "value=([0-9]+);"}
    algorithm = {"TrainingImage": SKLEARN, "TrainingInputMode": "File", "MetricDefinitions": [metric]}
    await training.create("meet", MEET, ResourceConfig=of(3), AlgorithmSpecification=algorithm)
    job = await training.end("meet")
    assert job.get("FailureReason") is None
    assert "came ['algo-2', 'algo-3']" in await printed(server, "meet", "algo-1")
    for host in ("algo-1", "algo-2", "algo-3"):
        log = await printed(server, "meet", host)
        assert any(line.startswith(f"{host} eth0 ['lo', 'eth0'") for line in log), log
    streams = await server.call("logs", "DescribeLogStreams", logGroupName=LOG_GROUP, logStreamNamePrefix="meet/")
    created = int(job["CreationTime"].timestamp())
    names = [stream["logStreamName"] for stream in streams["logStreams"]]
    assert names == [f"meet/algo-{number}-{created}" for number in (1, 2, 3)]
    assert contents(await server.get("out/meet/output/model.tar.gz")) == {
        **{f"algo-{number}.txt": b"ml.m5.large" for number in (1, 2, 3)},
        "same.txt": b"algo-1",
    }
    assert contents(await server.get("out/meet/output/output.tar.gz")) == {"same.txt": b"algo-1"}
    assert any("/opt/ml/model/same.txt" in line for line in await printed(server, "meet", "algo-1"))
    assert [value["MetricName"] for value in job["FinalMetricDataList"]] == ["value"]
    assert await left_behind(server) == []


async def test_instance_groups(server: Server, training: Training) -> None:
    groups = [
        {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        {"InstanceGroupName": "big", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
    ]
    script = "print(open('/opt/ml/input/config/resourceconfig.json').read())"
    await training.create("groups", script, ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})
    job = await training.end("groups")
    assert job.get("FailureReason") is None
    assert job["ResourceConfig"]["InstanceGroups"] == groups
    log = await printed(server, "groups", "algo-3")
    config = next(json.loads(line) for line in log if line.startswith('{"current_host"'))
    assert config == {
        "current_host": "algo-3",
        "current_instance_type": "ml.c5.xlarge",
        "current_group_name": "big",
        "hosts": ["algo-1", "algo-2", "algo-3"],
        "instance_groups": [
            {"instance_group_name": "small", "instance_type": "ml.m5.large", "hosts": ["algo-1"]},
            {"instance_group_name": "big", "instance_type": "ml.c5.xlarge", "hosts": ["algo-2", "algo-3"]},
        ],
        "network_interface_name": "eth0",
    }


async def test_the_failure_of_one_ends_the_job(server: Server, training: Training) -> None:
    script = """
import os, signal, sys, time
def stop(*_):
    print("told to stop", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while not os.path.exists("/opt/ml/fail"):
    time.sleep(0.02)
raise ValueError("this one is broken")
"""
    await training.create("one", script, ResourceConfig=of(3))
    await every_one(server, "one", 3, "ready")
    (folder,) = server.data.instances.iterdir()
    (folder / "algo-2" / "ml" / "fail").touch()
    job = await training.end("one")
    assert job["TrainingJobStatus"] == "Failed"
    assert "ValueError: this one is broken" in job["FailureReason"]
    assert stages(job) == ["Starting", "Downloading", "Training", "Uploading", "Failed"]
    for host in ("algo-1", "algo-3"):
        assert "told to stop" in await printed(server, "one", host)
    assert await left_behind(server) == []


@pytest.mark.parametrize("victim", ["instance", "network"])
async def test_one_that_is_killed_ends_the_job(server: Server, training: Training, victim: str) -> None:
    await training.create("killed", "print('ready', flush=True)\nimport time; time.sleep(600)", ResourceConfig=of(2))
    found = await every_one(server, "killed", 2, "ready")
    os.kill(found.state["handles"]["algo-2" if victim == "instance" else "network"]["pid"], signal.SIGKILL)
    job = await training.end("killed")
    assert "vanished without an exit status" in job["FailureReason"]
    assert await left_behind(server) == []
    sandbox = server.control.platform.runtimes["sandbox"]
    for handle in found.state["handles"].values():
        assert (await sandbox.inspect(handle)).phase is not Phase.RUNNING


STOPPED = """
import os, signal, sys, time
def stop(*_):
    with open(f"/opt/ml/model/{os.environ['SM_CURRENT_HOST']}", "w") as file:
        file.write("half")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


async def test_a_stop_reaches_all(server: Server, training: Training) -> None:
    await training.create("stopped", STOPPED, ResourceConfig=of(2))
    await every_one(server, "stopped", 2, "ready")
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="stopped")
    job = await training.end("stopped")
    assert job["TrainingJobStatus"] == "Stopped"
    assert sorted(contents(await server.get("out/stopped/output/model.tar.gz"))) == ["algo-1", "algo-2"]
    assert await left_behind(server) == []


async def test_the_time_limit_reaches_all(server: Server, training: Training) -> None:
    await training.create("limit", STOPPED, ResourceConfig=of(2), StoppingCondition={"MaxRuntimeInSeconds": 2})
    job = await training.end("limit")
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert await left_behind(server) == []


HANGS = """
import os, signal, sys, time
me = os.environ["SM_CURRENT_HOST"]
def stop(*_):
    if me == "algo-1":
        sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open(f"/opt/ml/model/{me}", "w").write("so far")
print("ready", flush=True)
while not os.path.exists("/opt/ml/fail"):
    time.sleep(0.02)
raise ValueError("this one is broken")
"""


@pytest.mark.parametrize("frozen", [False, True], ids=["ignores SIGTERM", "frozen"])
async def test_a_host_that_hangs_does_not_keep_a_stop_waiting(
    server: Server, training: Training, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen: neither its script nor its keeper does anything any more."""
    monkeypatch.setattr(runtime, "_KILL_TAKES_AT_MOST", 1.0)
    await server.stop()
    server.jobs = JobSettings(stop_grace=0.5)
    await server.start()
    await training.create("hangs", HANGS, ResourceConfig=of(2))
    found = await every_one(server, "hangs", 2, "ready")
    if frozen:
        freeze(found.state["handles"]["algo-2"]["pid"])
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="hangs")
    job = await training.end("hangs")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert sorted(contents(await server.get("out/hangs/output/model.tar.gz"))) == ["algo-1", "algo-2"]
    assert await left_behind(server) == []


async def test_a_host_that_hangs_does_not_outlive_the_failure_of_another(
    server: Server, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PEER_GRACE", 0.5)
    monkeypatch.setattr(runtime, "_KILL_TAKES_AT_MOST", 1.0)
    await training.create("broken", HANGS, ResourceConfig=of(2))
    found = await every_one(server, "broken", 2, "ready")
    freeze(found.state["handles"]["algo-2"]["pid"])
    (folder,) = server.data.instances.iterdir()
    (folder / "algo-1" / "ml" / "fail").touch()
    job = await training.end("broken")
    assert job["TrainingJobStatus"] == "Failed"
    assert "ValueError: this one is broken" in job["FailureReason"]
    assert await left_behind(server) == []


async def test_the_time_limit_ends_a_host_that_hangs(server: Server, training: Training) -> None:
    await server.stop()
    server.jobs = JobSettings(stop_grace=0.5)
    await server.start()
    await training.create("endless", HANGS, ResourceConfig=of(2), StoppingCondition={"MaxRuntimeInSeconds": 3})
    job = await training.end("endless")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert await left_behind(server) == []


def freeze(keeper: int) -> None:
    """SIGSTOP to a container's first process and to all below it."""
    below = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    for pid in (*map(int, below), keeper):
        os.kill(pid, signal.SIGSTOP)


async def test_all_are_adopted_by_the_next_control_process(server: Server, training: Training) -> None:
    script = """
import os, socket, time
me = os.environ["SM_CURRENT_HOST"]
print("ready", flush=True)
while not os.path.exists("/opt/ml/go"):
    time.sleep(0.02)
if me == "algo-1":
    with socket.create_server((me, 7777)) as listener:
        print(listener.accept()[0].makefile().read())
else:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("algo-1", 7777), 5).sendall(b"still there")
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)
"""
    await training.create("adopted", script, ResourceConfig=of(2))
    before = await every_one(server, "adopted", 2, "ready")
    await server.stop()
    await server.start()
    after = await every_one(server, "adopted", 2, "ready")
    assert after.state["handles"] == before.state["handles"]
    (folder,) = server.data.instances.iterdir()
    for host in ("algo-1", "algo-2"):
        (folder / host / "ml" / "go").touch()
    job = await training.end("adopted")
    assert job.get("FailureReason") is None
    assert (await printed(server, "adopted", "algo-1")).count("ready") == 1
    assert "still there" in await printed(server, "adopted", "algo-1")
    assert await left_behind(server) == []


async def test_one_that_cannot_be_launched_leaves_none_behind(server: Server, training: Training) -> None:
    algorithm = {"TrainingImage": SKLEARN, "TrainingInputMode": "File", "ContainerEntrypoint": ["/not/there"]}
    await training.create("broken", MEET, ResourceConfig=of(2), AlgorithmSpecification=algorithm)
    job = await training.end("broken")
    assert "/not/there cannot be run in the container" in job["FailureReason"]
    assert await left_behind(server) == []


async def test_isolated_instances_reach_one_another_alone(server: Server, training: Training) -> None:
    script = MEET + (
        "for address in ('192.0.2.77', '198.51.100.7'):\n"
        "    try: socket.create_connection((address, 80), 2); print('reached', address)\n"
        "    except OSError: print('out of reach', address)\n"
    )
    await training.create("alone", script, ResourceConfig=of(2), EnableNetworkIsolation=True)
    job = await training.end("alone")
    assert job.get("FailureReason") is None
    assert "came ['algo-2']" in await printed(server, "alone", "algo-1")
    assert "out of reach 192.0.2.77" in await printed(server, "alone", "algo-2")


async def test_encrypted_instances_meet(server: Server, training: Training) -> None:
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("traffic is encrypted by way of /dev/net/tun")
    await training.create("sealed", MEET, ResourceConfig=of(2), EnableInterContainerTrafficEncryption=True)
    job = await training.end("sealed")
    assert job.get("FailureReason") is None
    assert job["EnableInterContainerTrafficEncryption"] is True
    assert "came ['algo-2']" in await printed(server, "sealed", "algo-1")
    assert BUCKET in job["ModelArtifacts"]["S3ModelArtifacts"]
