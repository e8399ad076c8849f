"""What jobs tell CloudWatch: values found in their logs, and what their instances used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import SKLEARN, Server, archive

from wildsage.kit.metrics import PUBLISHED
from wildsage.services.sagemaker.instance.gpus import Load, parse
from wildsage.services.sagemaker.training.kind import TRAINING_JOB

NAMESPACE = "/aws/sagemaker/TrainingJobs"
BURN = """
import sys, time
print("loss=3.5", flush=True)
began, started = time.process_time(), time.monotonic()
kept = bytearray(200_000_000)
while time.process_time() - began < float(sys.argv[sys.argv.index("--seconds") + 1]):
    sum(range(1000))
share = 100 * (time.process_time() - began) / (time.monotonic() - started)
print("loss=1.5")
print(f"share={share}", flush=True)
"""


async def train(server: Server, name: str, script: str, seconds: float, instances: int = 1) -> None:
    code = await server.put(f"{name}/sourcedir.tar.gz", archive({"train.py": script}))
    await server.call(
        "sagemaker",
        "CreateTrainingJob",
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": SKLEARN,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": f"{name}=([0-9.]+)"} for name in ("loss", "share")],
        },
        RoleArn=server.role,
        HyperParameters={
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"{code}"',
            "seconds": str(seconds),
        },
        OutputDataConfig={"S3OutputPath": f"s3://{code.split('/')[2]}/{name}"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )


async def statistics(server: Server, metric: str, dimension: str, value: str) -> dict[str, float]:
    """Over everything that was measured."""
    now = server.control.platform.clock.now()
    answer = await server.call(
        "cloudwatch",
        "GetMetricStatistics",
        Namespace=NAMESPACE,
        MetricName=metric,
        Dimensions=[{"Name": dimension, "Value": value}],
        StartTime=now - 1800,
        EndTime=now + 60,
        Period=3600,
        Statistics=["Average", "Minimum", "Maximum", "SampleCount"],
    )
    found: list[dict[str, Any]] = answer["Datapoints"]
    return {} if not found else found[0]


async def counted(server: Server, metric: str, dimension: str, value: str, samples: float) -> None:
    """Waits until there are so many."""
    async with asyncio.timeout(120):
        while (await statistics(server, metric, dimension, value)).get("SampleCount", 0) < samples:
            await server.control.platform.hints.wait(PUBLISHED, 0.5)


async def test_a_short_job_tells_what_it_measured_and_used(server: Server) -> None:
    await train(server, "burner", BURN, 1.5)
    job = await server.settled(TRAINING_JOB, "burner", "Completed", "Failed")
    assert job.phase == "Completed", job.status
    loss = await statistics(server, "loss", "TrainingJobName", "burner")
    assert (loss["SampleCount"], loss["Minimum"], loss["Maximum"]) == (2, 1.5, 3.5)
    final = {each["MetricName"]: each["Value"] for each in job.status["FinalMetricDataList"]}
    assert final["loss"] == 1.5
    cpu = await statistics(server, "CPUUtilization", "Host", "burner/algo-1")
    assert cpu["SampleCount"] >= 1
    # What the script says it had of a CPU; less, since starting and ending take time too. On a free machine over 50.
    assert final["share"] / 2 < cpu["Maximum"] < 210
    memory = await statistics(server, "MemoryUtilization", "Host", "burner/algo-1")
    assert 100 * 0.2 / 8.6 < memory["Maximum"] < 50
    disk = await statistics(server, "DiskUtilization", "Host", "burner/algo-1")
    assert 0 <= disk["Average"] < 1
    listed = await server.call("cloudwatch", "ListMetrics", Namespace=NAMESPACE)
    units = {(each["MetricName"], each["Dimensions"][0]["Name"]) for each in listed["Metrics"]}
    assert {("CPUUtilization", "Host"), ("loss", "TrainingJobName"), ("loss", "Host")} <= units


async def test_a_running_job_is_measured_when_somebody_reads(server: Server) -> None:
    await train(server, "runner", BURN, 600)
    await counted(server, "CPUUtilization", "Host", "runner/algo-1", 1)
    await counted(server, "loss", "TrainingJobName", "runner", 1)
    # Found again by the next control process, it goes on being measured.
    await server.stop()
    await server.start()
    before = (await statistics(server, "CPUUtilization", "Host", "runner/algo-1"))["SampleCount"]
    await counted(server, "CPUUtilization", "Host", "runner/algo-1", before + 1)
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="runner")
    await server.settled(TRAINING_JOB, "runner", "Stopped")


async def test_every_instance_of_several_is_measured(server: Server) -> None:
    await train(server, "pair", BURN, 600, instances=2)
    for host in ("pair/algo-1", "pair/algo-2"):
        for metric in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
            await counted(server, metric, "Host", host, 2)
    await counted(server, "loss", "TrainingJobName", "pair", 2)
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="pair")
    await server.settled(TRAINING_JOB, "pair", "Stopped")


async def test_tabs_are_what_aws_makes_of_them(server: Server) -> None:
    await train(server, "tabs", "print('a\\tloss=2.5\\rb')", 0)
    job = await server.settled(TRAINING_JOB, "tabs", "Completed", "Failed")
    assert "a#011loss=2.5#015b" in await server.log(NAMESPACE, "tabs/")
    (final,) = job.status["FinalMetricDataList"]
    assert (final["MetricName"], final["Value"]) == ("loss", 2.5)


@pytest.mark.parametrize("text", ["", "\n"])
def test_no_gpus(text: str) -> None:
    assert parse(text.strip()) == ()


def test_gpus_as_nvidia_smi_tells() -> None:
    assert parse("37, 1024, 81920\n[N/A], 0, 81920\n") == (Load(37.0, 1.25), Load(0.0, 0.0))
