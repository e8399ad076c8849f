"""Jobs whose scripts print what their input is."""

from __future__ import annotations

from typing import Any

from tests.unit.services.sagemaker.conftest import BUCKET, Server, Training
from tests.unit.services.sagemaker.inputs.test_channels import channel

from wildsage.services.sagemaker.training.kind import LOG_GROUP

DATA = f"s3://{BUCKET}/data/"


def of(uri: str = DATA, name: str = "train", **changes: Any) -> dict[str, Any]:
    """A channel of what ``uri`` names; ``kind`` is its S3DataType."""
    source = {"S3Uri": uri, "S3DataType": changes.pop("kind", "S3Prefix"), **changes.pop("source", {})}
    return channel(name, source, **changes)


async def run(training: Training, name: str, script: str, *channels: dict[str, Any]) -> dict[str, Any]:
    await training.create(name, script, InputDataConfig=list(channels))
    return await training.end(name)


async def printed(server: Server, name: str) -> list[str]:
    """What the script printed, without what the toolkit says; ``name``: a job, or ``job/host``."""
    lines = await server.log(LOG_GROUP, name if "/" in name else f"{name}/")
    return [line.removeprefix("> ") for line in lines if line.startswith("> ")]


async def put(server: Server, **objects: bytes) -> None:
    for name, body in objects.items():
        await server.put(f"data/{name}", body)


LIST = """
import os, pathlib
root = pathlib.Path('/opt/ml/input/data/train')
for path in sorted(root.rglob('*')):
    print('>', path.relative_to(root).as_posix(), path.read_text() if path.is_file() else 'folder')
"""

READ = """
def read(name, size=-1):
    with open('/opt/ml/input/data/' + name, 'rb') as file:
        return file.read(size)
"""
