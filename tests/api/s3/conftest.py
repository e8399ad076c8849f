"""One S3 for each test, on a data directory of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.api.s3.harness import S3, close_platform, open_platform


@pytest.fixture
async def s3(tmp_path: Path) -> AsyncIterator[S3]:
    platform = await open_platform(tmp_path)
    yield S3(platform)
    await close_platform(platform)


@pytest.fixture
async def bucket(s3: S3) -> str:
    await s3("CreateBucket", Bucket="bucket")
    return "bucket"
