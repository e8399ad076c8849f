"""Models of several containers: what CreateModel takes, and the life of their instances on the real sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, SKLEARN, Server
from tests.unit.services.sagemaker.fleets import serving, variant
from tests.unit.services.sagemaker.hosting import Hosting, ask
from tests.unit.services.sagemaker.test_endpoint_updates import in_service, killed_in_step

from wildsage.core import routes
from wildsage.core.errors import ApiError, Unsupported, ValidationError
from wildsage.services.sagemaker.endpointconfigs.rules import check_model
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, log_group
from wildsage.services.sagemaker.instance.health import until_healthy
from wildsage.services.sagemaker.models import rules
from wildsage.services.sagemaker.models.containers import containers_of, mode_of

ROLE = "arn:aws:iam::000000000000:role/r"


@pytest.fixture
def hosting(server: Server) -> Hosting:
    return Hosting(server)


def several(*hostnames: str, mode: str = "", **fields: Any) -> dict[str, Any]:
    containers = [{"Image": "image", **({"ContainerHostname": name} if name else {})} for name in hostnames]
    found: dict[str, Any] = {"ModelName": "m", "ExecutionRoleArn": ROLE, "Containers": containers, **fields}
    return found | ({"InferenceExecutionConfig": {"Mode": mode}} if mode else {})


def test_containers_are_called_by_their_hostnames_or_their_places() -> None:
    assert [each.hostname for each in containers_of(several("a", "b"))] == ["a", "b"]
    assert [each.hostname for each in containers_of(several("", "", ""))] == [
        "container-1",
        "container-2",
        "container-3",
    ]
    assert [each.hostname for each in containers_of({"PrimaryContainer": {"ContainerHostname": "x"}})] == [""]
    assert (mode_of(several("", "")), mode_of(several("a", "b", mode="Direct"))) == ("Serial", "Direct")
    assert mode_of(several("a", mode="Serial")) == ""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (several("a", "b", "a"), "ContainerHostname a is given to more than one container"),
        (several("a", ""), "you must specify a value for the ContainerHostname parameter of every"),
        (several("", "", mode="Direct"), "needs two Containers or more that each have a ContainerHostname"),
        (several("a", mode="Direct"), "needs two Containers or more that each have a ContainerHostname"),
        (several("a", "b", PrimaryContainer={"Image": "image"}), "cannot specify both PrimaryContainer and Containers"),
        ({**several("a", "b"), "Containers": [{"Image": "image"}, {}]}, "Image is required"),
    ],
)
def test_what_containers_may_not_be(model: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        rules.check(model)


def test_fifteen_containers_are_not_too_many() -> None:
    rules.check(several(*[""] * 15))


def test_what_was_kept_of_instances_of_one_container_is_understood() -> None:
    state = serving(1, variant("a"))
    document = fleet.dump(state)
    (instance,) = document["instances"]
    del instance["containers"]
    (loaded,) = fleet.load(document | {"instances": [{**instance, "handle": {}, "address": ""}]}).instances.values()
    assert loaded.containers == ()
    old = {**instance, "handle": {"pid": 1}, "address": "unix:/x"}
    (loaded,) = fleet.load({**document, "instances": [old]}).instances.values()
    assert loaded.containers == (fleet.Running({"pid": 1}, "unix:/x"),)
    assert loaded.address == "unix:/x"


def test_routes_with_containers_survive_the_way_to_the_router() -> None:
    instance = routes.Instance("i", "unix:/a", (routes.Container("a", "unix:/a"), routes.Container("b", "unix:/b")))
    endpoint = routes.Endpoint(
        "n", "r", "arn", "InService", "c", "g", (routes.Variant("v", 1.0, (instance,), mode="Serial"),)
    )
    kept = routes.Routes(1, "000000000000", "00", endpoints={"r/n": endpoint})
    assert routes.from_json(kept.to_json()) == kept


async def test_an_instance_is_all_containers_of_its_model(server: Server, hosting: Hosting) -> None:
    first = await hosting.container("first", factor="2", ContainerHostname="doubling")
    second = await hosting.container("second", factor="3", ContainerHostname="tripling")
    await hosting.models("both", first, second, InferenceExecutionConfig={"Mode": "Direct"})
    described = await hosting.call("DescribeModel", ModelName="both")
    assert described["Containers"] == [first, second]
    assert described["InferenceExecutionConfig"] == {"Mode": "Direct"}
    await hosting.config("both")
    await hosting.endpoint("both")
    described = await hosting.until("both", "InService", "Failed")
    assert described["EndpointStatus"] == "InService", described
    assert len(described["ProductionVariants"][0]["DeployedImages"]) == 2
    route = await hosting.route("both")
    assert route is not None
    assert route.variants[0].mode == "Direct"
    (instance,) = route.variants[0].instances
    assert [each.hostname for each in instance.containers] == ["doubling", "tripling"]
    assert instance.address == instance.containers[0].address
    assert await ask(instance.containers[0].address, [1]) == [2.0]
    assert await ask(instance.containers[1].address, [1]) == [3.0]
    streams = await server.call("logs", "DescribeLogStreams", logGroupName=log_group("both"))
    names = [each["logStreamName"] for each in streams["logStreams"]]
    assert names == [f"AllTraffic/{instance.id}/doubling", f"AllTraffic/{instance.id}/tripling"]

    found = await server.settled(ENDPOINT, "both", "InService")
    (kept,) = fleet.load(found.state).of(fleet.SERVING)
    os.kill(kept.containers[1].handle["pid"], signal.SIGKILL)
    async with asyncio.timeout(120):
        while True:
            route = await hosting.route("both")
            assert route is not None
            serving = route.variants[0].instances
            if serving and serving[0].id != instance.id:
                break
            await asyncio.sleep(0.02)
    assert not {each.address for each in serving[0].containers} & {each.address for each in instance.containers}
    await hosting.left(2)  # of the one that died nothing is there, neither of its containers
    await hosting.delete("both")
    assert hosting.folders() == []


async def test_a_container_that_never_gets_well_is_named(server: Server, hosting: Hosting) -> None:
    good = await hosting.container("well")
    bad = await hosting.container("ill", "def model_fn(folder):\n    raise RuntimeError('weights are corrupt')\n")
    await hosting.models("mixed", good, bad, good)
    await hosting.config("mixed")
    await hosting.endpoint("mixed")
    described = await hosting.until("mixed", "Failed")
    assert described["FailureReason"].startswith(
        "The container-2 container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert "weights are corrupt" in described["FailureReason"]
    assert hosting.folders() == []


async def test_containers_that_are_still_not_well_when_time_is_over_are_all_named(
    server: Server, hosting: Hosting
) -> None:
    good = await hosting.container("quick", ContainerHostname="quick")
    slow = await hosting.container("slow", "import time\ndef model_fn(folder):\n    time.sleep(3600)\n")
    names = ("asleep", "drowsy")
    await hosting.models("lazy", *({**slow, "ContainerHostname": name} for name in names), good)
    await hosting.config("lazy")
    await hosting.endpoint("lazy")
    quick = (await hosting.launched("lazy")).containers[2]
    async with asyncio.timeout(120):
        await until_healthy(server.control.platform.clock, quick.address)
    await hosting.hurry("lazy", 2.0)
    described = await hosting.until("lazy", "Failed")
    assert described["FailureReason"].startswith("The asleep and drowsy containers for production variant AllTraffic")


async def test_data_of_a_container_that_is_not_there_is_named(hosting: Hosting) -> None:
    good = await hosting.container("there", ContainerHostname="there")
    bad = await hosting.container("gone", ContainerHostname="gone")
    await hosting.models("half", good, bad)
    await hosting.server.call("s3", "DeleteObject", Bucket=BUCKET, Key="models/gone.tar.gz")
    await hosting.config("half")
    await hosting.endpoint("half")
    described = await hosting.until("half", "Failed")
    assert described["FailureReason"].startswith('Failed to download model data for container "gone" from URL: "s3://')
    assert hosting.folders() == []


async def test_sixteen_containers_are_refused(hosting: Hosting) -> None:
    with pytest.raises(ApiError, match="Member must have length less than or equal to 15"):
        await hosting.models("many", *[{"Image": "image"}] * 16)


async def test_control_is_killed_while_two_containers_come_up_together(server: Server, hosting: Hosting) -> None:
    first = await hosting.container("first")
    await hosting.models("killed", first, await hosting.container("second", factor="3"))
    await hosting.config("killed")
    await server.rest()
    await hosting.endpoint("killed")
    await server.stop()
    lives = 0
    while not await in_service(server, "killed"):
        assert lives < 40, "it does not get on"
        await killed_in_step(server, 2 + lives % 2)
        lives += 1
    await server.start()
    route = await hosting.route("killed")
    assert route is not None
    (instance,) = route.variants[0].instances
    assert [await ask(each.address, [1]) for each in instance.containers] == [[2.0], [3.0]]
    assert lives > 2
    await hosting.left(2)
    await hosting.delete("killed")
    assert hosting.folders() == []


async def test_a_model_that_was_made_anew_is_looked_at_again(hosting: Hosting) -> None:
    await hosting.model("shadowed")
    variants = [
        {"VariantName": name, "ModelName": "shadowed", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
        for name in ("a", "b")
    ]
    await hosting.call(
        "CreateEndpointConfig",
        EndpointConfigName="shadowed",
        ProductionVariants=variants[:1],
        ShadowProductionVariants=variants[1:],
    )
    await hosting.call("DeleteModel", ModelName="shadowed")
    await hosting.models("shadowed", {"Image": SKLEARN}, {"Image": SKLEARN})
    with pytest.raises(ApiError, match="ShadowProductionVariants cannot be used with a model of several containers"):
        await hosting.endpoint("shadowed")


async def test_a_model_that_became_a_pipeline_is_no_serverless_endpoint(server: Server) -> None:
    hosting = Hosting(server)
    await hosting.model("changed")
    variant = {
        "VariantName": "all",
        "ModelName": "changed",
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    await hosting.call("CreateEndpointConfig", EndpointConfigName="changed", ProductionVariants=[variant])
    await hosting.call("DeleteModel", ModelName="changed")
    await hosting.models("changed", await hosting.container("one"), await hosting.container("two"))
    with pytest.raises(ApiError, match="cannot be serverless"):
        await hosting.endpoint("changed")


def test_shadows_beside_a_container_of_many_models_are_refused_by_name() -> None:
    model = {
        "ModelName": "m",
        "PrimaryContainer": {"Image": "image", "Mode": "MultiModel", "ModelDataUrl": "s3://b/m/"},
    }
    with pytest.raises(Unsupported, match="Shadow variants are not supported by Wildsage yet beside variant all"):
        check_model({"ShadowProductionVariants": [{}]}, {"VariantName": "all", "ModelName": "m"}, model)
