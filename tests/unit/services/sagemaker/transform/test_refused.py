"""Transform jobs that get some of their instances and not all."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, Server
from tests.unit.services.sagemaker.hosting import Hosting

from wildsage.core.errors import RuntimeRefused
from wildsage.runtimes.base import Handle, LaunchSpec, Phase
from wildsage.runtimes.sandbox.runtime import Sandbox
from wildsage.services.sagemaker.transform.kind import TRANSFORM_JOB


async def test_an_instance_that_is_refused_leaves_no_other_behind(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Hosting(server).model("doubles")
    await server.put("in/a.json", b"[1]")
    first = dict[str, str]()
    launch, launched, whole = Sandbox.launch, list[Handle](), asyncio.Event()

    async def refusing(self: Sandbox, spec: LaunchSpec) -> Handle:
        host = spec.name.rpartition("-")[0]
        if first.setdefault("host", host) != host:
            await whole.wait()
            raise RuntimeRefused("there is no room")
        handle = await launch(self, spec)
        launched.append(handle)
        if spec.name == f"{host}-data":
            asyncio.get_running_loop().call_later(0.1, whole.set)
        return handle

    monkeypatch.setattr(Sandbox, "launch", refusing)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}}
    await server.call(
        "sagemaker",
        "CreateTransformJob",
        TransformJobName="two",
        ModelName="doubles",
        TransformInput={"DataSource": source},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/out"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    job = await server.settled(TRANSFORM_JOB, "two", "Failed", "Completed")
    assert job.status["FailureReason"] == "there is no room"
    runtime = server.control.platform.runtimes["sandbox"]
    assert len(launched) == 2
    assert [(await runtime.inspect(each)).phase for each in launched] == [Phase.LOST, Phase.LOST]
