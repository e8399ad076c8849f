"""Batch transform jobs in a few lines."""

from __future__ import annotations

import uuid
from typing import Any

from tests.api.sagemaker.conftest import BUCKET, Account, until

GROUP = "/aws/sagemaker/TransformJobs"
OVER = ("Completed", "Failed", "Stopped")

# CSV: twice the sum of each line. JSON lines: what comes, in a list. Anything else: how many bytes came.
SCRIPT = """
import json, os, time

def model_fn(folder):
    return 2.0

def transform_fn(model, body, content_type, accept):
    text = body if isinstance(body, str) else body.decode("latin-1")
    if "sleep" in text:
        time.sleep(600)
    if "wait" in text:
        print("it waits", flush=True)
        while not os.path.exists("/opt/ml/go"):
            time.sleep(0.02)
    if "exit" in text:
        os.kill(os.getppid(), 9)
    if "boom" in text:
        raise ValueError("no number in " + next(line for line in text.splitlines() if "boom" in line)[:40])
    if content_type == "text/csv":
        rows = [line for line in text.splitlines() if line != "wait"]
        return "".join(f"{model * sum(map(float, row.split(',')))}\\n" for row in rows), "text/csv"
    if content_type == "application/jsonlines":
        return "".join(json.dumps([json.loads(line)]) + "\\n" for line in text.splitlines()), content_type
    return f"{len(body)} {os.environ.get('SAGEMAKER_BATCH')} {os.environ.get('GREETING')}", "text/plain"
"""


def transform(account: Account, model: str, **changes: Any) -> str:
    """Creates a job whose input is below NAME/in/, to be put there before; ``changes`` may be dotted with __."""
    name = changes.pop("name", None) or named()
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/in/"}
    request: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/{name}/out", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    for field, value in changes.items():
        *above, last = field.split("__")
        place = request
        for each in above:
            place = place[each]
        place[last] = value
    account.sagemaker.create_transform_job(**request)
    return name


def named() -> str:
    return f"transform-{uuid.uuid4().hex[:10]}"


def put(account: Account, files: dict[str, bytes]) -> str:
    """The name of a job whose input these are."""
    name = named()
    for key, body in files.items():
        account.put(f"{name}/in/{key}", body)
    return name


def go_on(account: Account) -> None:
    """Lets the containers go on that wait."""
    for folder in (account.server.data / "instances").glob("transform-*/*-1/ml"):
        (folder / "go").touch()


def described(account: Account, name: str) -> dict[str, Any]:
    found: dict[str, Any] = account.sagemaker.describe_transform_job(TransformJobName=name)
    return found


def transformed(account: Account, name: str) -> dict[str, Any]:
    """The description of a job that is over."""

    def over() -> dict[str, Any] | None:
        job = described(account, name)
        return job if job["TransformJobStatus"] in OVER else None

    found: dict[str, Any] = until(over)
    return found


def outputs(account: Account, name: str) -> dict[str, bytes]:
    """What lies below NAME/out/."""
    found = account.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{name}/out/").get("Contents", [])
    return {
        each["Key"].removeprefix(f"{name}/out/"): account.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
        for each in found
    }


def logged(account: Account, name: str) -> dict[str, str]:
    """The text of each log stream, by what its name has behind the instance's."""
    streams = account.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    found: dict[str, str] = {}
    for stream in streams:
        events = account.logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"])["events"]
        text = "\n".join(event["message"] for event in events)
        place = "/".join(stream["logStreamName"].split("/")[2:])
        found[place] = f"{found[place]}\n{text}" if place in found else text
    return found
