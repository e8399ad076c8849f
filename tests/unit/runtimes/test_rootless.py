"""An engine that runs as an ordinary user: it is there, and of no use; both are said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wildsage.core.errors import RuntimeRefused
from wildsage.images.choice import Preference, Where
from wildsage.images.seeking import Seeker
from wildsage.runtimes.base import LaunchSpec
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.runtime import Containers

# What Docker's rootless engine says of itself, as far as it matters.
_SAYS = {
    "/info": {"Driver": "overlay2", "CgroupVersion": "2", "SecurityOptions": ["name=seccomp", "name=rootless"]},
    "/version": {"Version": "28.2.2", "ApiVersion": "1.50", "Components": [{"Name": "Engine"}]},
}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
    body = json.dumps(_SAYS[path]).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    writer.close()


@pytest.fixture
async def rootless(tmp_path: Path) -> AsyncIterator[Engine]:
    server = await asyncio.start_unix_server(_answer, tmp_path / "docker.sock")
    yield Engine({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    server.close()


async def test_its_containers_are_refused(rootless: Engine, tmp_path: Path) -> None:
    spec = LaunchSpec("container-1", tmp_path, (), {}, image="any")
    with pytest.raises(RuntimeRefused, match=r"rootless.*usermod -aG docker"):
        await Containers(rootless).launch(spec)


async def test_its_images_are_of_no_use(rootless: Engine) -> None:
    found = await Seeker(rootless, Preference.NATIVE).look("some/image:1")
    assert found.choice.where is Where.NOWHERE and "rootless" in found.choice.why
