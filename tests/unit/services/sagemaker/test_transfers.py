"""Large artifacts go up in parts; what fails on the way leaves none of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, REGION, Server

from wildsage.core.errors import ApiError
from wildsage.services.sagemaker.instance.places import Location
from wildsage.services.sagemaker.instance.transfers import Transfers


def in_parts(server: Server) -> Transfers:
    """As Transfers is for artifacts over 5 GiB, at 6 MiB."""
    platform = server.control.platform
    return Transfers(platform.calls, platform.credentials.root, REGION, whole=6 << 20, part=5 << 20)


async def test_a_large_file_goes_up_in_parts(server: Server, tmp_path: Path) -> None:
    content = os.urandom((11 << 20) + 7)
    (tmp_path / "large").write_bytes(content)
    await in_parts(server).upload(tmp_path / "large", Location(BUCKET, "large"))
    head = await server.call("s3", "HeadObject", Bucket=BUCKET, Key="large")
    assert head["ETag"].strip('"').endswith("-3")
    assert await server.get("large") == content


async def test_a_small_one_goes_up_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"small")
    await in_parts(server).upload(tmp_path / "small", Location(BUCKET, "small"))
    assert await server.get("small") == b"small"


async def test_no_parts_are_left_of_what_failed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(7 << 20))
    transfers = Transfers(
        server.control.platform.calls, server.control.platform.credentials.root, REGION, whole=6 << 20, part=1 << 20
    )
    with pytest.raises(ApiError) as caught:
        await transfers.upload(tmp_path / "large", Location(BUCKET, "large"))
    assert caught.value.code == "EntityTooSmall"
    assert not (await server.call("s3", "ListMultipartUploads", Bucket=BUCKET)).get("Uploads")
    assert await server.keys("large") == []
