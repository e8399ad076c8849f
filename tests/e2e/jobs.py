"""Training jobs and endpoints in a few lines, for tests that are about something else."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.conftest import Server

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BUCKET = "jobs"


def archive(name: str, text: str) -> bytes:
    """A .tar.gz with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def upload(server: Server, key: str, body: bytes) -> str:
    """The object's URI."""
    s3 = server.client("s3")
    if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


def train(server: Server, name: str, script: str, **changes: Any) -> None:
    """Starts a script-mode training job; ``changes`` are further fields of the request, such as its input."""
    source = upload(server, f"{name}/source.tar.gz", archive("train.py", script))
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": server.role,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "HyperParameters": {
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(source),
        },
    }
    server.client("sagemaker").create_training_job(**{**request, **changes})


def described(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client("sagemaker").describe_training_job(TrainingJobName=name)
    return found


def log_of(server: Server, name: str) -> str:
    """Everything the job has written so far."""
    return log_lines(server, "/aws/sagemaker/TrainingJobs", f"{name}/")


def log_lines(server: Server, group: str, prefix: str) -> str:
    """Everything in the streams with that prefix."""
    logs = server.client("logs")
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return ""
    lines: list[str] = []
    for stream in streams:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        lines += [event["message"] for event in events["events"]]
    return "\n".join(lines)


def deploy(server: Server, name: str, script: str, count: int = 1) -> None:
    """A model, a configuration and an endpoint of ``count`` instances; returns once it is InService."""
    code = upload(server, f"{name}/code.tar.gz", archive("serve.py", script))
    data = upload(server, f"{name}/model.tar.gz", archive("nothing", ""))
    sagemaker = server.client("sagemaker")
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=server.role,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": data,
            "Environment": {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code},
        },
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "one", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": count}
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    await_endpoint(server, name)


def await_endpoint(server: Server, name: str, seconds: float = 90) -> None:
    """Until it is InService; fails with its FailureReason."""
    sagemaker = server.client("sagemaker")
    deadline = time.monotonic() + seconds
    while True:
        found = sagemaker.describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] == "InService":
            return
        assert found["EndpointStatus"] != "Failed", found["FailureReason"]
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def invoke_when_ready(server: Server, name: str, body: bytes) -> bytes:
    """Invokes until an instance answers; after a restart there is none for a while, and routers say so."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return invoke(server, name, body)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ServiceUnavailable" or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def invoke(server: Server, name: str, body: bytes) -> bytes:
    answer = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=body, ContentType="application/json", Accept="application/json"
    )
    read: bytes = answer["Body"].read()
    return read


def kill_instance(folder: Path) -> None:
    """Kills everything in the container whose folder that is: its keeper is the first process of its namespace."""
    state = dict(line.split(" ", 1) for line in (folder / "keeper").read_text().splitlines())
    os.kill(int(state["pid"]), signal.SIGKILL)
