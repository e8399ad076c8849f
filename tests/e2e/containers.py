"""Jobs and endpoints with images of one's own, in a few lines."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, Server
from tests.e2e.jobs import BUCKET, upload

FLOWERS = "5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n5.9,3.0,4.2,1.5\n"
SPECIES = "setosa\nvirginica\nversicolor\n"
INSTANCE = "ml.m5.large"
ONE_WORKER = {"MODEL_SERVER_WORKERS": "1", "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
_PATIENCE = 240.0


def iris(server: Server) -> dict[str, Any]:
    """The channel ``training``: iris, the species first."""
    with Path(ROOT, "examples", "iris", "iris.csv").open(newline="") as file:
        rows = [[row[-1], *row[:-1]] for row in list(csv.reader(file))[1:]]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    upload(server, "iris/iris.csv", text.getvalue().encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/iris/"}
    return {"ChannelName": "training", "DataSource": {"S3DataSource": source}}


def begin(server: Server, name: str, image: str, *command: str, **changes: Any) -> None:
    """Starts a training job; ``command`` is its ContainerEntrypoint."""
    upload(server, "bucket", b"")
    entrypoint = {"ContainerEntrypoint": list(command)} if command else {}
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File", **entrypoint},
        "RoleArn": server.role,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": {"InstanceType": INSTANCE, "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    server.client("sagemaker").create_training_job(**{**request, **changes})


def end(server: Server, name: str) -> dict[str, Any]:
    """The job once it is over."""
    return over(lambda: server.client("sagemaker").describe_training_job(TrainingJobName=name), "TrainingJobStatus")


def trained(server: Server, name: str, image: str, *command: str, **changes: Any) -> dict[str, Any]:
    """A training job from its beginning to its end."""
    begin(server, name, image, *command, **changes)
    return end(server, name)


def processed(server: Server, name: str, image: str, **changes: Any) -> dict[str, Any]:
    """A processing job from its beginning to its end; ``changes`` are of its AppSpecification."""
    sagemaker = server.client("sagemaker")
    upload(server, "bucket", b"")
    output = {"S3Uri": f"s3://{BUCKET}/{name}/", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=server.role,
        AppSpecification={"ImageUri": image, **changes},
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": output}]},
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": INSTANCE, "VolumeSizeInGB": 1},
        },
    )
    return over(lambda: sagemaker.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus")


def model(server: Server, name: str, image: str, data: str = "", **changes: Any) -> None:
    """A model with one container, whose server has one worker if it is the example's."""
    container = {
        "Image": image,
        "Environment": ONE_WORKER,
        **({"ModelDataUrl": data} if data else {}),
        **changes.pop("container", {}),
    }
    server.client("sagemaker").create_model(
        **{"ModelName": name, "ExecutionRoleArn": server.role, "PrimaryContainer": container, **changes}
    )


def endpoint(server: Server, name: str, **variant: Any) -> None:
    """Begins an endpoint of the model of that name; ``variant`` are further fields of its variant."""
    sagemaker = server.client("sagemaker")
    found: dict[str, Any] = {"VariantName": "one", "ModelName": name}
    if "ServerlessConfig" not in variant:
        found |= {"InstanceType": INSTANCE, "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{**found, **variant}])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def served(server: Server, name: str, seconds: float = _PATIENCE) -> dict[str, Any]:
    """The endpoint once it is InService or Failed."""
    sagemaker = server.client("sagemaker")
    return over(lambda: sagemaker.describe_endpoint(EndpointName=name), "EndpointStatus", ("Creating",), seconds)


def ask(server: Server, name: str, body: str = FLOWERS, **options: Any) -> str:
    """What an endpoint answers to rows of CSV."""
    answer = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=body.encode(), ContentType="text/csv", Accept="text/csv", **options
    )
    text: str = answer["Body"].read().decode()
    return text


def over(
    describe: Any, status: str, going: tuple[str, ...] = ("InProgress", "Stopping"), seconds: float = _PATIENCE
) -> dict[str, Any]:
    """What ``describe`` says once ``status`` is none of ``going`` any more."""
    deadline = time.monotonic() + seconds
    while (found := describe())[status] in going:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    described: dict[str, Any] = found
    return described
