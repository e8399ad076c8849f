"""What an endpoint tells CloudWatch, through boto3: no test waits for a minute to be over."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import ECHO, Account, until

FUSSY = ECHO.replace("return data", "return 1 / 0 if 'bad' in str(data) else data")


def test_invocations_are_counted(account: Account, server: Any) -> None:
    cloudwatch = server.client("cloudwatch")
    name = account.model(ECHO)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    variant = account.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]["VariantName"]
    dimensions = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": variant}]

    def told(namespace: str, metric: str, statistic: str, *more: dict[str, str]) -> float | None:
        answer = cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[*dimensions, *more],
            StartTime=time.time() - 1800,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=[statistic],
        )
        return answer["Datapoints"][0][statistic] if answer["Datapoints"] else None

    for _ in range(7):
        account.invoke(name, b"good")
    until(lambda: told("AWS/SageMaker", "Invocations", "Sum") == 7)
    assert told("AWS/SageMaker", "InvocationsPerInstance", "Sum") == 7
    assert told("AWS/SageMaker", "Invocation5XXErrors", "Sum") == 0
    fleet = {"Name": "EndpointConfigName", "Value": name}  # its configuration is called like the endpoint
    assert told("AWS/SageMaker", "Invocations", "Sum", fleet) == 7
    assert told("AWS/SageMaker", "ModelLatency", "SampleCount") == 7
    assert (told("AWS/SageMaker", "ModelLatency", "Average") or 0) > 50
    assert (told("AWS/SageMaker", "OverheadLatency", "Average") or 0) > 5
    until(lambda: (told("/aws/sagemaker/Endpoints", "MemoryUtilization", "Maximum") or 0) > 0)
    assert told("/aws/sagemaker/Endpoints", "CPUUtilization", "Average") is not None
    account.invoke(name, b"one more")
    account.delete(name)
    until(lambda: told("AWS/SageMaker", "Invocations", "Sum") == 8)


def test_errors_of_the_model_are_counted(account: Account, server: Any) -> None:
    cloudwatch = server.client("cloudwatch")
    name = account.model(FUSSY)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    account.invoke(name, b"good")
    with pytest.raises(ClientError, match="ModelError"):
        account.invoke(name, b"bad")
    expression = {"Id": "rate", "Expression": "100 * errors / all"}
    queries = [
        {
            "Id": identity,
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": name},
                        {"Name": "VariantName", "Value": _variant(account, name)},
                    ],
                },
                "Period": 3600,
                "Stat": "Sum",
            },
        }
        for identity, metric in (("errors", "InvocationModelErrors"), ("all", "Invocations"))
    ]

    def rate() -> list[float]:
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[*queries, expression], StartTime=time.time() - 1800, EndTime=time.time() + 60
        )
        found: list[float] = answer["MetricDataResults"][0]["Values"]
        return found

    until(lambda: 50 in rate())
    account.delete(name)


def _variant(account: Account, name: str) -> str:
    found: str = account.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]["VariantName"]
    return found
