"""Endpoints that change under a steady load: no request fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import IMAGE, archive, await_endpoint, kill_instance, upload
from tests.e2e.killing import end_control
from tests.e2e.load import Load
from tests.waiting import wait_until

# Multiplies by FACTOR, after SECONDS.
SCRIPT = """
import json, os, time
def model_fn(folder):
    if os.environ["FACTOR"] == "broken":
        raise RuntimeError("the weights are corrupt")
    return float(os.environ["FACTOR"])
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model):
    time.sleep(float(os.environ.get("SECONDS", "0")))
    return [each * model for each in data]
def output_fn(prediction, accept): return json.dumps(prediction)
"""
ONE, TWO = "[1.0]", "[2.0]"
HALF = {"Type": "CAPACITY_PERCENT", "Value": 50}
ONE_INSTANCE = {"Type": "INSTANCE_COUNT", "Value": 1}


def green(kind: str, wait: int, **more: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **more}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 1}}


CANARY = green("CANARY", 2, CanarySize=ONE_INSTANCE)
KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "all-at-once": {"DeploymentConfig": green("ALL_AT_ONCE", 1)},
    "canary": {"DeploymentConfig": CANARY},
    "linear": {"DeploymentConfig": green("LINEAR", 1, LinearStepSize=HALF)},
    "rolling": {"DeploymentConfig": {"RollingUpdatePolicy": {"MaximumBatchSize": HALF, "WaitIntervalInSeconds": 1}}},
}


@pytest.fixture(scope="module")
def host(short_directory: Path) -> Iterator[Server]:
    """Two routers; configurations ``one`` and ``two``, of two instances each, and likewise ``broken`` and ``slow``."""
    found = start_server(short_directory / "updates", "--routers", "2")
    try:
        models = {"one": {"FACTOR": "1"}, "two": {"FACTOR": "2"}, "broken": {"FACTOR": "broken"}}
        for name, variables in {**models, "slow": {"FACTOR": "1", "SECONDS": "1"}}.items():
            _configure(found, name, variables)
        yield found
    finally:
        found.stop()


def _configure(server: Server, name: str, variables: dict[str, str]) -> None:
    code = upload(server, "code.tar.gz", archive("serve.py", SCRIPT))
    data = upload(server, "model.tar.gz", archive("nothing", ""))
    settings = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code, **variables}
    server.client("sagemaker").create_model(
        ModelName=name,
        ExecutionRoleArn=server.role,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": data,
            "Environment": {"SAGEMAKER_MODEL_SERVER_WORKERS": "1", **settings},
        },
    )
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
    server.client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


@pytest.fixture
def endpoint(host: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """An endpoint of configuration ``one``, in service."""
    name = request.node.name.removeprefix("test_").partition("[")[0].replace("_", "-")[:50]
    name = f"{name}-{(getattr(request.node, 'callspec', None) and request.node.callspec.id) or ''}".rstrip("-")
    host.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName="one")
    await_endpoint(host, name)
    yield name
    host.client("sagemaker").delete_endpoint(EndpointName=name)
    wait_until(lambda: _described(host, name) is None, 60)


def _described(server: Server, name: str) -> dict[str, Any] | None:
    """None once it is gone."""
    try:
        found: dict[str, Any] = server.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        return None
    return found


def _until(server: Server, name: str, condition: Callable[[dict[str, Any]], Any], seconds: float = 120) -> Any:
    """Waits for something that DescribeEndpoint says; control may be away meanwhile."""
    deadline = time.monotonic() + seconds
    found: dict[str, Any] | None = None
    while time.monotonic() < deadline:
        with suppress(ClientError, BotoCoreError):
            found = _described(server, name)
        if found is not None and condition(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain; last: {found}")


def _in_service(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = _until(server, name, lambda found: found["EndpointStatus"] == "InService")
    return found


def _instances(server: Server) -> int:
    return len(list((server.data / "instances").iterdir()))


@pytest.mark.parametrize("kind", KINDS)
def test_an_update(host: Server, endpoint: str, kind: str) -> None:
    before = _instances(host)
    with Load(host, endpoint) as load:
        host.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName="two", **KINDS[kind])
        found = _in_service(host, endpoint)
        assert set(load.more()) == {TWO}
        wait_until(lambda: _instances(host) == before, 60)  # the old ones are gone
        load.more()
    assert load.failures == []
    assert load.answers[ONE] > 0
    assert found["EndpointConfigName"] == "two"
    assert "FailureReason" not in found
    assert "PendingDeploymentSummary" not in found
    assert found.get("LastDeploymentConfig") == KINDS[kind].get("DeploymentConfig")


def test_requests_under_way_are_waited_for(host: Server, endpoint: str) -> None:
    sagemaker = host.client("sagemaker")
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="slow")
    _in_service(host, endpoint)
    with Load(host, endpoint, connections=4) as load:
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="two")
        _in_service(host, endpoint)
        load.more(20)
    assert load.failures == []
    assert load.answers[ONE] > 0
    assert load.answers[TWO] > 0


def test_weights_and_capacities(host: Server, endpoint: str) -> None:
    sagemaker = host.client("sagemaker")

    def change(**wish: Any) -> None:
        wishes = [{"VariantName": "all", **wish}]
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=wishes)
        (found,) = _in_service(host, endpoint)["ProductionVariants"]
        for name, value in wish.items():
            assert found[name] == found[name.replace("Desired", "Current")] == value

    with Load(host, endpoint) as load:
        for number in range(10):
            change(DesiredWeight=float(number))
        for count in (1, 4, 1):
            change(DesiredInstanceCount=count)
            load.more()
    assert load.failures == []


def test_control_is_killed_amid_a_canary(host: Server, endpoint: str) -> None:
    with Load(host, endpoint) as load:
        policy = green("CANARY", 15, CanarySize=ONE_INSTANCE)
        host.client("sagemaker").update_endpoint(
            EndpointName=endpoint, EndpointConfigName="two", DeploymentConfig=policy
        )
        pending = "PendingDeploymentSummary"
        baking = _until(
            host,
            endpoint,
            lambda found: (
                pending in found and found[pending]["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Baking"
            ),
        )
        assert baking["EndpointStatus"] == "Updating"
        end_control(host)
        share = load.more(400)
        assert 130 < share[TWO] < 270, "the canary goes on while control is away"
        found = _in_service(host, endpoint)
        assert set(load.more()) == {TWO}
    assert load.failures == []
    assert found["EndpointConfigName"] == "two"


def test_a_model_that_fails_its_health_check(host: Server, endpoint: str) -> None:
    with Load(host, endpoint) as load:
        host.client("sagemaker").update_endpoint(
            EndpointName=endpoint, EndpointConfigName="broken", DeploymentConfig=CANARY
        )
        found = _in_service(host, endpoint)
        load.more()
    assert load.failures == []
    assert set(load.answers) == {ONE}
    assert found["EndpointConfigName"] == "one"
    assert "did not pass the ping health check" in found["FailureReason"]
    assert "the weights are corrupt" in found["FailureReason"]


def test_an_alarm_rolls_back(host: Server, endpoint: str) -> None:
    cloudwatch = host.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="too-slow",
        Namespace="Mine",
        MetricName="Slow",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName="too-slow", StateValue="OK", StateReason="set")
    policy = {
        **green("CANARY", 300, CanarySize=ONE_INSTANCE),
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "too-slow"}]},
    }
    with Load(host, endpoint) as load:
        host.client("sagemaker").update_endpoint(
            EndpointName=endpoint, EndpointConfigName="two", DeploymentConfig=policy
        )
        wait_until(lambda: load.answers[TWO] > 100, 60)
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            host.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName="two")
        cloudwatch.set_alarm_state(AlarmName="too-slow", StateValue="ALARM", StateReason="set")
        found = _in_service(host, endpoint)
        assert set(load.more()) == {ONE}
    assert load.failures == []
    assert found["EndpointConfigName"] == "one"
    assert "too-slow" in found["FailureReason"]


def test_an_instance_is_killed(host: Server, endpoint: str) -> None:
    (one, *_) = (host.data / "instances").glob("host-*")
    with Load(host, endpoint) as load:
        kill_instance(one)
        wait_until(lambda: not one.exists(), 60)
        _until(host, endpoint, lambda found: found["ProductionVariants"][0]["CurrentInstanceCount"] == 2)
        load.more()
    # What was inside it is lost, and nothing else.
    assert len(load.failures) <= load.connections
    assert all("ModelError" in each or "424" in each for each in load.failures), load.failures


def test_deleting_amid_an_update(host: Server, endpoint: str) -> None:
    policy = green("CANARY", 300, CanarySize=ONE_INSTANCE)
    host.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName="two", DeploymentConfig=policy)
    wait_until(lambda: _instances(host) == 4, 60)
    host.client("sagemaker").delete_endpoint(EndpointName=endpoint)
    wait_until(lambda: _described(host, endpoint) is None, 60)
    assert _instances(host) == 0
    host.client("sagemaker").create_endpoint(EndpointName=endpoint, EndpointConfigName="one")
    await_endpoint(host, endpoint)
