"""A whole control process within the test: door, store, engine and the real sandbox; only the router is absent."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from wildsage.compose.ending import end_containers
from wildsage.compose.table import Control, compose
from wildsage.core.errors import ApiError
from wildsage.core.jobs import JobSettings
from wildsage.core.settings import DataDir, Settings
from wildsage.kit.kind import Kind
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.store.codec import Document
from wildsage.store.resources import Resource
from wildsage.wire.http.messages import BytesBody, FileBody

REGION = "us-east-1"
ACCOUNT = "000000000000"
BUCKET = "sagemaker-us-east-1-000000000000"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
_WAIT_SECONDS = 180


class Server:
    """One control process; ``stop`` and ``start`` make it anew on the same data directory."""

    def __init__(self, data: DataDir) -> None:
        self.data = data
        self.jobs = JobSettings()
        self.control: Control
        self._engine: asyncio.Task[None]

    async def start(self) -> None:
        self.control = await compose(Settings(self.data, jobs=self.jobs))
        self._engine = asyncio.create_task(self.control.engine.run())

    async def rest(self) -> None:
        """Ends the engine alone: operations are answered, and nothing is done about what they wish."""
        self._engine.cancel()
        await asyncio.gather(self._engine, return_exceptions=True)

    async def stop(self, containers_too: bool = False) -> None:
        self._engine.cancel()
        await asyncio.gather(self._engine, return_exceptions=True)
        await self.control.rest()
        if containers_too:
            await end_containers(self.control.platform)
        await self.control.close()

    @property
    def role(self) -> str:
        return self.control.platform.credentials.role_arn

    async def call(self, service: str, operation: str, **params: Any) -> Document:
        """A call of the account's root."""
        root = self.control.platform.credentials.root
        return await self.control.door.call(root, REGION, service, operation, params)

    async def put(self, key: str, body: bytes) -> str:
        await self.call("s3", "PutObject", Bucket=BUCKET, Key=key, Body=BytesBody(body))
        return f"s3://{BUCKET}/{key}"

    async def get(self, key: str) -> bytes:
        body = (await self.call("s3", "GetObject", Bucket=BUCKET, Key=key))["Body"]
        return await asyncio.to_thread(_read, body)

    async def keys(self, prefix: str) -> list[str]:
        answer = await self.call("s3", "ListObjectsV2", Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in answer.get("Contents", ())]

    async def settled(self, kind: Kind, name: str, *phases: str) -> Resource:
        """Waits for a phase."""
        key = kind.key(ACCOUNT, REGION, name)
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                found = await self.control.platform.resources.get(key)
                if found is not None and found.phase in phases:
                    return found
                await self.control.platform.hints.wait(f"resource {key!r}", 0.05)

    async def gone(self, kind: Kind, name: str) -> None:
        """Waits until a resource is no more."""
        key = kind.key(ACCOUNT, REGION, name)
        async with asyncio.timeout(_WAIT_SECONDS):
            while await self.control.platform.resources.get(key) is not None:
                await self.control.platform.hints.wait(f"resource {key!r}", 0.05)

    async def log(self, group: str, prefix: str) -> list[str]:
        """The lines of a group's streams; none before the group is there."""
        try:
            found = await self.call("logs", "FilterLogEvents", logGroupName=group, logStreamNamePrefix=prefix)
        except ApiError as error:
            assert error.code == "ResourceNotFoundException"
            return []
        return [event["message"] for event in found["events"]]


def _read(body: FileBody) -> bytes:
    with open(body.path, "rb") as file:
        file.seek(body.offset)
        return file.read(body.length)


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """A tar.gz of texts."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return packed.getvalue()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    data = DataDir(tmp_path / "data")
    for folder in (data.root, data.instances, data.run, data.tls):
        folder.mkdir()
    (data.tls / "bundle.pem").write_text("")
    found = Server(data)
    await found.start()
    await found.call("s3", "CreateBucket", Bucket=BUCKET)
    yield found
    await found.stop(containers_too=True)


class Training:
    """Training jobs of a script."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def create(self, name: str, script: str, **changes: Any) -> Document:
        """``changes`` replace fields of the request; None leaves one out."""
        source = await self.server.put(f"{name}/source/sourcedir.tar.gz", archive({"train.py": script}))
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": self.server.role,
            "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
            "HyperParameters": {
                "sagemaker_submit_directory": f'"{source}"',
                "sagemaker_program": '"train.py"',
                "epochs": "3",
            },
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        request.update(changes)
        request = {key: value for key, value in request.items() if value is not None}
        return await self.server.call("sagemaker", "CreateTrainingJob", **request)

    async def end(self, name: str) -> Document:
        """DescribeTrainingJob once it is over."""
        await self.server.settled(TRAINING_JOB, name, "Completed", "Failed", "Stopped")
        return await self.server.call("sagemaker", "DescribeTrainingJob", TrainingJobName=name)


@pytest.fixture
def training(server: Server) -> Training:
    return Training(server)
