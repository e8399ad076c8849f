"""What stands at a bucket is remembered until the bucket changes, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from tests.unit.services.conftest import Api, api, data, platform

from wildsage.kit.context import Platform
from wildsage.kit.operation import Service
from wildsage.services.s3.guards import BUCKET_CHANGED, Guards
from wildsage.services.s3.service import SERVICE

__all__ = ["api", "data", "platform"]


@pytest.fixture
def services() -> Mapping[str, Service]:
    return {"s3": SERVICE}


async def test_what_was_looked_up_while_the_bucket_changed_is_not_kept(platform: Platform, api: Api) -> None:
    """A policy that was taken back would have been in force until the next change."""
    await api.s3("CreateBucket", Bucket="changes")
    guards = Guards(platform)
    look = asyncio.create_task(guards.bucket("changes"))
    await asyncio.sleep(0)  # its read is under way
    platform.hints.notify(BUCKET_CHANGED, "changes")
    found = await look
    assert found is not None
    known = await guards.bucket("changes")
    assert known is not found
    assert known is await guards.bucket("changes")
