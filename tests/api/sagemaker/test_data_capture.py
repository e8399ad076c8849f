"""DataCaptureConfig, as boto3 gives it and finds its work in S3."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, ECHO, Account, until


def config(**changes: Any) -> dict[str, Any]:
    return {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captured/",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        **changes,
    }


def captured(account: Account, name: str) -> list[dict[str, Any]]:
    found = account.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"captured/{name}/").get("Contents", [])
    for each in found:
        assert re.fullmatch(
            rf"captured/{name}/AllTraffic/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{{3}}-[0-9a-f-]{{36}}\.jsonl", each["Key"]
        )
    bodies = [account.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def test_an_endpoint_captures_until_it_is_updated(account: Account, server: Any) -> None:
    name = account.model(ECHO)
    variants = account.sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    configs = {f"{name}-on": config(), f"{name}-off": config(EnableCapture=False)}
    for each, capture in configs.items():
        account.sagemaker.create_endpoint_config(
            EndpointConfigName=each, ProductionVariants=variants, DataCaptureConfig=capture
        )
    described = account.sagemaker.describe_endpoint_config(EndpointConfigName=f"{name}-on")
    assert described["DataCaptureConfig"] == {"EnableCapture": True, **config()}
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-on")
    summary = account.settled(name)["DataCaptureConfig"]
    assert summary == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captured/",
        "KmsKeyId": "",
    }
    account.runtime.invoke_endpoint(
        EndpointName=name, Body=b"[1, 2]", ContentType="application/json", InferenceId="42", CustomAttributes="a=b"
    )["Body"].read()
    (record,) = until(lambda: captured(account, name))
    assert record["captureData"]["endpointInput"] == {
        "observedContentType": "application/json",
        "mode": "INPUT",
        "data": "[1, 2]",
        "encoding": "JSON",
    }
    assert record["captureData"]["endpointOutput"]["mode"] == "OUTPUT"
    metadata = record["eventMetadata"]
    assert (metadata["inferenceId"], metadata["customAttributes"]) == ("42", ["a=b"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["inferenceTime"])

    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-off")
    settled = account.settled(name)
    assert (settled["DataCaptureConfig"]["CaptureStatus"], settled["EndpointStatus"]) == ("Stopped", "InService")
    account.invoke(name, b"off")
    cloudwatch = server.client("cloudwatch")

    def told() -> float:
        points = cloudwatch.get_metric_statistics(
            Namespace="Wildsage/DataCapture",
            MetricName="CapturedRecords",
            Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "AllTraffic"}],
            StartTime=time.time() - 1800,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return points[0]["Sum"] if points else 0.0

    assert until(told) == 1
    account.delete(name)
    assert len(captured(account, name)) == 1


def test_a_place_that_is_none_is_refused(account: Account) -> None:
    name = account.model(ECHO)
    variants = account.sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    with pytest.raises(ClientError, match="is not an S3 URI"):
        account.sagemaker.create_endpoint_config(
            EndpointConfigName=f"{name}-wrong",
            ProductionVariants=variants,
            DataCaptureConfig=config(DestinationS3Uri="https://example.com/captured"),
        )
