"""Asynchronous endpoints through boto3: queued, answered in S3, told by SNS."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, Account, until

# Says what it was given; fails, or ends its process, where it is asked to.
SCRIPT = """
import json, os, time
def model_fn(folder): return 1
def input_fn(body, content_type): return body, content_type
def predict_fn(data, model):
    body, content_type = data
    body = body if isinstance(body, str) else bytes(body).decode()
    if body.startswith("fail"):
        raise ValueError("the words of the model")
    if body.startswith("die"):
        os._exit(3)
    if body.startswith("sleep"):
        time.sleep(float(body.split()[1]))
    if body.startswith("size"):
        return "x" * int(body.split()[1])
    return json.dumps({"body": body, "content_type": content_type})
def output_fn(prediction, accept): return prediction, accept
"""


@dataclass
class Asynchronous:
    """One asynchronous endpoint whose topics have a queue of SQS."""

    account: Account
    name: str
    sqs: Any
    queue: str

    def invoke(self, body: bytes | str, **changes: Any) -> dict[str, Any]:
        """Puts the input and invokes; the answer."""
        data = body.encode() if isinstance(body, str) else body
        key = f"{self.name}/input/{uuid.uuid4()}"
        self.account.s3.put_object(Bucket=BUCKET, Key=key, Body=data, ContentType="text/plain")
        location = f"s3://{BUCKET}/{key}"
        found: dict[str, Any] = self.account.runtime.invoke_endpoint_async(
            **{"EndpointName": self.name, "InputLocation": location, **changes}
        )
        assert found["ResponseMetadata"]["HTTPStatusCode"] == 202
        return found

    def object(self, uri: str) -> dict[str, Any] | None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            found: dict[str, Any] = self.account.s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"
            return None
        return found

    def answer(self, told: dict[str, Any], member: str = "OutputLocation") -> str:
        """The answer, once it is there."""
        found = until(lambda: self.object(told[member]))
        text: str = found["Body"].read().decode()
        return text

    def notice(self, inference: str) -> dict[str, Any]:
        """What is told of that request."""
        while True:
            messages = self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=20, MaxNumberOfMessages=10)
            assert "Messages" in messages, "no notice in 20 s"
            for each in messages["Messages"]:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])
                told: dict[str, Any] = json.loads(json.loads(each["Body"])["Message"])
                if told["inferenceId"] == inference:
                    return told

    def log(self) -> str:
        """All data-log streams."""
        group = f"/aws/sagemaker/Endpoints/{self.name}"
        streams = self.account.logs.describe_log_streams(logGroupName=group)["logStreams"]
        lines: list[str] = []
        for each in streams:
            if each["logStreamName"].endswith("/data-log"):
                found = self.account.logs.get_log_events(
                    logGroupName=group, logStreamName=each["logStreamName"], startFromHead=True
                )
                lines += [event["message"] for event in found["events"]]
        return "\n".join(lines)


def config(name: str, topic: str = "", **changes: Any) -> dict[str, Any]:
    """An AsyncInferenceConfig."""
    output: dict[str, Any] = {
        "S3OutputPath": f"s3://{BUCKET}/{name}/output",
        "S3FailurePath": f"s3://{BUCKET}/{name}/failure/",
    }
    if topic:
        output["NotificationConfig"] = {
            "SuccessTopic": topic,
            "ErrorTopic": topic,
            "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"],
        }
    return {
        "OutputConfig": {**output, **changes},
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
    }


@pytest.fixture(scope="module")
def endpoint(account: Account) -> Iterator[Asynchronous]:
    name = f"queued-{uuid.uuid4().hex[:8]}"
    sns, sqs = account.server.client("sns"), account.server.client("sqs")
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    may = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    model = account.model(SCRIPT)
    variant = {"VariantName": "all", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    account.sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], AsyncInferenceConfig=config(name, topic)
    )
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    yield Asynchronous(account, name, sqs, queue)
    account.delete(name)


def test_an_answer_and_its_notice(endpoint: Asynchronous) -> None:
    told = endpoint.invoke("hello", InferenceId="first one", Accept="application/x-own", CustomAttributes="a=b")
    assert told["InferenceId"] == "first one"
    assert told["OutputLocation"].startswith(f"s3://{BUCKET}/{endpoint.name}/output/")
    assert told["OutputLocation"].endswith(".out")
    assert told["FailureLocation"].startswith(f"s3://{BUCKET}/{endpoint.name}/failure/")
    # The content type is the object's where the request names none, as AsyncPredictor of the SDK relies on.
    assert json.loads(endpoint.answer(told)) == {"body": "hello", "content_type": "text/plain"}
    found = endpoint.object(told["OutputLocation"])
    assert found is not None
    assert found["ContentType"] == "application/x-own"
    notice = endpoint.notice("first one")
    body = notice.pop("responseBody")
    assert json.loads(base64.b64decode(body["content"]))["body"] == "hello"
    assert body["encoding"] == "BASE64"
    for member in ("eventTime", "receivedTime"):
        assert notice.pop(member).endswith("Z")
    location = notice["requestParameters"].pop("inputLocation")
    assert location.startswith(f"s3://{BUCKET}/{endpoint.name}/input/")
    assert notice == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "accept": "application/x-own",
            "customAttributes": "a=b",
            "endpointName": endpoint.name,
        },
        "responseParameters": {"contentType": "application/x-own", "outputLocation": told["OutputLocation"]},
        "inferenceId": "first one",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    assert "[first one] Inference request succeeded. ModelLatency: " in endpoint.log()
    assert endpoint.object(told["FailureLocation"]) is None


def test_input_that_comes_along_and_names_of_its_own(endpoint: Asynchronous) -> None:
    runtime = endpoint.account.runtime
    told = runtime.invoke_endpoint_async(
        EndpointName=endpoint.name,
        Body=b"inline",
        ContentType="text/csv",
        S3OutputPathExtension="of/today",
        Filename="answer.json",
    )
    assert told["OutputLocation"] == f"s3://{BUCKET}/{endpoint.name}/output/of/today/answer.json"
    assert told["FailureLocation"] == f"s3://{BUCKET}/{endpoint.name}/failure/of/today/answer-error.json"
    assert json.loads(endpoint.answer(told)) == {"body": "inline", "content_type": "text/csv"}


def test_large_answers_are_whole(endpoint: Asynchronous) -> None:
    told = endpoint.invoke(f"size {40 << 20}", InferenceId="large")
    assert len(endpoint.answer(told)) == 40 << 20
    assert "larger than" in endpoint.notice("large")["responseBody"]["message"]


def test_a_model_that_fails(endpoint: Asynchronous) -> None:
    told = endpoint.invoke("fail", InferenceId="failing")
    assert "Internal Server Error" in endpoint.answer(told, "FailureLocation")
    notice = endpoint.notice("failing")
    assert notice["invocationStatus"] == "Failed"
    assert notice["failureReason"] == (
        "ClientError: Received server error (500) from model. See the SageMaker Endpoint logs in your account for "
        "more information."
    )
    assert "Internal Server Error" in base64.b64decode(notice["responseBody"]["content"]).decode()
    assert notice["responseParameters"]["outputLocation"] == told["FailureLocation"]
    assert '[failing] Received server error (500) from model with message "' in endpoint.log()
    assert endpoint.object(told["OutputLocation"]) is None


def test_an_input_that_is_missing(endpoint: Asynchronous) -> None:
    told = endpoint.invoke("", InputLocation=f"s3://{BUCKET}/no/such/input", InferenceId="missing")
    assert "NoSuchKey" in endpoint.answer(told, "FailureLocation")
    notice = endpoint.notice("missing")
    assert notice["failureReason"].startswith("ClientError: Data download failed:NoSuchKey (404)")


def test_a_model_that_takes_too_long(endpoint: Asynchronous) -> None:
    told = endpoint.invoke("sleep 6", InvocationTimeoutSeconds=1, InferenceId="late")
    assert "timed out" in endpoint.answer(told, "FailureLocation")
    assert "(InvocationTimeoutSeconds)" in endpoint.notice("late")["failureReason"]


def test_one_that_takes_its_container_down_is_given_up(endpoint: Asynchronous) -> None:
    told = endpoint.invoke("die", InferenceId="deadly")
    assert "lost amid the request 3 times" in endpoint.answer(told, "FailureLocation")
    assert json.loads(endpoint.answer(endpoint.invoke("after")))["body"] == "after"


def test_what_is_refused(endpoint: Asynchronous, account: Account) -> None:
    runtime = account.runtime
    uri = f"s3://{BUCKET}/input"
    with pytest.raises(ClientError, match="can only receive asynchronous invocations") as found:
        runtime.invoke_endpoint(EndpointName=endpoint.name, Body=b"")
    assert found.value.response["Error"]["Code"] == "ValidationError"
    bad: list[tuple[str, dict[str, Any]]] = [
        ("mutually exclusive", {}),
        ("mutually exclusive", {"Body": b"x", "InputLocation": uri}),
        ("less than or equal to 128000", {"Body": b"x" * 128_001}),
        ("not an S3 URI|inputLocation", {"InputLocation": "file:///etc/passwd"}),
        ("names no object", {"InputLocation": f"s3://{BUCKET}"}),
        ("requestTTLSeconds", {"InputLocation": uri, "RequestTTLSeconds": 21601}),
        ("invocationTimeoutSeconds", {"InputLocation": uri, "InvocationTimeoutSeconds": 3601}),
        ("filename", {"InputLocation": uri, "Filename": "../up"}),
        ("not found", {"InputLocation": uri, "EndpointName": "absent"}),
    ]
    for words, members in bad:
        with pytest.raises(ClientError, match=f"(?i){words}") as found:
            runtime.invoke_endpoint_async(**{"EndpointName": endpoint.name, **members})
        assert found.value.response["Error"]["Code"] == "ValidationError", words


def test_configurations_that_are_refused(account: Account) -> None:
    model = account.model(SCRIPT)
    variant = {"VariantName": "all", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    shadow = {**variant, "VariantName": "shadow"}
    for words, changes in (
        ("S3OutputPath", {"AsyncInferenceConfig": {"OutputConfig": {}}}),
        ("s3FailurePath", {"AsyncInferenceConfig": config("x", S3FailurePath="ftp://x/y")}),
        ("not supported", {"AsyncInferenceConfig": config("x"), "ShadowProductionVariants": [shadow]}),
    ):
        with pytest.raises(ClientError, match=words):
            account.sagemaker.create_endpoint_config(
                EndpointConfigName="refused", ProductionVariants=[variant], **changes
            )


def test_real_time_endpoints_have_no_queue(endpoint: Asynchronous, account: Account) -> None:
    name = account.model(SCRIPT)
    with pytest.raises(ClientError, match="AsyncInferenceConfig"):
        account.sagemaker.update_endpoint(EndpointName=endpoint.name, EndpointConfigName=name)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert account.settled(name)["EndpointStatus"] == "InService"
    with pytest.raises(ClientError, match="is not an asynchronous endpoint"):
        account.runtime.invoke_endpoint_async(EndpointName=name, InputLocation=f"s3://{BUCKET}/x")
    account.delete(name)


def test_containers_in_series_and_a_topic_that_is_not_there(account: Account) -> None:
    name = account.model(SCRIPT)
    container = account.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]
    role = account.server.role
    several = [{**container, "ContainerHostname": each} for each in ("first", "second")]
    for mode in ("Serial", "Direct"):
        account.sagemaker.create_model(
            ModelName=f"{name}-{mode}",
            ExecutionRoleArn=role,
            Containers=several,
            InferenceExecutionConfig={"Mode": mode},
        )
    variant = {"VariantName": "all", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    absent = "arn:aws:sns:us-east-1:000000000000:absent"
    request = {"EndpointConfigName": f"{name}-series", "AsyncInferenceConfig": config(name, absent)}
    with pytest.raises(ClientError, match=r"neither a container nor a model \(Mode Direct\)"):
        account.sagemaker.create_endpoint_config(
            ProductionVariants=[{**variant, "ModelName": f"{name}-Direct"}], **request
        )
    account.sagemaker.create_endpoint_config(ProductionVariants=[{**variant, "ModelName": f"{name}-Serial"}], **request)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-series")
    assert account.settled(name)["EndpointStatus"] == "InService"
    endpoint = Asynchronous(account, name, None, "")
    found = json.loads(endpoint.answer(endpoint.invoke("through both", Accept="text/plain")))
    assert json.loads(found["body"]) == {"body": "through both", "content_type": "text/plain"}
    told = endpoint.invoke("fail")
    assert "Internal Server Error" in endpoint.answer(told, "FailureLocation")
    until(lambda: "Received server error (500) from first with message" in endpoint.log())
    until(lambda: f"could not be published to {absent}: NotFound" in endpoint.log())
    account.delete(name)


def test_its_metrics(endpoint: Asynchronous) -> None:
    endpoint.answer(endpoint.invoke("measured"))
    cloudwatch = endpoint.account.server.client("cloudwatch")
    of_endpoint = [{"Name": "EndpointName", "Value": endpoint.name}]
    of_variant = [*of_endpoint, {"Name": "VariantName", "Value": "all"}]

    def names(dimensions: list[dict[str, str]]) -> set[str]:
        found = cloudwatch.list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)["Metrics"]
        return {each["MetricName"] for each in found if len(each["Dimensions"]) == len(dimensions)}

    def there() -> bool:
        return names(of_endpoint) == {
            "ApproximateBacklogSize",
            "ApproximateBacklogSizePerInstance",
            "ApproximateAgeOfOldestRequest",
            "HasBacklogWithoutCapacity",
        } and names(of_variant) >= {
            "InvocationsProcessed",
            "TimeInBacklog",
            "TotalProcessingTime",
            "ModelLatency",
            "RequestDownloadLatency",
            "ResponseUploadLatency",
            "Invocation4XXErrors",
            "Invocation5XXErrors",
        }

    until(there)
    assert "Invocations" not in names(of_variant)
