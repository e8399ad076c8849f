"""Two routers and three variants under a steady load: who answers, and what the end of a router costs."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Server, start_server
from tests.e2e.jobs import IMAGE, archive, await_endpoint, upload
from tests.e2e.load import Load
from tests.waiting import wait_until

WEIGHTS = {"a": 1.0, "b": 2.5, "c": 6.5, "none": 0.0}
ROUTERS = ("router", "router-1")
SCRIPT = """
import json, os
def model_fn(folder): return os.environ["ME"]
def input_fn(body, content_type): return body
def predict_fn(data, model): return model
def output_fn(prediction, accept): return json.dumps(prediction)
"""


@pytest.fixture(scope="module")
def server(short_directory: Path) -> Iterator[Server]:
    """With an endpoint ``mixed`` whose variants answer with their names."""
    found = start_server(short_directory / "traffic", "--routers", "2")
    try:
        _deploy(found)
        yield found
    finally:
        found.stop()


def _deploy(server: Server) -> None:
    sagemaker = server.client("sagemaker")
    code = upload(server, "code.tar.gz", archive("serve.py", SCRIPT))
    settings = {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": code,
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    }
    data = upload(server, "model.tar.gz", archive("nothing", ""))
    for name in WEIGHTS:
        container = {"Image": IMAGE, "ModelDataUrl": data, "Environment": {**settings, "ME": name}}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=server.role, PrimaryContainer=container)
    variants = [
        {
            "VariantName": name,
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for name, weight in WEIGHTS.items()
    ]
    sagemaker.create_endpoint_config(EndpointConfigName="mixed", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="mixed", EndpointConfigName="mixed")
    await_endpoint(server, "mixed")


def test_weights_over_twenty_thousand_requests(server: Server) -> None:
    """Pearson's test: with two degrees of freedom, more than 27.6 happens once in a million runs."""
    with Load(server, "mixed", rate=math.inf) as load:
        wait_until(lambda: load.answers.total() >= 20_000, 200)
    assert load.failures == []
    found = {json.loads(answer): count for answer, count in load.answers.items()}
    assert set(found) == {"a", "b", "c"}
    total = sum(found.values())
    wanted = {name: total * weight / sum(WEIGHTS.values()) for name, weight in WEIGHTS.items() if weight}
    assert sum((found[name] - count) ** 2 / count for name, count in wanted.items()) < 27.6


def test_each_router_is_killed(server: Server) -> None:
    """A client that sends again what was inside, as stock ones do, sees nothing of it."""
    with Load(server, "mixed", tries=5) as load:
        for number, name in enumerate(ROUTERS, 1):
            before = server.status["processes"][name]
            os.kill(before, signal.SIGKILL)
            load.more(200)
            wait_until(partial(_replaced, server, name, before), 60)
            load.more(200)
            assert load.repeated <= number * load.connections
    assert load.failures == []


def _replaced(server: Server, name: str, before: int) -> bool:
    return _process(server, name) not in (None, before)


def _process(server: Server, name: str) -> int | None:
    found: int | None = server.status["processes"].get(name)
    return found
