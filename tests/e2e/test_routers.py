"""Several routers behind one port: all know what one knows, and one may be killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from tests.conftest import Server, start_server, wildsage
from tests.e2e.jobs import archive, await_endpoint, deploy, upload
from tests.e2e.killing import gone
from tests.waiting import wait_until

ECHO = """
def model_fn(folder):
    return None

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return data

def output_fn(prediction, accept):
    return prediction if isinstance(prediction, str) else prediction.decode()
"""
FAILING = ECHO.replace("return data", "raise RuntimeError(data)")
ROUTERS = ("router", "router-1", "router-2")


@pytest.fixture(scope="module")
def server(short_directory: Path) -> Iterator[Server]:
    found = start_server(short_directory / "routers", "--routers", "3")
    deploy(found, "echo", ECHO)
    yield found
    found.stop()


def call(server: Server, body: bytes, endpoint: str = "echo") -> bytes:
    """Over a connection of its own, so that any of the routers may get it."""
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="text/csv")
    read: bytes = answer["Body"].read()
    return read


def test_what_control_says_is_in_force_at_every_router(server: Server) -> None:
    assert set(ROUTERS) < set(server.status["processes"])
    for number in range(30):  # the chance that one of three is never asked is below 1 in 10,000
        assert call(server, f"{number}".encode()) == f"{number}".encode()
    iam = server.client("iam")
    statement = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}
    iam.create_user(UserName="late")
    iam.put_user_policy(
        UserName="late",
        PolicyName="invoke",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    key = iam.create_access_key(UserName="late")["AccessKey"]
    for _ in range(20):
        late = server.client(
            "sagemaker-runtime",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        assert late.invoke_endpoint(EndpointName="echo", Body=b"1", ContentType="text/csv")["Body"].read() == b"1"


def metric(server: Server, name: str, endpoint: str, variant: str) -> float:
    """Its sum over the last hour."""
    answer = server.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=7200,
        Statistics=["Sum"],
    )
    return sum(float(point["Sum"]) for point in answer["Datapoints"])


def test_their_counters_are_summed(server: Server) -> None:
    before = metric(server, "Invocations", "echo", "one")
    for _ in range(20):
        call(server, b"1")
    wait_until(lambda: metric(server, "Invocations", "echo", "one") == before + 20, 60)


def test_a_shadow_that_fails_is_seen_in_metrics_only(server: Server) -> None:
    sagemaker = server.client("sagemaker")
    model = sagemaker.describe_model(ModelName="echo")["PrimaryContainer"]
    code = upload(server, "failing/code.tar.gz", archive("serve.py", FAILING))
    environment = {**model["Environment"], "SAGEMAKER_SUBMIT_DIRECTORY": code}
    sagemaker.create_model(
        ModelName="failing", ExecutionRoleArn=server.role, PrimaryContainer={**model, "Environment": environment}
    )
    production, shadow = (
        {"VariantName": variant, "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        for variant, name in (("production", "echo"), ("shadow", "failing"))
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName="shadowed", ProductionVariants=[production], ShadowProductionVariants=[shadow]
    )
    sagemaker.create_endpoint(EndpointName="shadowed", EndpointConfigName="shadowed")
    await_endpoint(server, "shadowed")
    for _ in range(20):
        answer = server.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="shadowed", Body=b"1", ContentType="text/csv"
        )
        assert (answer["Body"].read(), answer["InvokedProductionVariant"]) == (b"1", "production")
    for name, variant, count in (
        ("Invocations", "production", 20),
        ("Invocations", "shadow", 20),
        ("Invocation5XXErrors", "production", 0),
        ("Invocation5XXErrors", "shadow", 20),
    ):
        wait_until(partial(_has, server, name, variant, count), 60)
    sagemaker.delete_endpoint(EndpointName="shadowed")


def _has(server: Server, name: str, variant: str, count: int) -> bool:
    return metric(server, name, "shadowed", variant) == count


def test_streams_are_answered(server: Server) -> None:
    answer = server.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName="echo", Body=b"1,2", ContentType="text/csv"
    )
    assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]) == b"1,2"
    assert answer["InvokedProductionVariant"] == "one"


class Load:
    """Threads that invoke all the time with a stock client, as it comes: with its retries."""

    def __init__(self, server: Server, threads: int) -> None:
        self._server = server
        self._stop = threading.Event()
        self.good = 0
        self.bad: list[Exception] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def go_on(self, count: int) -> None:
        """Returns after as many further answers."""
        aim = self.good + count
        wait_until(lambda: self.good >= aim, 60)

    def _run(self) -> None:
        client: Any = self._server.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 5}))
        while not self._stop.is_set():
            try:
                answer = client.invoke_endpoint(EndpointName="echo", Body=b"1", ContentType="text/csv")
                assert answer["Body"].read() == b"1"
                self.good += 1
            except Exception as error:
                self.bad.append(error)
            time.sleep(0.005)


def replaced(server: Server, name: str, pid: int) -> bool:
    return int(server.status["processes"].get(name, pid)) != pid


def test_a_killed_router_is_replaced_while_the_others_serve(server: Server) -> None:
    before = server.status["processes"]
    with Load(server, 6) as load:
        for name in ROUTERS:
            load.go_on(20)
            os.kill(before[name], signal.SIGKILL)
            wait_until(partial(gone, before[name]))
            wait_until(partial(replaced, server, name, before[name]), 60)
        load.go_on(50)
    assert load.bad == []


def test_the_port_is_nobody_elses(server: Server, short_directory: Path) -> None:
    port = server.url.rpartition(":")[2]
    for count in ("1", "2"):
        other = wildsage("up", "--port", port, "--routers", count, "--data", str(short_directory / "other"))
        assert other.returncode == 2
        assert "cannot be used" in other.stderr


@pytest.mark.parametrize("count", ["0", "65", "-1"])
def test_a_number_of_routers_that_cannot_be_is_refused(short_directory: Path, count: str) -> None:
    answer = wildsage("up", "--port", "0", "--routers", count, "--data", str(short_directory / "none"))
    assert answer.returncode == 2
    assert "the number of routers must be from 1 to 64" in answer.stderr
