"""Built-in algorithms through the API alone: their metrics, their failures, data through a pipe, models that answer."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server
from tests.e2e.jobs import BUCKET, described, log_of, upload

IMAGES = "382416733822.dkr.ecr.us-east-1.amazonaws.com"
ROWS = b"".join(f"{label},{label * 10 + i % 3},{i % 5}\n".encode() for label in (0, 1) for i in range(60))


def start(server: Server, name: str, algorithm: str, hyperparameters: dict[str, str], **more: Any) -> None:
    uri = upload(server, f"{name}/train.csv", ROWS)
    channel = {
        "ChannelName": "train",
        "ContentType": "text/csv",
        "InputMode": more.pop("mode", "File"),
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }
    server.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": f"{IMAGES}/{algorithm}:1",
            "TrainingInputMode": "File",
            **more.pop("specification", {}),
        },
        RoleArn=server.role,
        InputDataConfig=[channel],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters=hyperparameters,
    )


def end_of(server: Server, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found = described(server, name)
        if found["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return found
        time.sleep(0.2)
    raise AssertionError(f"{name} does not end:\n{log_of(server, name)}")


def test_a_pipe_trains_a_model_that_answers(server: Server) -> None:
    hyperparameters = {"k": "3", "sample_size": "200", "feature_dim": "2", "predictor_type": "classifier"}
    start(server, "knn-pipe", "knn", hyperparameters, mode="Pipe")
    found = end_of(server, "knn-pipe")
    assert found["TrainingJobStatus"] == "Completed", log_of(server, "knn-pipe")
    names = {each["Name"] for each in found["AlgorithmSpecification"]["MetricDefinitions"]}
    assert {"test:accuracy", "test:mse", "train:progress"} <= names
    assert {each["MetricName"]: each["Value"] for each in found["FinalMetricDataList"]}["train:progress"] == 100
    assert "Amazon's built-in algorithm knn" in log_of(server, "knn-pipe")
    sagemaker = server.client("sagemaker")
    container = {"Image": f"{IMAGES}/knn:1", "ModelDataUrl": found["ModelArtifacts"]["S3ModelArtifacts"]}
    sagemaker.create_model(ModelName="knn", PrimaryContainer=container, ExecutionRoleArn=server.role)
    variant = {"VariantName": "all", "ModelName": "knn", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="knn", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="knn", EndpointConfigName="knn")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="knn", WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="knn", Body=b"0,1\n10,1\n", ContentType="text/csv")
    assert answer["ContentType"] == "application/json"
    assert json.loads(answer["Body"].read()) == {"predictions": [{"predicted_label": 0.0}, {"predicted_label": 1.0}]}
    with pytest.raises(ClientError, match="has 3 features for each instance") as caught:
        runtime.invoke_endpoint(EndpointName="knn", Body=b"0,1,2", ContentType="text/csv")
    assert caught.value.response["Error"]["Code"] == "ModelError"
    sagemaker.delete_endpoint(EndpointName="knn")


def test_the_callers_mistakes_are_client_errors(server: Server) -> None:
    start(server, "kmeans-unknown", "kmeans", {"k": "2", "feature_dim": "3", "clusters": "2"})
    start(server, "kmeans-label", "kmeans", {"k": "2", "feature_dim": "3"})
    start(server, "xgboost-missing", "xgboost", {"objective": "binary:logistic"})
    reasons = {}
    for name in ("kmeans-unknown", "kmeans-label", "xgboost-missing"):
        found = end_of(server, name)
        assert found["TrainingJobStatus"] == "Failed", log_of(server, name)
        reasons[name] = found["FailureReason"]
    assert reasons["kmeans-unknown"] == (
        "ClientError: Additional hyperparameters are not allowed ('clusters' was unexpected) (caused by "
        "ValidationError)\n\nCaused by: Additional properties are not allowed ('clusters' was unexpected), exit code: 2"
    )
    assert reasons["kmeans-label"].startswith("ClientError: The number of features in the data of channel 'train' (2)")
    assert reasons["xgboost-missing"].startswith("AlgorithmError: framework error: \n")
    assert reasons["xgboost-missing"].endswith("Missing required hyperparameter: num_round, exit code: 1")


def test_the_algorithms_own_metrics_cannot_be_replaced(server: Server) -> None:
    metrics = {"MetricDefinitions": [{"Name": "mine", "Regex": "mine=(.*)"}]}
    with pytest.raises(ClientError, match="You can't override the metric definitions for Amazon SageMaker algorithms"):
        start(server, "kmeans-metrics", "kmeans", {"k": "2", "feature_dim": "3"}, specification=metrics)
