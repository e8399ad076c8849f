"""UpdateEndpoint with a DeploymentConfig: what is kept of it, what is refused, and control killed again and again."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

import pytest
from tests.conftest import ROOT, clean_environment
from tests.unit.services.sagemaker.conftest import ACCOUNT, BUCKET, REGION, Server
from tests.unit.services.sagemaker.hosting import Hosting, ask

from wildsage.core.errors import ApiError
from wildsage.core.instances import LEFT
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.store.codec import Document
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

ROLLING: Document = {
    "RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}, "WaitIntervalInSeconds": 0}
}


@pytest.fixture
def hosting(server: Server) -> Hosting:
    return Hosting(server)


async def update(hosting: Hosting, config: str, **more: Any) -> Document:
    """DescribeEndpoint of ``changing`` after its update."""
    await hosting.call("UpdateEndpoint", EndpointName="changing", EndpointConfigName=config, **more)
    described = await hosting.until("changing", "InService")
    assert described["EndpointConfigName"] == config, described
    return described


async def test_what_is_retained(hosting: Hosting) -> None:
    await hosting.up("changing")
    wish = {"VariantName": "AllTraffic", "DesiredWeight": 7, "DesiredInstanceCount": 3}
    await hosting.call(
        "UpdateEndpointWeightsAndCapacities", EndpointName="changing", DesiredWeightsAndCapacities=[wish]
    )
    await hosting.until("changing", "InService")
    for name in ("next", "last"):
        await hosting.model(name, factor="3")
        await hosting.config(name, {"InitialInstanceCount": 2})
    described = await update(
        hosting,
        "next",
        DeploymentConfig=ROLLING,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    assert described["LastDeploymentConfig"] == ROLLING
    (variant,) = described["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (3, 1.0)
    described = await update(hosting, "last", RetainDeploymentConfig=True)
    assert described["LastDeploymentConfig"] == ROLLING
    await hosting.left(2)


async def test_an_instance_ends_only_when_no_router_has_anything_under_way_there(
    server: Server, hosting: Hosting
) -> None:
    underway: dict[str, int] = {}

    async def router(request: Request) -> Response:
        if request.path == LEFT:
            asked = json.loads(await request.body.read(1 << 20))["addresses"]
            return Response(200, [], json.dumps({"left": underway.keys().isdisjoint(asked)}).encode())
        told: dict[str, Any] = {"pid": 1, "since": 0.0, "endpoints": {}}
        return Response(200, [], json.dumps(told).encode())

    listening = await start_server(router, path=server.data.router_socket())
    await hosting.model("busy")
    await hosting.config("busy", {"InitialInstanceCount": 2})
    await hosting.endpoint("busy")
    await hosting.until("busy", "InService")
    route = await hosting.route("busy")
    assert route is not None
    addresses = {each.address for each in route.variants[0].instances}
    underway.update(dict.fromkeys(addresses, 1))
    wish = {"VariantName": "AllTraffic", "DesiredInstanceCount": 1}
    await hosting.call("UpdateEndpointWeightsAndCapacities", EndpointName="busy", DesiredWeightsAndCapacities=[wish])
    described = await hosting.until("busy", "InService")
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    route = await hosting.route("busy")
    assert route is not None
    (left,) = addresses - {each.address for each in route.variants[0].instances}
    await asyncio.sleep(0.5)  # long enough to have been ended by mistake
    assert await ask(left, [1]) == [2.0]
    del underway[left]
    await hosting.left(1)
    await listening.close(0)


async def test_capacities_that_cannot_be_had_change_nothing(server: Server, hosting: Hosting) -> None:
    await hosting.up("alone")
    before = await hosting.route("alone")
    await server.call("s3", "DeleteObject", Bucket=BUCKET, Key="models/alone.tar.gz")
    wish = {"VariantName": "AllTraffic", "DesiredInstanceCount": 2, "DesiredWeight": 5}
    await hosting.call("UpdateEndpointWeightsAndCapacities", EndpointName="alone", DesiredWeightsAndCapacities=[wish])
    described = await hosting.until("alone", "InService")
    assert "Failed to download model data" in described["FailureReason"]
    (variant,) = described["ProductionVariants"]
    assert (variant["DesiredWeight"], variant["DesiredInstanceCount"]) == (1.0, 1)
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (1.0, 1)
    after = await hosting.route("alone")
    assert before is not None
    assert after is not None
    assert after.variants == before.variants
    await hosting.left(1)


async def test_alarms_must_be_there_for_the_role_to_see(server: Server, hosting: Hosting) -> None:
    await hosting.up("changing")
    watched = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "none such"}]}}
    with pytest.raises(ApiError, match="alarms that do not exist: none such"):
        await hosting.call(
            "UpdateEndpoint", EndpointName="changing", EndpointConfigName="changing", DeploymentConfig=watched
        )
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},'
        '"Action":"sts:AssumeRole"}]}'
    )
    role = await server.call("iam", "CreateRole", RoleName="blind", AssumeRolePolicyDocument=trust)
    reads = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
    await server.call("iam", "PutRolePolicy", RoleName="blind", PolicyName="reads", PolicyDocument=reads)
    container = (await hosting.call("DescribeModel", ModelName="changing"))["PrimaryContainer"]
    await hosting.call(
        "CreateModel", ModelName="blind", ExecutionRoleArn=role["Role"]["Arn"], PrimaryContainer=container
    )
    await hosting.config("blind")
    with pytest.raises(ApiError, match=r"cannot be read as role .*role/blind"):
        await hosting.call(
            "UpdateEndpoint", EndpointName="changing", EndpointConfigName="blind", DeploymentConfig=watched
        )
    assert (await hosting.call("DescribeEndpoint", EndpointName="changing"))["EndpointStatus"] == "InService"


async def test_a_rollback_that_fails_leaves_both_fleets_in_service(server: Server, hosting: Hosting) -> None:
    """The archives of both models vanish once the first batch has its traffic: neither fleet gets another instance."""
    for name, factor in (("changing", "2"), ("tripled", "3"), ("saved", "4")):
        await hosting.model(name, factor=factor)
        await hosting.config(name, {"InitialInstanceCount": 2})
    await hosting.endpoint("changing")
    await hosting.until("changing", "InService")
    policy = {"RollingUpdatePolicy": {**ROLLING["RollingUpdatePolicy"], "WaitIntervalInSeconds": 10}}
    await hosting.call("UpdateEndpoint", EndpointName="changing", EndpointConfigName="tripled", DeploymentConfig=policy)
    async with asyncio.timeout(120):
        while (route := await hosting.route("changing")) is None or len(route.variants) < 2:
            await server.control.platform.hints.wait("resource", 0.05)
    for name in ("changing", "tripled"):
        await server.call("s3", "DeleteObject", Bucket=BUCKET, Key=f"models/{name}.tar.gz")
    described = await hosting.until("changing", "UpdateRollbackFailed", "InService")
    assert described["EndpointStatus"] == "UpdateRollbackFailed", described
    assert described["FailureReason"].count("Failed to download model data") == 2
    assert described["EndpointConfigName"] == "changing"
    route = await hosting.route("changing")
    assert route is not None
    assert [(each.weight, each.share, len(each.instances)) for each in route.variants] == [(0.5, 0.5, 1), (0.5, 0.5, 1)]
    answers = [await ask(each.address, [1]) for variant in route.variants for each in variant.instances]
    assert answers == [[2.0], [3.0]]
    wish = {"VariantName": "AllTraffic", "DesiredWeight": 7}
    with pytest.raises(ApiError, match="in status UpdateRollbackFailed"):
        await hosting.call(
            "UpdateEndpointWeightsAndCapacities", EndpointName="changing", DesiredWeightsAndCapacities=[wish]
        )
    described = await update(hosting, "saved", DeploymentConfig=ROLLING)
    assert "FailureReason" not in described
    assert await hosting.invoke("changing", [1]) == [4.0]
    await hosting.left(2)


async def test_control_is_killed_in_every_few_steps_of_a_rolling_update(server: Server, hosting: Hosting) -> None:
    await hosting.model("changing")
    await hosting.config("changing", {"InitialInstanceCount": 2})
    await hosting.endpoint("changing")
    await hosting.until("changing", "InService")
    await hosting.model("tripled", factor="3")
    await hosting.config("tripled", {"InitialInstanceCount": 2})
    await server.rest()
    await hosting.call(
        "UpdateEndpoint", EndpointName="changing", EndpointConfigName="tripled", DeploymentConfig=ROLLING
    )
    await server.stop()
    lives = 0
    while not await in_service(server):
        lives += 1
        assert lives < 60, "it does not get on"
        await killed_in_step(server, 2 + lives % 3)
        route = await hosting.route("changing")
        assert route is not None
        found = [await ask(each.address, [1]) for variant in route.variants for each in variant.instances]
        assert found
        assert {answer[0] for answer in found} <= {2.0, 3.0}
    await server.start()
    described = await hosting.until("changing", "InService")
    assert described["EndpointConfigName"] == "tripled"
    assert "FailureReason" not in described
    await hosting.left(2)
    assert await hosting.invoke("changing", [1]) == [3.0]
    assert lives > 3


async def killed_in_step(server: Server, number: int) -> None:
    """A process of control that is killed there, or that has nothing more to do."""
    command = (sys.executable, "-m", "tests.unit.services.sagemaker.dying_endpoint", str(server.data.root), str(number))
    path = f"{ROOT / 'src'}:{ROOT}"
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**clean_environment(), "PYTHONPATH": path})
    async with asyncio.timeout(120):
        assert await process.wait() == -signal.SIGKILL


async def in_service(server: Server, name: str = "changing") -> bool:
    """What the store says, without anybody acting on it."""
    await server.start()
    await server.rest()
    found = await server.control.platform.resources.get(ENDPOINT.key(ACCOUNT, REGION, name))
    await server.stop()
    assert found is not None
    return found.phase == "InService"
