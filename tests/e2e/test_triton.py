"""SageMaker's Triton image: a model repository becomes an endpoint, or says why it does not."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import tritonserver
from tests.conftest import ROOT, Server, start_server
from tests.e2e.jobs import await_endpoint, upload
from tests.sdk.session import interpreter

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/sagemaker-tritonserver:25.09-py3-cpu"
MIME = "application/vnd.sagemaker-triton.binary+json;json-header-size="
CONFIG = """
name: "double"
platform: "onnxruntime_onnx"
max_batch_size: 8
input { name: "X" data_type: TYPE_FP32 dims: 2 }
output { name: "Y" data_type: TYPE_FP32 dims: 2 }
instance_group { kind: KIND_CPU count: 1 }
dynamic_batching { max_queue_delay_microseconds: 100 }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(
        tmp_path_factory.mktemp("triton") / "data", variables={"WILDSAGE_PYTHON_TRITON": str(interpreter("triton"))}
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    script = ROOT / "tests" / "unit" / "triton" / "models.py"
    subprocess.run([str(interpreter("triton")), str(script), str(folder)], check=True)
    return folder


def archive(repository: Path, config: str = CONFIG, top: str = "double/") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(repository / "double" / "1", f"{top}1")
        member = tarfile.TarInfo(f"{top}config.pbtxt")
        member.size = len(config.encode())
        tar.addfile(member, io.BytesIO(config.encode()))
    return packed.getvalue()


def create(server: Server, name: str, data: str, mode: str = "SingleModel", **variables: str) -> None:
    sagemaker = server.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": data, "Mode": mode, "Environment": variables}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=server.role, PrimaryContainer=container)
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def ask(server: Server, name: str, **more: Any) -> Any:
    document = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    answer = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, ContentType="application/octet-stream", Body=json.dumps(document), **more
    )
    return json.loads(answer["Body"].read())


def bodies(*words: str, given: bytes = b"") -> bytes:
    script = Path(__file__).parent / "tritonbodies.py"
    command = [str(interpreter("triton")), str(script), *words]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def test_as_awss_notebooks_do(server: Server, repository: Path) -> None:
    data = upload(server, "double.tar.gz", archive(repository))
    create(server, "double", data, SAGEMAKER_TRITON_DEFAULT_MODEL_NAME="double")
    await_endpoint(server, "double")
    assert ask(server, "double")["outputs"][0]["data"] == [2, 4]

    length, _, body = bodies("request").partition(b"\n")
    answer = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="double", ContentType=f"{MIME}{length.decode()}", Body=body
    )
    kind = answer["ContentType"]
    assert kind.startswith(MIME)
    found = bodies("answer", kind.removeprefix(MIME), given=answer["Body"].read())
    assert json.loads(found) == [[2, 4], [6, 8]]


@tritonserver.needed
def test_nvidias_own_server_in_a_container(server: Server, repository: Path) -> None:
    data = upload(server, "nvidia.tar.gz", archive(repository))
    create(server, "nvidia", data, WILDSAGE_TRITON_ENGINE="tritonserver")
    await_endpoint(server, "nvidia")
    assert ask(server, "nvidia")["outputs"][0]["data"] == [2, 4]


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        (
            "unread",
            CONFIG.replace("dims: 2 }\ninstance", "dims: 2 \ninstance"),
            "config.pbtxt:9: '}' is missing before",
        ),
        (
            "unfit",
            CONFIG.replace("dims: 2", "dims: 3", 1),
            "config.pbtxt:5: model 'double', tensor 'X': the model expects",
        ),
    ],
)
def test_a_configuration_that_is_wrong_fails_the_endpoint(
    server: Server, repository: Path, name: str, config: str, words: str
) -> None:
    create(server, name, upload(server, f"{name}.tar.gz", archive(repository, config)))
    sagemaker = server.client("sagemaker")
    deadline = time.monotonic() + 90
    while (found := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found["EndpointStatus"] == "Failed"
    assert words in found["FailureReason"]


def test_many_models(server: Server, repository: Path) -> None:
    upload(server, "many/in-a-folder.tar.gz", archive(repository))
    upload(server, "many/flat.tar.gz", archive(repository, top=""))
    create(server, "many", "s3://jobs/many/", "MultiModel")
    await_endpoint(server, "many")
    for target in ("in-a-folder.tar.gz", "flat.tar.gz"):
        found = ask(server, "many", TargetModel=target)
        assert (found["model_name"], found["outputs"][0]["data"]) == (target, [2, 4])
    upload(server, "many/wrong.tar.gz", archive(repository, CONFIG.replace("dims: 2", "dims: 3", 1)))
    with pytest.raises(ClientError, match=r"config\.pbtxt:5: model 'double', tensor 'X': the model expects 2 dim"):
        ask(server, "many", TargetModel="wrong.tar.gz")
