"""An endpoint with everything on: two weighted variants, requests signed by a role's session, metrics, capture."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from benchmarks.server import Clients, Server, wildsage

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BUCKET = "benchmark-hosting"
WEIGHTS = {"three": 3.0, "one": 1.0}
CAPTURED_PERCENT = 10
_READY_SECONDS = 180.0
TRIVIAL = """
import os

def model_fn(folder):
    return None

def transform_fn(model, data, content_type, accept):
    text = data if isinstance(data, str) else data.decode()
    if text.startswith("core"):
        os.sched_setaffinity(0, {int(cell) for cell in text.split()[1:]})
    return '{"predictions": [0]}', "application/json"
"""


@dataclass(frozen=True, slots=True)
class Hosted:
    """One endpoint in service. ``refusal``: what the server said to data capture, if it would not have it."""

    server: Server
    clients: Clients
    name: str
    refusal: str

    @property
    def url(self) -> str:
        return f"{self.server.url}/endpoints/{self.name}/invocations"

    @property
    def credentials(self) -> Credentials:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return Credentials(*(self.server.environment.get(name) for name in names))

    def pin_models(self, cores: set[int]) -> None:
        """Moves every variant's model server, which has one worker, to these cores: TRIVIAL does so when asked."""
        body = f"core {' '.join(map(str, sorted(cores)))}"
        for variant in WEIGHTS:
            self.clients.runtime.invoke_endpoint(
                EndpointName=self.name, TargetVariant=variant, Body=body, ContentType="text/plain"
            )

    def process(self, name: str) -> int:
        """The process id of "control" or the "router"."""
        return int(json.loads(wildsage("status", "--json", data=self.server.data))["processes"][name])

    def captured(self) -> int:
        """How many requests have reached S3 so far."""
        pages = self.clients.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="captured/")
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        bodies = (self.clients.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys)
        return sum(len(body.splitlines()) for body in bodies)


def deploy(server: Server, name: str, code: str, model: Mapping[str, bytes]) -> Hosted:
    """Two variants of one instance with one worker each, weighted 3 to 1, and capture of both ways at 10 %."""
    clients = server.clients()
    clients.s3.create_bucket(Bucket=BUCKET)
    uris = {
        part: _upload(clients, f"{name}/{part}.tar.gz", files)
        for part, files in {"code": {"serve.py": code.encode()}, "model": model}.items()
    }
    settings = {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": uris["code"],
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "OMP_NUM_THREADS": "1",
    }
    container = {"Image": IMAGE, "ModelDataUrl": uris["model"], "Environment": settings}
    clients.sagemaker.create_model(ModelName=name, ExecutionRoleArn=clients.role, PrimaryContainer=container)
    refusal = _configure(clients, name)
    clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    awaited(clients, name)
    return Hosted(server, clients, name, refusal)


def _upload(clients: Clients, key: str, files: Mapping[str, bytes]) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, body in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(body), int(time.time())
            tar.addfile(member, io.BytesIO(body))
    clients.s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
    return f"s3://{BUCKET}/{key}"


def _configure(clients: Clients, name: str) -> str:
    """Without capture if the server refuses that; then what it said."""
    variants = [
        {
            "VariantName": variant,
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for variant, weight in WEIGHTS.items()
    ]
    wanted: dict[str, Any] = {"EndpointConfigName": name, "ProductionVariants": variants}
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": CAPTURED_PERCENT,
        "DestinationS3Uri": f"s3://{BUCKET}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
    }
    try:
        clients.sagemaker.create_endpoint_config(**wanted, DataCaptureConfig=capture)
    except ClientError as error:
        if "DataCaptureConfig" not in str(error):
            raise
        clients.sagemaker.create_endpoint_config(**wanted)
        return str(error)
    return ""


def awaited(clients: Clients, name: str) -> None:
    """Returns once the endpoint is in service; raises RuntimeError if it never will be."""
    deadline = time.monotonic() + _READY_SECONDS
    while (found := clients.sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] != "InService":
        if found["EndpointStatus"] == "Failed" or time.monotonic() > deadline:
            raise RuntimeError(f"{name} is {found['EndpointStatus']}: {found.get('FailureReason', 'still starting')}")
        time.sleep(0.05)


def two_cores() -> tuple[int, int]:
    """Where the router and where the client runs; the same one on a machine with a single core."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]
