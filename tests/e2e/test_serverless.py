"""Serverless endpoints: cold starts by fork, concurrency, memory, and what may be killed without a request lost."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import IMAGE, archive, await_endpoint, invoke, upload
from tests.e2e.killing import end_control
from tests.waiting import wait_until

IDLE = 1.0

# Answers with who loaded it, who answers and what was asked for.
SCRIPT = """
import json, os, random, threading, time
import numpy
def model_fn(folder):
    if os.environ.get("BROKEN"):
        raise RuntimeError("the weights are corrupt")
    if os.environ.get("THREAD"):
        threading.Thread(target=time.sleep, args=(1e9,), daemon=True).start()
    return {"loaded": os.getpid(), "seen": 0}
def input_fn(body, content_type): return json.loads(body)
def predict_fn(asked, model):
    model["seen"] += 1
    if asked == "hog":
        held = []
        while True:
            held.append(bytearray(16 << 20))
            time.sleep(0.005)
    if asked == "die":
        os.kill(os.getpid(), 9)
    if isinstance(asked, (int, float)):
        open("/opt/ml/asleep", "w").close()
        time.sleep(asked)
    return {**model, "pid": os.getpid(), "random": [random.random(), numpy.random.rand()]}
def output_fn(prediction, accept): return json.dumps(prediction)
"""


@pytest.fixture(scope="module")
def host(short_directory: Path) -> Iterator[Server]:
    """Whose workers end after a second without a request."""
    found = start_server(short_directory / "serverless", variables={"WILDSAGE_SERVERLESS_IDLE": str(IDLE)})
    try:
        yield found
    finally:
        found.stop()


def model(server: Server, name: str, **variables: str) -> None:
    code = upload(server, "code.tar.gz", archive("serve.py", SCRIPT))
    settings = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code, **variables}
    server.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=server.role, PrimaryContainer={"Image": IMAGE, "Environment": settings}
    )


def configure(server: Server, name: str, model: str, **config: int) -> None:
    variant = {
        "VariantName": "all",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 4, **config},
    }
    server.client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def create(server: Server, name: str, variables: dict[str, str] | None = None, **config: int) -> None:
    model(server, name, **(variables or {}))
    configure(server, name, name, **config)
    server.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)


def deploy(server: Server, name: str, variables: dict[str, str] | None = None, **config: int) -> None:
    create(server, name, variables, **config)
    await_endpoint(server, name)


def ask(server: Server, name: str, asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke(server, name, json.dumps(asked).encode()))
    return found


def variant_of(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client("sagemaker").describe_endpoint(EndpointName=name)["ProductionVariants"][0]
    return found


def metric(server: Server, namespace: str, name: str, endpoint: str, statistic: str) -> float | None:
    """Of the last half hour."""
    answer = server.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "all"}],
        StartTime=time.time() - 1800,
        EndTime=time.time() + 60,
        Period=3600,
        Statistics=[statistic],
    )
    return answer["Datapoints"][0][statistic] if answer["Datapoints"] else None


def children(pid: int) -> list[int]:
    """As this machine numbers them."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def folder_of(server: Server, name: str) -> Path:
    """Of the endpoint's only instance."""
    routes = json.loads((server.data / "routes.json").read_text())
    (variant,) = routes["endpoints"][f"us-east-1/{name}"]["variants"]
    return server.data / "instances" / f"host-{variant['instances'][0]['id']}"


class Tree:
    """The processes of a serverless endpoint."""

    def __init__(self, server: Server, name: str) -> None:
        self.keeper = int((folder_of(server, name) / "keeper").read_text().split()[1])

    @property
    def supervisor(self) -> int:
        return children(self.keeper)[0]

    @property
    def template(self) -> int:
        return children(self.supervisor)[0]

    @property
    def workers(self) -> list[int]:
        return children(self.template)


def test_cold_starts_fork(host: Server) -> None:
    """Workers end when they are idle, and the next is a fork of what was loaded once; none sees what others did."""
    deploy(host, "forks")
    found = variant_of(host, "forks")
    assert found["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 4}
    assert found["DesiredServerlessConfig"] == found["CurrentServerlessConfig"]
    assert "CurrentInstanceCount" not in found
    tree = Tree(host, "forks")
    first = ask(host, "forks", None)
    assert ask(host, "forks", None)["pid"] == first["pid"]
    wait_until(lambda: not tree.workers, 60)
    second = ask(host, "forks", None)
    assert second["pid"] != first["pid"]
    assert second["loaded"] == first["loaded"] != second["pid"]
    assert second["seen"] == 1
    assert not set(second["random"]) & set(first["random"])
    wait_until(lambda: (metric(host, "AWS/SageMaker", "ModelSetupTime", "forks", "Maximum") or 0) > 100, 60)
    assert metric(host, "AWS/SageMaker", "Invocations", "forks", "Sum") == 3
    used = metric(host, "/aws/sagemaker/Endpoints", "MemoryUtilization", "forks", "Maximum")
    assert used is not None
    assert 0 < used < 100


def test_concurrency(host: Server) -> None:
    """Four at a time, each in a process of its own; the fifth is throttled, and UpdateEndpointWeights… may allow it."""
    deploy(host, "crowd")
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask, host, "crowd", 2) for _ in range(4)]
        wait_until(lambda: len(Tree(host, "crowd").workers) >= 4, 60)
        with pytest.raises(ClientError) as error:
            ask(host, "crowd", None)
        assert error.value.response["Error"]["Code"] == "ThrottlingException"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert len({answer.result()["pid"] for answer in answers}) == 4
    sagemaker = host.client("sagemaker")
    wish = {"VariantName": "all", "ServerlessUpdateConfig": {"MaxConcurrency": 6, "ProvisionedConcurrency": 2}}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="crowd", DesiredWeightsAndCapacities=[wish])
    await_endpoint(host, "crowd")
    config = variant_of(host, "crowd")["CurrentServerlessConfig"]
    assert (config["MaxConcurrency"], config["ProvisionedConcurrency"]) == (6, 2)
    tree = Tree(host, "crowd")
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask, host, "crowd", 1) for _ in range(6)]
        assert len({answer.result()["pid"] for answer in answers}) == 6
    wait_until(lambda: len(tree.workers) == 2, 60)
    time.sleep(2 * IDLE)
    assert len(tree.workers) == 2, "provisioned workers end like others"


def test_memory(host: Server) -> None:
    """A worker that holds more than MemorySizeInMB is killed, and its request says so; the endpoint goes on."""
    deploy(host, "hungry")
    with pytest.raises(ClientError) as error:
        ask(host, "hungry", "hog")
    assert error.value.response["Error"]["Code"] == "ModelError"
    assert "ran out of memory" in error.value.response["OriginalMessage"]
    assert ask(host, "hungry", None)["seen"] == 1


def test_killed(host: Server) -> None:
    """kill -9 of a worker fails its request alone; of the template, or of control, none."""
    deploy(host, "killed")
    tree = Tree(host, "killed")
    with pytest.raises(ClientError) as error:
        ask(host, "killed", "die")
    assert error.value.response["Error"]["Code"] == "ModelError"
    first = ask(host, "killed", None)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(ask, host, "killed", 1.5)
        wait_until((folder_of(host, "killed") / "ml" / "asleep").exists, 60)
        os.kill(tree.template, signal.SIGKILL)
        assert ask(host, "killed", None)["loaded"] != first["loaded"]
        assert slow.result()["loaded"] == first["loaded"]
    wait_until(lambda: not tree.workers, 60)
    end_control(host)
    assert ask(host, "killed", None)["seen"] == 1


def test_not_forkable(host: Server) -> None:
    """A model that leaves a thread running is loaded by each worker, and the log says why."""
    deploy(host, "threads", {"THREAD": "1"})
    found = ask(host, "threads", None)
    assert found["loaded"] == found["pid"]
    logs = host.client("logs")
    group = "/aws/sagemaker/Endpoints/threads"

    def said() -> bool:
        try:
            events = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:  # nothing has been taken over yet
            return False
        return any("cannot be forked: 1 thread" in event["message"] for event in events)

    wait_until(said, 60)


def test_not_loadable(host: Server) -> None:
    create(host, "corrupt", {"BROKEN": "1"})
    sagemaker = host.client("sagemaker")

    def failed() -> bool:
        return bool(sagemaker.describe_endpoint(EndpointName="corrupt")["EndpointStatus"] == "Failed")

    wait_until(failed, 90)
    assert "the weights are corrupt" in sagemaker.describe_endpoint(EndpointName="corrupt")["FailureReason"]


def test_update_loses_nothing(host: Server) -> None:
    """Another model takes over while requests run."""
    deploy(host, "moving")
    model(host, "moved", MARK="1")
    configure(host, "moved", "moved")
    stop, failures = threading.Event(), list[Exception]()

    def steadily() -> None:
        while not stop.is_set():
            try:
                ask(host, "moving", 0.05)
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=steadily) for _ in range(3)]
    for thread in threads:
        thread.start()
    sagemaker = host.client("sagemaker")
    old = folder_of(host, "moving")
    sagemaker.update_endpoint(EndpointName="moving", EndpointConfigName="moved")
    await_endpoint(host, "moving")
    wait_until(lambda: not old.exists(), 60)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert sagemaker.describe_endpoint(EndpointName="moving")["EndpointConfigName"] == "moved"
