"""Warm pools while control is killed: a pool is never lost, shared or left behind."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import described, log_of, train
from tests.e2e.killing import kill
from tests.e2e.test_durability import processes_of
from tests.e2e.test_random_kills import answered
from tests.waiting import wait_until

JOBS = 3
COUNTS = """
import os, pathlib
cache = pathlib.Path(os.environ["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"])
cache.joinpath(os.environ["TRAINING_JOB_NAME"]).touch()
print("cached by", sorted(path.name for path in cache.iterdir()), flush=True)
"""
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, "KeepAlivePeriodInSeconds": 3600}
pytestmark = pytest.mark.timeout(600)


def asked(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = answered(described, server, name)
    return found


def is_there(server: Server, name: str) -> bool:
    """Creates the job; it is there already if an answer was lost."""
    try:
        train(server, name, COUNTS, ResourceConfig=RESOURCES)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUse":
            raise
    return True


@pytest.mark.parametrize("seed", [1, 2])
def test_a_chain_of_jobs_while_control_is_killed(short_directory: Path, seed: int) -> None:
    dice = random.Random(seed)
    data = short_directory / f"warm{seed}"
    server = start_server(data)
    names = [f"job-{number}" for number in range(JOBS)]
    try:
        for name in names:
            answered(is_there, server, name)
            while asked(server, name)["TrainingJobStatus"] == "InProgress":
                time.sleep(dice.uniform(0.0, 0.25))
                control = server.status["processes"].get("control")
                if control is not None and dice.random() < 0.5:
                    kill(control)
        for number, name in enumerate(names):
            job = asked(server, name)
            assert job["TrainingJobStatus"] == "Completed", job
            assert f"cached by {names[: number + 1]}" in log_of(server, name)
        statuses = [asked(server, name)["WarmPoolStatus"] for name in names]
        assert [each["Status"] for each in statuses] == [*["Reused"] * (JOBS - 1), "Available"]
        assert [each.get("ReusedByJob") for each in statuses] == [*names[1:], None]
        assert len(list((data / "instances").iterdir())) == 1
        server.client("sagemaker").update_training_job(
            TrainingJobName=names[-1], ResourceConfig={"KeepAlivePeriodInSeconds": 0}
        )
        kill(wait_until(lambda: server.status["processes"].get("control")))
        wait_until(lambda: asked(server, names[-1])["WarmPoolStatus"]["Status"] == "Terminated", 60)
        assert list((data / "instances").iterdir()) == []
    finally:
        server.stop()
    wait_until(lambda: not processes_of(str(data)))
