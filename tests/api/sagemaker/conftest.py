"""Stock clients of one server, and the scripts they have trained and served."""

from __future__ import annotations

import io
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import pytest
from tests.conftest import Server

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BUCKET = "sagemaker-us-east-1-000000000000"
_WAIT_SECONDS = 180.0

ECHO = """
def model_fn(folder):
    return folder

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return data

def output_fn(prediction, accept):
    return prediction
"""


def archive(files: Mapping[str, str]) -> bytes:
    """A tar.gz of texts."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
    return packed.getvalue()


def until(found: Callable[[], Any]) -> Any:
    """What ``found`` returns once it is true."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("waited too long")


@dataclass
class Account:
    """Clients of the server, as the execution role."""

    server: Server
    s3: Any
    sagemaker: Any
    runtime: Any
    logs: Any

    def put(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def train(self, script: str, **changes: Any) -> str:
        """Creates a training job of a script; returns its name."""
        name = f"job-{uuid.uuid4().hex[:10]}"
        source = self.put(f"{name}/sourcedir.tar.gz", archive({"train.py": script}))
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": self.server.role,
            "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
            "HyperParameters": {"sagemaker_submit_directory": f'"{source}"', "sagemaker_program": '"train.py"'},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{name}"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **changes,
        }
        self.sagemaker.create_training_job(**request)
        return name

    def trained(self, name: str) -> dict[str, Any]:
        """The description of a job that is over."""

        def over() -> dict[str, Any] | None:
            job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        found: dict[str, Any] = until(over)
        return found

    def model(self, script: str) -> str:
        """A model, and a configuration of the same name with one instance of it."""
        name = f"model-{uuid.uuid4().hex[:10]}"
        data = self.put(f"{name}/model.tar.gz", archive({"code/inference.py": script}))
        container = {
            "Image": SKLEARN,
            "ModelDataUrl": data,
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
        }
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.server.role, PrimaryContainer=container)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.t2.medium",
            "InitialInstanceCount": 1,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def settled(self, endpoint: str) -> dict[str, Any]:
        """The description of an endpoint that nothing is being done to."""

        def settled() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=endpoint)
            return found if found["EndpointStatus"] in ("InService", "Failed") else None

        found: dict[str, Any] = until(settled)
        return found

    def delete(self, endpoint: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=endpoint)
        until(lambda: not self.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"])

    def invoke(self, endpoint: str, body: bytes) -> bytes:
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="text/csv")
        found: bytes = answer["Body"].read()
        return found


@pytest.fixture(scope="session")
def account(server: Server) -> Account:
    found = Account(
        server,
        server.client("s3"),
        server.client("sagemaker"),
        server.client("sagemaker-runtime"),
        server.client("logs"),
    )
    found.s3.create_bucket(Bucket=BUCKET)
    return found


class Asking:
    """Clients that ask an endpoint all the while, each again as soon as it is answered."""

    def __init__(self, account: Account, endpoint: str, body: bytes, clients: int) -> None:
        self.answers: list[bytes] = []
        self.failures: list[Exception] = []
        self._ask = partial(account.invoke, endpoint, body)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.answers.append(self._ask())
            except Exception as error:  # whatever it is, it is a failure
                self.failures.append(error)
