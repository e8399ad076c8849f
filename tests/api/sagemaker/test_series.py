"""Models of several containers through boto3 and the router: in series, and invoked by name."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import ECHO, SKLEARN, Account, Asking, archive, until
from tests.e2e.load import Load

LABELLED = """
import json, os, signal, time

def model_fn(folder):
    return os.environ["LABEL"]

def input_fn(body, content_type):
    return (body if isinstance(body, str) else body.decode()), content_type

def predict_fn(data, label):
    body, content_type = data
    if "die in " + label in body:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    if "fail in " + label in body:
        raise RuntimeError("asked to fail")
    return f"{body} > {label}({content_type.split(';')[0]})"

def output_fn(prediction, accept):
    return prediction, accept
"""
CSV = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}
VARIANT = {"VariantName": "AllTraffic", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}


def container(account: Account, data: str, label: str, **variables: str) -> dict[str, Any]:
    own = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_MODEL_SERVER_WORKERS": "1", "LABEL": label}
    return {
        "Image": SKLEARN,
        "ModelDataUrl": data,
        "ContainerHostname": label,
        "Environment": {**own, **variables},
    }


def config(account: Account, mode: str, count: int = 1) -> str:
    """A model of three containers, and a configuration of the same name with so many instances of it."""
    name = f"{mode.lower()}-{uuid.uuid4().hex[:10]}"
    data = account.put(f"{name}/model.tar.gz", archive({"code/inference.py": LABELLED}))
    account.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=account.server.role,
        Containers=[
            container(account, data, "first"),
            container(account, data, "second", **CSV),
            container(account, data, "third"),
        ],
        InferenceExecutionConfig={"Mode": mode},
    )
    variant = {**VARIANT, "ModelName": name, "InitialInstanceCount": count}
    account.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    return name


@pytest.fixture(scope="module")
def series(account: Account) -> str:
    name = config(account, "Serial")
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    return name


def told(
    server: Any, endpoint: str, metric: str, statistic: str, container: str = "", namespace: str = "AWS/SageMaker"
) -> float | None:
    named = {"EndpointName": endpoint, "VariantName": "AllTraffic"} | (
        {"ContainerName": container} if container else {}
    )
    answer = server.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in named.items()],
        StartTime=time.time() - 1800,
        EndTime=time.time() + 60,
        Period=3600,
        Statistics=[statistic],
    )
    return answer["Datapoints"][0][statistic] if answer["Datapoints"] else None


def test_answers_pass_from_container_to_container(account: Account, server: Any, series: str) -> None:
    answer = account.runtime.invoke_endpoint(
        EndpointName=series, Body=b"x", ContentType="text/csv", Accept="application/json"
    )
    said = "x > first(text/csv) > second(application/json) > third(text/csv)"
    assert answer["Body"].read() == said.encode()
    assert answer["ContentType"] == "application/json"
    streamed = account.runtime.invoke_endpoint_with_response_stream(
        EndpointName=series, Body=b"x", ContentType="text/csv", Accept="application/json"
    )
    assert b"".join(event["PayloadPart"]["Bytes"] for event in streamed["Body"]) == said.encode()
    until(lambda: told(server, series, "ModelLatency", "SampleCount") == 2)
    for name in ("first", "second", "third"):
        assert told(server, series, "ContainerLatency", "SampleCount", name) == 2
    whole = told(server, series, "ModelLatency", "Sum") or 0
    parts = sum(told(server, series, "ContainerLatency", "Sum", name) or 0 for name in ("first", "second", "third"))
    assert whole == pytest.approx(parts, abs=100)


def test_the_second_of_three_fails_and_is_named(account: Account, series: str) -> None:
    with pytest.raises(ClientError) as caught:
        account.invoke(series, b"fail in second")
    error = caught.value.response
    assert error["Error"]["Code"] == "ModelError"
    assert error["Error"]["Message"].startswith("Received server error (500) from second with message")
    assert error["OriginalStatusCode"] == 500
    (stream,) = account.logs.describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{series}")["logStreams"][1:2]
    assert stream["logStreamName"].endswith("/second")

    def log() -> str:
        found = account.logs.get_log_events(
            logGroupName=f"/aws/sagemaker/Endpoints/{series}", logStreamName=stream["logStreamName"]
        )
        return json.dumps(found["events"])

    until(lambda: "asked to fail" in log())


def test_no_request_fails_while_an_only_container_becomes_a_pipeline_and_back(account: Account, series: str) -> None:
    plain = account.model(ECHO)
    account.sagemaker.create_endpoint(EndpointName="becoming", EndpointConfigName=plain)
    assert account.settled("becoming")["EndpointStatus"] == "InService"
    with Asking(account, "becoming", b"x", 2) as asking:
        for wanted in (series, plain):
            account.sagemaker.update_endpoint(EndpointName="becoming", EndpointConfigName=wanted)
            assert account.settled("becoming")["EndpointConfigName"] == wanted
        until(lambda: asking.answers[-1] == b"x")
    account.delete("becoming")
    assert asking.failures == []
    assert set(asking.answers) == {b"x", b"x > first(text/csv) > second(application/json) > third(text/csv)"}


def of_user(server: Any, endpoint: str, hostnames: str) -> Any:
    """A client of a user who may invoke containers of such names and nothing else."""
    iam, name = server.client("iam"), f"user-{uuid.uuid4().hex[:10]}"
    iam.create_user(UserName=name)
    only = {"StringLike": {"sagemaker:TargetContainerHostname": [hostnames]}}
    statement = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": endpoint, "Condition": only}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.client(
        "sagemaker-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def answered(boto: Any, **asked: Any) -> bool:
    """False where it is not allowed."""
    try:
        boto.invoke_endpoint(**asked)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDeniedException", "UnrecognizedClientException"):
            return False
        raise
    return True


def test_containers_are_invoked_by_name(account: Account, server: Any) -> None:
    name = config(account, "Direct")
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    for target, accept in (("third", "text/csv"), ("first", "application/json")):
        answer = account.runtime.invoke_endpoint(
            EndpointName=name, Body=b"x", ContentType="text/csv", Accept=accept, TargetContainerHostname=target
        )
        assert answer["Body"].read() == f"x > {target}(text/csv)".encode()
    with pytest.raises(ClientError, match="requires target container hostname header"):
        account.invoke(name, b"x")
    with pytest.raises(ClientError, match="Target container hostname fourth of endpoint"):
        account.runtime.invoke_endpoint(EndpointName=name, Body=b"x", TargetContainerHostname="fourth")
    until(lambda: told(server, name, "Invocations", "Sum") == 2)
    assert told(server, name, "Invocations", "Sum", "first") == 1
    assert told(server, name, "ContainerLatency", "SampleCount", "third") == 1
    assert told(server, name, "Invocations", "Sum", "second") is None
    assert told(server, name, "ModelLatency", "SampleCount") == 2

    def memory(container: str = "") -> float:
        return told(server, name, "MemoryUtilization", "Maximum", container, "/aws/sagemaker/Endpoints") or 0.0

    until(lambda: all(memory(each) for each in ("first", "second", "third")))
    assert memory() > max(memory(each) for each in ("first", "second", "third"))
    boto = of_user(server, account.sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"], "f*")
    asked = {"EndpointName": name, "Body": b"x", "ContentType": "text/csv"}
    until(lambda: answered(boto, **asked, TargetContainerHostname="first"))
    assert not answered(boto, **asked, TargetContainerHostname="third")
    account.delete(name)


def test_shadows_and_several_containers_exclude_each_other(account: Account, series: str) -> None:
    variants = [{**VARIANT, "ModelName": series}]
    with pytest.raises(ClientError, match="ShadowProductionVariants cannot be used with a model of several containers"):
        account.sagemaker.create_endpoint_config(
            EndpointConfigName="shadowed",
            ProductionVariants=variants,
            ShadowProductionVariants=[{**variants[0], "VariantName": "shadow"}],
        )


def test_a_container_that_dies_takes_nothing_along_but_what_was_inside(account: Account, server: Any) -> None:
    name = config(account, "Serial", count=2)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    streams = {"logGroupName": f"/aws/sagemaker/Endpoints/{name}"}
    assert len(account.logs.describe_log_streams(**streams)["logStreams"]) == 6
    with Load(server, name, connections=4, rate=100) as load:
        load.more(50)
        with pytest.raises(ClientError, match="from second with message"):
            account.invoke(name, b"die in second")
        until(lambda: len(account.logs.describe_log_streams(**streams)["logStreams"]) == 9)  # another has come up
        until(lambda: account.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 2)
        load.more(50)
    account.delete(name)
    assert len(load.failures) <= load.connections, load.failures
    assert all(each.startswith("424") for each in load.failures), load.failures
