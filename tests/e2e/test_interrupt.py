"""``wildsage interrupt``: signed by the root user, refused to others, in words where there is nothing to do."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.conftest import Server, wildsage
from tests.e2e.jobs import BUCKET, described, log_of, train
from tests.waiting import wait_until

RESUMES = """
import os, time
path = "/opt/ml/checkpoints/here"
if not os.path.exists(path):
    open(path, "w").close()
    print("waiting", flush=True)
    time.sleep(600)
print("resumed", flush=True)
"""


def post(server: Server, name: str, params: dict[str, Any], credentials: Credentials | None) -> tuple[int, Any]:
    url, body = f"{server.url}/_wildsage/commands/{name}", json.dumps(params)
    signed = AWSRequest("POST", url, {"content-type": "application/json"}, body)
    if credentials is not None:
        SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(signed)
    request = urllib.request.Request(url, body.encode(), dict(signed.headers.items()), method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_a_person_interrupts_a_job(server: Server) -> None:
    train(
        server,
        "taken",
        RESUMES,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/taken/saved"},
    )
    wait_until(lambda: "waiting" in log_of(server, "taken"), 120)
    ended = wildsage("interrupt", "taken", "--data", str(server.data))
    assert (ended.returncode, ended.stderr) == (0, "")
    wait_until(lambda: described(server, "taken")["TrainingJobStatus"] != "InProgress", 120)
    assert described(server, "taken")["TrainingJobStatus"] == "Completed"
    assert "resumed" in log_of(server, "taken")
    ended = wildsage("interrupt", "taken", "--data", str(server.data))
    assert ended.returncode == 1
    assert "there is nothing to interrupt" in ended.stderr


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({}, 400, "Give TrainingJobName"),
        ({"TrainingJobName": 7}, 400, "Give TrainingJobName"),
        ({"TrainingJobName": "absent"}, 400, "not found"),
        ({"TrainingJobName": "absent", "CapacityAfterSeconds": -1}, 400, "CapacityAfterSeconds"),
    ],
)
def test_what_cannot_be_interrupted(server: Server, params: dict[str, Any], status: int, words: str) -> None:
    found, answer = post(server, "interrupt", params, Credentials(*server.root_key))
    assert found == status
    assert words in answer["message"]


def test_nobody_else_may_run_commands(server: Server) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    role = Credentials(*(server.environment[name] for name in names))
    key, _ = server.root_key
    for credentials, words in (
        (None, "must be signed"),
        (role, "not the root user"),
        (Credentials(key, "wrong"), "signature"),
    ):
        status, answer = post(server, "interrupt", {"TrainingJobName": "any"}, credentials)
        assert status == 403
        assert words in answer["message"]
    status, answer = post(server, "dance", {}, Credentials(*server.root_key))
    assert (status, "no command 'dance'" in answer["message"]) == (404, True)
