"""Images of one's own, from the URI to an answer: the example, AWS's toolkits, and every way to infer."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from tests.byoc_images import Images
from tests.conftest import Server
from tests.e2e.containers import (
    FLOWERS,
    INSTANCE,
    ONE_WORKER,
    SPECIES,
    ask,
    endpoint,
    iris,
    model,
    over,
    served,
    trained,
)
from tests.e2e.jobs import BUCKET, IMAGE, archive, log_lines, log_of, upload

_METRIC = [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}]


def _fit(server: Server, name: str, image: str, **changes: Any) -> str:
    """A decision tree's S3 URI."""
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File", "MetricDefinitions": _METRIC}
    job = trained(
        server,
        name,
        image,
        InputDataConfig=[iris(server)],
        HyperParameters={"max_leaf_nodes": "4"},
        AlgorithmSpecification=algorithm,
        **changes,
    )
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    uri: str = job["ModelArtifacts"]["S3ModelArtifacts"]
    return uri


@pytest.fixture(scope="module")
def tree(server: Server, images: Images) -> str:
    """A model of the example's, trained by the image that does nothing else."""
    return _fit(server, "byoc-training-image", images.trees("training"))


def test_one_image_trains_and_serves(server: Server, images: Images) -> None:
    image = images.trees()
    data = _fit(server, "byoc-one-image", image)
    job = server.client("sagemaker").describe_training_job(TrainingJobName="byoc-one-image")
    assert [each["MetricName"] for each in job["FinalMetricDataList"]] == ["accuracy"]
    assert f"The image {image} runs in the container engine" in log_of(server, "byoc-one-image")
    assert "rows=150 leaves=4" in log_of(server, "byoc-one-image")
    model(server, "byoc-one-image", image, data)
    endpoint(server, "byoc-one-image")
    found = served(server, "byoc-one-image")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    assert ask(server, "byoc-one-image") == SPECIES
    assert "Listening at: unix:/tmp/gunicorn.sock" in log_lines(
        server, "/aws/sagemaker/Endpoints/byoc-one-image", "one/"
    )


def test_an_image_that_only_serves_and_one_that_only_trains(server: Server, images: Images, tree: str) -> None:
    training, serving = images.trees("training"), images.trees("serving")
    model(server, "byoc-serving-image", serving, tree)
    model(server, "byoc-no-serve", training, tree)
    endpoint(server, "byoc-serving-image")
    endpoint(server, "byoc-no-serve")
    job = trained(server, "byoc-no-train", serving, InputDataConfig=[iris(server)])
    assert job["FailureReason"].startswith(
        "ClientError: CannotStartContainerError. Please ensure the container starts "
    )
    assert "'docker run <image> train'" in job["FailureReason"] and "executable file not found" in job["FailureReason"]
    failed = served(server, "byoc-no-serve")
    words = "CannotStartContainerError. Please ensure the model container for variant one starts correctly"
    assert failed["FailureReason"].startswith(f"{words} when invoked with 'docker run <image> serve'")
    assert served(server, "byoc-serving-image")["EndpointStatus"] == "InService"
    assert ask(server, "byoc-serving-image") == SPECIES


def test_awss_own_toolkits(server: Server, images: Images) -> None:
    """sagemaker-training runs SAGEMAKER_PROGRAM of the image; sagemaker-inference and its model server answer."""
    image = images.toolkits()
    data = _fit(server, "byoc-toolkits", image)
    assert "host=algo-1 rows=150 leaves=4" in log_of(server, "byoc-toolkits")
    model(server, "byoc-toolkits", image, data)
    endpoint(server, "byoc-toolkits")
    found = served(server, "byoc-toolkits")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    assert ask(server, "byoc-toolkits") == SPECIES


def test_many_models_in_one_image(server: Server, images: Images, tree: str) -> None:
    """Mode MultiModel goes to the Multi Model Server in the image; an image without its label is refused in words."""
    s3, source = server.client("s3"), tree.removeprefix(f"s3://{BUCKET}/")
    for each in ("a", "b"):
        s3.copy_object(Bucket=BUCKET, Key=f"many/{each}.tar.gz", CopySource={"Bucket": BUCKET, "Key": source})
    many = {"Mode": "MultiModel"}
    model(server, "byoc-many", images.toolkits(), f"s3://{BUCKET}/many/", container=many)
    model(server, "byoc-many-unlabelled", images.trees("serving"), f"s3://{BUCKET}/many/", container=many)
    endpoint(server, "byoc-many")
    endpoint(server, "byoc-many-unlabelled")
    failed = served(server, "byoc-many-unlabelled")
    assert "com.amazonaws.sagemaker.capabilities.multi-models=true" in failed["FailureReason"]
    found = served(server, "byoc-many")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    assert [ask(server, "byoc-many", TargetModel=f"{each}.tar.gz") for each in ("a", "b", "a")] == [SPECIES] * 3


def test_a_pipeline_of_a_native_and_an_engines_container(server: Server, images: Images, tree: str) -> None:
    upper = (
        "def model_fn(d): pass\ndef input_fn(b, t): return b\ndef predict_fn(b, m): return b.decode() if isinstance("
    )
    script = f"{upper}b, bytes) else b\ndef output_fn(b, a): return b.strip().upper()\n"
    code = upload(server, "byoc-series/code.tar.gz", archive("serve.py", script))
    data = upload(server, "byoc-series/model.tar.gz", archive("nothing", ""))
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    server.client("sagemaker").create_model(
        ModelName="byoc-series",
        ExecutionRoleArn=server.role,
        Containers=[
            {"Image": images.trees("serving"), "ModelDataUrl": tree, "Environment": ONE_WORKER},
            {"Image": IMAGE, "ModelDataUrl": data, "Environment": environment},
        ],
    )
    endpoint(server, "byoc-series")
    found = served(server, "byoc-series")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    assert "SETOSA" in ask(server, "byoc-series")


def test_batch_transform(server: Server, images: Images, tree: str) -> None:
    sagemaker = server.client("sagemaker")
    upload(server, "byoc-batch/in/flowers.csv", FLOWERS.encode())
    model(server, "byoc-batch", images.trees("serving"), tree)
    sagemaker.create_transform_job(
        TransformJobName="byoc-batch",
        ModelName="byoc-batch",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/byoc-batch/in/"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/byoc-batch/out"},
        TransformResources={"InstanceType": INSTANCE, "InstanceCount": 1},
    )
    job = over(lambda: sagemaker.describe_transform_job(TransformJobName="byoc-batch"), "TransformJobStatus")
    assert job["TransformJobStatus"] == "Completed", job["FailureReason"]
    answer = server.client("s3").get_object(Bucket=BUCKET, Key="byoc-batch/out/flowers.csv.out")
    assert answer["Body"].read().decode().split() == SPECIES.split()


def test_an_asynchronous_endpoint(server: Server, images: Images, tree: str) -> None:
    sagemaker, where = server.client("sagemaker"), f"s3://{BUCKET}/byoc-queued"
    given = upload(server, "byoc-queued/in", FLOWERS.encode())
    model(server, "byoc-queued", images.trees("serving"), tree)
    sagemaker.create_endpoint_config(
        EndpointConfigName="byoc-queued",
        ProductionVariants=[
            {"VariantName": "one", "ModelName": "byoc-queued", "InstanceType": INSTANCE, "InitialInstanceCount": 1}
        ],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": where, "S3FailurePath": f"{where}-failed"}},
    )
    sagemaker.create_endpoint(EndpointName="byoc-queued", EndpointConfigName="byoc-queued")
    found = served(server, "byoc-queued")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    answer = server.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="byoc-queued", InputLocation=given, ContentType="text/csv", Accept="text/csv"
    )
    key = answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/")
    s3 = server.client("s3")
    s3.get_waiter("object_exists").wait(Bucket=BUCKET, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() == SPECIES


def test_a_serverless_variant_says_what_it_is(server: Server, images: Images, tree: str) -> None:
    model(server, "byoc-serverless", images.trees("serving"), tree)
    endpoint(server, "byoc-serverless", ServerlessConfig={"MemorySizeInMB": 2048, "MaxConcurrency": 2})
    found = served(server, "byoc-serverless")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    assert ask(server, "byoc-serverless") == SPECIES
    log = log_lines(server, "/aws/sagemaker/Endpoints/byoc-serverless", "one/")
    assert "one container that is always there" in log


_TELL = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
told = {"argv": sys.argv, "environment": dict(os.environ), "folder": os.getcwd(), "user": os.getuid()}
told["own"] = os.path.exists("/opt/ml/code/own"), os.path.exists("/opt/wildsage/toolkit")
told["config"] = sorted(os.listdir("/opt/ml/input/config"))
Path("/opt/ml/model/told.json").write_text(json.dumps(told))
"""


def test_a_container_finds_what_awss_containers_find(server: Server, images: Images) -> None:
    """Its own entry point, folder, user, variables and files; of ours nothing but what the platform sets."""
    image = images.small(
        "RUN mkdir -p /opt/ml/code && touch /opt/ml/code/own",
        "ENV OF_THE_IMAGE=kept CHANGED=no PYTHONPATH=/its/own",
        'WORKDIR /srv\nUSER nobody\nENTRYPOINT ["tell", "first"]\nCMD ["ignored"]',
        tell=_TELL,
    )
    job = trained(server, "byoc-told", image, Environment={"CHANGED": "yes"}, InputDataConfig=[iris(server)])
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    packed = server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.extractfile("told.json")
        assert member is not None
        told = json.load(member)
    assert told["argv"][1:] == ["first", "train"]
    assert told["folder"] == "/srv" and told["user"] == 65534
    assert told["own"] == [True, False]
    assert told["config"] == ["hyperparameters.json", "inputdataconfig.json", "resourceconfig.json"]
    variables = told["environment"]
    assert (variables["OF_THE_IMAGE"], variables["CHANGED"], variables["PYTHONPATH"]) == ("kept", "yes", "/its/own")
    assert variables["TRAINING_JOB_NAME"] == "byoc-told" and variables["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert not [name for name in variables if name.startswith(("WILDSAGE_", "SAGEMAKER_"))]
