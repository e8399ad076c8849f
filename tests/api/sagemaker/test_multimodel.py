"""Multi-model endpoints through boto3: what is refused, and what CloudWatch is told."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, SKLEARN, Account, archive, until

SCRIPT = """
import os
def model_fn(folder): return open(os.path.join(folder, "name")).read()
def input_fn(body, content_type): return body
def predict_fn(data, model): return model
def output_fn(prediction, accept): return prediction
"""
MODEL = {"Image": SKLEARN, "ModelDataUrl": f"s3://{BUCKET}/models/", "Mode": "MultiModel"}


def create(account: Account, **container: Any) -> str:
    """A model; returns its name."""
    name = f"many-{uuid.uuid4().hex[:10]}"
    account.sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=account.server.role, PrimaryContainer={**MODEL, **container}
    )
    return name


def variant(model: str, name: str = "all") -> dict[str, Any]:
    return {"VariantName": name, "ModelName": model, "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"Mode": "SingleModel", "MultiModelConfig": {"ModelCacheSetting": "Enabled"}}, "Mode is MultiModel"),
        ({"ModelDataUrl": ""}, "ModelDataUrl is required"),
        ({"ModelDataUrl": "https://elsewhere/"}, "must have the form s3://"),
        ({"MultiModelConfig": {"ModelCacheSetting": "Sometimes"}}, "odelCacheSetting"),
    ],
)
def test_models_that_are_refused(account: Account, container: dict[str, Any], words: str) -> None:
    given = {name: value for name, value in {**MODEL, **container}.items() if value}
    with pytest.raises(ClientError, match=words):
        account.sagemaker.create_model(
            ModelName="refused", ExecutionRoleArn=account.server.role, PrimaryContainer=given
        )


def test_several_containers_one_of_which_loads_models(account: Account) -> None:
    several = [{**MODEL, "ContainerHostname": "one"}, {"Image": SKLEARN, "ContainerHostname": "two"}]
    with pytest.raises(ClientError, match="Mode is MultiModel is not supported by Wildsage yet"):
        account.sagemaker.create_model(ModelName="refused", ExecutionRoleArn=account.server.role, Containers=several)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/out"}}},
            "AsyncInferenceConfig cannot",
        ),
        ({"ShadowProductionVariants": []}, "Shadow variants"),
    ],
)
def test_endpoints_that_are_refused(account: Account, more: dict[str, Any], words: str) -> None:
    name = create(account)
    if "ShadowProductionVariants" in more:
        more = {"ShadowProductionVariants": [variant(name, "shadow")]}
    with pytest.raises(ClientError, match=words):
        account.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(name)], **more)


def test_loading_is_measured(account: Account, server: Any) -> None:
    cloudwatch = server.client("cloudwatch")
    code = account.put("many/code.tar.gz", archive({"serve.py": SCRIPT}))
    variables = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code, "WILDSAGE_MOST_MODELS": "2"}
    name = create(account, Environment=variables)
    account.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(name)])
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    for target in ("a", "b", "c"):
        account.put(f"models/{target}.tar.gz", archive({"name": target}))
        for _ in range(2):
            answer = account.runtime.invoke_endpoint(EndpointName=name, Body=b"-", TargetModel=f"{target}.tar.gz")
            assert answer["Body"].read() == target.encode()

    def told(namespace: str, metric: str, statistic: str) -> float | None:
        answer = cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "all"}],
            StartTime=time.time() - 1800,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=[statistic],
        )
        return answer["Datapoints"][0][statistic] if answer["Datapoints"] else None

    until(lambda: told("AWS/SageMaker", "ModelCacheHit", "SampleCount") == 6)
    assert told("AWS/SageMaker", "ModelCacheHit", "Average") == 0.5
    assert told("AWS/SageMaker", "ModelLoadingWaitTime", "SampleCount") == 3
    assert told("AWS/SageMaker", "ModelDownloadingTime", "SampleCount") == 3
    assert told("AWS/SageMaker", "ModelLoadingTime", "SampleCount") == 3
    assert (told("AWS/SageMaker", "ModelLoadingTime", "Average") or 0) > 1000
    assert told("AWS/SageMaker", "ModelUnloadingTime", "SampleCount") == 1
    until(lambda: told("/aws/sagemaker/Endpoints", "LoadedModelCount", "Maximum") == 2)
    account.delete(name)
