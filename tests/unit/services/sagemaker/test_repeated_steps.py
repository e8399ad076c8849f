"""Every step is done twice, as after a control process that died before it could write down what the step found."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.services.sagemaker.conftest import ACCOUNT, BUCKET, REGION, SKLEARN, Server, Training
from tests.unit.services.sagemaker.hosting import Hosting

from wildsage.kit.controller import Controller, Step
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.processing.kind import PROCESSING_JOB
from wildsage.services.sagemaker.transform.kind import TRANSFORM_JOB
from wildsage.store.resources import Resource


class Twice:
    """A controller whose steps are done, forgotten, and done again."""

    def __init__(self, controller: Controller) -> None:
        self.kind = controller.kind
        self._controller = controller

    async def step(self, resource: Resource) -> Step:
        await self._controller.step(resource.copy())
        return await self._controller.step(resource)

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        return self._controller.give_up(resource, reason)


@pytest.fixture(autouse=True)
def twice(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    controllers = server.control.engine._controllers
    for kind, controller in controllers.items():
        monkeypatch.setitem(controllers, kind, Twice(controller))


def nothing_is_left(server: Server) -> bool:
    return not list(server.data.instances.glob("*-*"))


async def test_a_training_job(server: Server, training: Training) -> None:
    script = "import os; print('loss=0.5;'); open(os.environ['SM_MODEL_DIR'] + '/m', 'w').write('1')"
    await training.create("repeated", script)
    assert (await training.end("repeated"))["TrainingJobStatus"] == "Completed"
    assert await server.keys("out/") == ["out/repeated/output/model.tar.gz"]
    assert (await server.log("/aws/sagemaker/TrainingJobs", "repeated/")).count("loss=0.5;") == 1
    assert nothing_is_left(server)


async def test_a_processing_job(server: Server) -> None:
    await server.call(
        "sagemaker",
        "CreateProcessingJob",
        ProcessingJobName="repeated",
        RoleArn=server.role,
        AppSpecification={"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", "-c", "print('once')"]},
        ProcessingResources={
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
    )
    assert (await server.settled(PROCESSING_JOB, "repeated", "Completed", "Failed")).phase == "Completed"
    assert (await server.log("/aws/sagemaker/ProcessingJobs", "repeated/")).count("once") == 1
    assert nothing_is_left(server)


async def test_a_transform_job(server: Server) -> None:
    """It is stopped: there is no router here by which it could read its input."""
    await Hosting(server).model("repeated")
    await server.put("in/a.csv", b"1\n")
    await server.call(
        "sagemaker",
        "CreateTransformJob",
        TransformJobName="repeated",
        ModelName="repeated",
        TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}}},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/out"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    key = TRANSFORM_JOB.key(ACCOUNT, REGION, "repeated")
    async with asyncio.timeout(120):
        while (found := await server.control.platform.resources.get(key)) is None or not found.state.get("hosts"):
            await server.control.platform.hints.wait(f"resource {key!r}", 0.05)
    await server.call("sagemaker", "StopTransformJob", TransformJobName="repeated")
    assert (await server.settled(TRANSFORM_JOB, "repeated", "Completed", "Failed", "Stopped")).phase == "Stopped"
    assert nothing_is_left(server)


async def test_an_endpoint(server: Server) -> None:
    hosting = Hosting(server)
    await hosting.up("repeated")
    assert await hosting.invoke("repeated", [1, 2]) == [2.0, 4.0]
    await hosting.call("DeleteEndpoint", EndpointName="repeated")
    await server.gone(ENDPOINT, "repeated")
    assert nothing_is_left(server)
