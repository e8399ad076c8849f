"""Endpoints on the real sandbox; requests go straight to the instances that routers are told of."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, Server, archive
from tests.unit.services.sagemaker.hosting import GOOD, Hosting, ask

from wildsage.core.errors import ApiError
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, log_group


@pytest.fixture
def hosting(server: Server) -> Hosting:
    return Hosting(server)


async def test_an_endpoint_comes_up_answers_and_goes_without_a_trace(server: Server, hosting: Hosting) -> None:
    described = await hosting.up("good")
    assert await hosting.invoke("good", [1, 2]) == [2.0, 4.0]
    route = await hosting.route("good")
    assert route is not None
    assert (route.status, route.config, route.log_group) == ("InService", "good", log_group("good"))
    (variant,) = described["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)
    assert "sagemaker-scikit-learn" in variant["DeployedImages"][0]["SpecifiedImage"]
    streams = await server.call("logs", "DescribeLogStreams", logGroupName=log_group("good"))
    assert [each["logStreamName"] for each in streams["logStreams"]] == [
        f"AllTraffic/{route.variants[0].instances[0].id}"
    ]
    listed = await hosting.call("ListEndpoints", StatusEquals="InService")
    assert [each["EndpointName"] for each in listed["Endpoints"]] == ["good"]
    await hosting.delete("good")
    assert await hosting.route("good") is None
    assert hosting.folders() == []
    with pytest.raises(
        ApiError, match='Could not find endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/good"'
    ):
        await hosting.call("DescribeEndpoint", EndpointName="good")


async def test_a_model_without_its_archive_fails_in_aws_words(hosting: Hosting) -> None:
    await hosting.model("absent")
    await hosting.server.call("s3", "DeleteObject", Bucket=BUCKET, Key="models/absent.tar.gz")
    await hosting.config("absent")
    await hosting.endpoint("absent")
    described = await hosting.until("absent", "Failed")
    assert described["FailureReason"].startswith(
        f'Failed to download model data for container "container_1" from URL: "s3://{BUCKET}/models/absent.tar.gz". '
        "Please ensure that there is an object located at the URL and that the role passed to CreateModel has "
        "permissions to download the object."
    )
    assert hosting.folders() == []
    await hosting.delete("absent")


async def test_a_model_that_fails_to_load_fails_at_once_with_the_end_of_its_log(hosting: Hosting) -> None:
    words = "'layers: ' + 'dense, ' * 200 + 'weights are corrupt'"
    await hosting.model("broken", f"def model_fn(folder):\n    raise RuntimeError({words})\n")
    await hosting.config("broken")
    await hosting.endpoint("broken")
    described = await hosting.until("broken", "Failed")
    assert described["FailureReason"].startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert described["FailureReason"].strip().endswith("weights are corrupt")
    assert len(described["FailureReason"]) <= 1024
    assert hosting.folders() == []


async def test_a_server_that_never_answers_ping_fails_when_its_time_is_over(server: Server, hosting: Hosting) -> None:
    await hosting.model("mute", "import time\ndef model_fn(folder):\n    time.sleep(3600)\n")
    await hosting.config("mute")
    await hosting.endpoint("mute")
    await hosting.hurry("mute")
    described = await hosting.until("mute", "Failed")
    assert "did not pass the ping health check" in described["FailureReason"]
    assert hosting.folders() == []


async def test_deleting_works_while_an_endpoint_is_being_created(hosting: Hosting) -> None:
    await hosting.model("early", "import time\ndef model_fn(folder):\n    time.sleep(3600)\n")
    await hosting.config("early")
    await hosting.endpoint("early")
    await hosting.delete("early")
    assert hosting.folders() == []


async def test_an_instance_that_dies_is_replaced_and_the_endpoint_says_so(server: Server, hosting: Hosting) -> None:
    await hosting.up("robust")
    before = await hosting.route("robust")
    assert before is not None
    found = await server.settled(ENDPOINT, "robust", "InService")
    (instance,) = fleet.load(found.state).of(fleet.SERVING)
    os.kill(instance.containers[0].handle["pid"], signal.SIGKILL)
    async with asyncio.timeout(120):
        while True:
            route = await hosting.route("robust")
            assert route is not None
            serving = route.variants[0].instances
            if not serving:
                assert route.status == "SystemUpdating"
            elif serving[0].id != instance.id:
                break
            await asyncio.sleep(0.02)
    assert await hosting.invoke("robust", [3]) == [6.0]
    await hosting.until("robust", "InService")
    await hosting.delete("robust")
    assert hosting.folders() == []


async def test_an_update_switches_to_the_new_fleet_and_takes_the_old_one_away(hosting: Hosting) -> None:
    await hosting.up("changing")
    await hosting.model("tripled", factor="3")
    await hosting.config("tripled")
    await hosting.call("UpdateEndpoint", EndpointName="changing", EndpointConfigName="tripled")
    with pytest.raises(ApiError, match="Cannot update in-progress endpoint"):
        await hosting.call("UpdateEndpoint", EndpointName="changing", EndpointConfigName="tripled")
    described = await hosting.until("changing", "InService")
    assert described["EndpointConfigName"] == "tripled"
    assert await hosting.invoke("changing", [1]) == [3.0]
    await hosting.left(1)


async def test_an_update_that_fails_leaves_the_old_fleet_in_service(hosting: Hosting) -> None:
    await hosting.up("careful")
    await hosting.model("bad", "def model_fn(folder):\n    raise RuntimeError('no')\n")
    await hosting.config("bad")
    await hosting.call("UpdateEndpoint", EndpointName="careful", EndpointConfigName="bad")
    described = await hosting.until("careful", "InService")
    assert "did not pass the ping health check" in described["FailureReason"]
    assert described["EndpointConfigName"] == "careful"
    assert await hosting.invoke("careful", [1]) == [2.0]


async def test_weights_and_capacities_change_without_a_new_fleet(hosting: Hosting) -> None:
    await hosting.model("two")
    await hosting.config("two", {"VariantName": "a"}, {"VariantName": "b", "InitialVariantWeight": 3})
    await hosting.endpoint("two")
    await hosting.until("two", "InService")
    await hosting.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="two",
        DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredWeight": 9, "DesiredInstanceCount": 2}],
    )
    described = await hosting.until("two", "InService")
    found = {
        each["VariantName"]: (each["CurrentWeight"], each["CurrentInstanceCount"])
        for each in described["ProductionVariants"]
    }
    assert found == {"a": (9.0, 2), "b": (3.0, 1)}
    route = await hosting.route("two")
    assert route is not None
    for variant in route.variants:
        for instance in variant.instances:
            assert await ask(instance.address, [1]) == [2.0]
    with pytest.raises(ApiError, match="were not found"):
        await hosting.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="two",
            DesiredWeightsAndCapacities=[{"VariantName": "c", "DesiredWeight": 1}],
        )
    with pytest.raises(ApiError, match="utilization of 3 Instances and a request delta of 999999998") as caught:
        await hosting.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="two",
            DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredInstanceCount": 10**9}],
        )
    assert caught.value.code == "ResourceLimitExceeded"


async def test_more_instances_than_any_machine_has_are_refused(hosting: Hosting) -> None:
    await hosting.model("huge")
    await hosting.config("huge", {"InitialInstanceCount": 10**9})
    with pytest.raises(ApiError, match="'Number of instances for an endpoint' is 1000 Instances") as caught:
        await hosting.endpoint("huge")
    assert caught.value.code == "ResourceLimitExceeded"


async def test_instances_are_adopted_by_the_next_control_process(server: Server, hosting: Hosting) -> None:
    await hosting.up("kept")
    before = await hosting.route("kept")
    await server.stop()
    assert await hosting.invoke("kept", [1]) == [2.0]
    await server.start()
    assert await hosting.invoke("kept", [1]) == [2.0]
    after = await hosting.route("kept")
    assert before == after
    await hosting.delete("kept")
    assert hosting.folders() == []


async def test_instances_lost_with_the_machine_are_launched_anew(server: Server, hosting: Hosting) -> None:
    await hosting.up("reborn")
    found = await server.settled(ENDPOINT, "reborn", "InService")
    await server.stop()
    (instance,) = fleet.load(found.state).of(fleet.SERVING)
    os.kill(instance.containers[0].handle["pid"], signal.SIGKILL)
    await server.start()
    async with asyncio.timeout(120):
        while True:
            route = await hosting.route("reborn")
            assert route is not None
            serving = route.variants[0].instances
            if serving and serving[0].id != instance.id:
                break
            await asyncio.sleep(0.02)
    assert await hosting.invoke("reborn", [2]) == [4.0]
    await hosting.delete("reborn")


async def test_requirements_are_installed_once_for_all_endpoints(
    server: Server, hosting: Hosting, request: pytest.FixtureRequest
) -> None:
    """``index``: has wildsage-example, and nothing else."""
    script = GOOD.replace("import json, os", "import json, os, wildsage_example")
    files = {"factor.txt": "3", "code/inference.py": script, "code/requirements.txt": "wildsage-example==1.5"}
    data = await server.put("models/needy.tar.gz", archive(files))
    variables = {"SAGEMAKER_PROGRAM": "inference.py", **request.getfixturevalue("index")}
    for name, words in (("first", "Installing the packages of"), ("second", "were installed before")):
        await hosting.model(name, ModelDataUrl=data, Environment=variables)
        await hosting.config(name)
        await hosting.endpoint(name)
        described = await hosting.until(name, "InService", "Failed")
        assert described["EndpointStatus"] == "InService", described
        assert await hosting.invoke(name, [1, 2]) == [3, 6]
        log = await server.log(f"/aws/sagemaker/Endpoints/{name}", "AllTraffic/")
        assert any(line.startswith("[wildsage]") and words in line for line in log), log


async def test_inference_code_of_its_own_is_staged(server: Server, hosting: Hosting) -> None:
    code = await server.put("code/sourcedir.tar.gz", archive({"inference.py": GOOD}))
    data = await server.put("models/factor-only.tar.gz", archive({"factor.txt": "5"}))
    variables = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    await hosting.model("bare", ModelDataUrl=data, Environment=variables)
    await hosting.config("bare")
    await hosting.endpoint("bare")
    await hosting.until("bare", "InService", "Failed")
    assert await hosting.invoke("bare", [1]) == [5.0]


async def test_an_endpoint_with_a_shadow_and_settings_of_its_variants(hosting: Hosting) -> None:
    await hosting.model("settings")
    variant = {
        "VariantName": "main",
        "ModelName": "settings",
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 1,
        "RoutingConfig": {"RoutingStrategy": "RANDOM"},
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 2},
        "ModelDataDownloadTimeoutInSeconds": 600,
    }
    shadow = {**variant, "VariantName": "shadow", "InitialVariantWeight": 0.5}
    plain = {"EnableEnhancedMetrics": False, "MetricPublishFrequencyInSeconds": 60}
    with pytest.raises(ApiError, match=r"MetricsConfig\.EnableEnhancedMetrics is not supported by Wildsage yet"):
        await hosting.call(
            "CreateEndpointConfig",
            EndpointConfigName="settings",
            ProductionVariants=[variant],
            MetricsConfig={**plain, "EnableEnhancedMetrics": True},
        )
    await hosting.call(
        "CreateEndpointConfig",
        EndpointConfigName="settings",
        ProductionVariants=[variant],
        ShadowProductionVariants=[shadow],
        MetricsConfig=plain,
    )
    kept = await hosting.call("DescribeEndpointConfig", EndpointConfigName="settings")
    assert kept["MetricsConfig"] == plain
    await hosting.endpoint("settings")
    described = await hosting.until("settings", "InService", "Failed")
    assert described["EndpointStatus"] == "InService", described
    assert "PendingDeploymentSummary" not in described
    (shown,) = described["ShadowProductionVariants"]
    assert (shown["VariantName"], shown["CurrentWeight"], shown["CurrentInstanceCount"]) == ("shadow", 0.5, 1)
    assert described["ProductionVariants"][0]["RoutingConfig"] == {"RoutingStrategy": "RANDOM"}
    route = await hosting.route("settings")
    assert route is not None
    assert [(each.name, each.routing, len(each.instances)) for each in route.variants] == [("main", "RANDOM", 1)]
    assert [(each.name, each.weight, len(each.instances)) for each in route.shadows] == [("shadow", 0.5, 1)]
    with pytest.raises(ApiError, match="lies outside the MinInstanceCount and MaxInstanceCount"):
        await hosting.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="settings",
            DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 3}],
        )


async def test_scaling_out_leaves_the_others_alone_and_scaling_in_too(hosting: Hosting) -> None:
    await hosting.up("wide")

    async def scale(count: int) -> set[str]:
        await hosting.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="wide",
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
        )
        described = await hosting.until("wide", "InService")
        (variant,) = described["ProductionVariants"]
        assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (count, count)
        route = await hosting.route("wide")
        assert route is not None
        return {each.id for each in route.variants[0].instances}

    one = await scale(1)
    three = await scale(3)
    assert one < three
    assert await scale(1) == one
    await hosting.left(1)


async def test_an_ill_instance_is_replaced(server: Server, hosting: Hosting) -> None:
    """It runs, and nobody can reach it."""
    await hosting.up("cut-off")
    found = await server.settled(ENDPOINT, "cut-off", "InService")
    (instance,) = fleet.load(found.state).of(fleet.SERVING)
    await asyncio.to_thread(Path(instance.address.removeprefix("unix:")).unlink)
    async with asyncio.timeout(120):
        while True:
            route = await hosting.route("cut-off")
            assert route is not None
            serving = route.variants[0].instances
            if serving and serving[0].id != instance.id:
                break
            await asyncio.sleep(0.02)
    assert await hosting.invoke("cut-off", [2]) == [4.0]
    await hosting.left(1)
