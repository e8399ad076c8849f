"""Whose credentials are where: in a shell after ``wildsage env``, and inside a training job."""

from __future__ import annotations

import shlex
import subprocess
import sys

from tests.conftest import Server, clean_environment
from tests.e2e.jobs import described, log_of, train
from tests.waiting import wait_until

INSIDE = """
import os, boto3
print("identity", boto3.client("sts").get_caller_identity()["Arn"], flush=True)
print("bucket", [each["Name"] for each in boto3.client("s3").list_buckets()["Buckets"]], flush=True)
print("keys", [name for name in os.environ if "SECRET" in name or "ACCESS_KEY" in name], flush=True)
print("data", os.path.exists(DATA + "/credentials.json"), flush=True)
"""


def test_a_shell_that_evaluates_env_is_set_up(server: Server) -> None:
    python = shlex.quote(sys.executable)
    script = (
        f'eval "$({python} -m wildsage.cli env --data {shlex.quote(str(server.data))})" && '
        f"{python} -m awscli sts get-caller-identity --query Arn --output text && echo $WILDSAGE_ROLE"
    )
    answer = subprocess.run(
        ["bash", "-c", script], env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == [
        "arn:aws:sts::000000000000:assumed-role/WildsageExecutionRole/wildsage",
        server.role,
    ]


def test_a_job_acts_as_its_role_and_sees_no_key(server: Server) -> None:
    train(server, "identity", f"DATA = {str(server.data)!r}\n{INSIDE}")
    found = wait_until(lambda: (job := described(server, "identity"))["TrainingJobStatus"] != "InProgress" and job, 90)
    log = log_of(server, "identity")
    assert found["TrainingJobStatus"] == "Completed", log
    assert "identity arn:aws:sts::000000000000:assumed-role/WildsageExecutionRole/SageMaker" in log
    assert "bucket [" in log
    assert "keys []" in log
    assert "data False" in log
