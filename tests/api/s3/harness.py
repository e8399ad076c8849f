"""S3's operations on a real database and real files, called as the gateway calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from wildsage.core.caller import root_of
from wildsage.core.clock import SystemClock
from wildsage.core.credentials import create
from wildsage.core.errors import ApiError
from wildsage.core.settings import DataDir, Settings
from wildsage.kit.context import Calls, Context, Platform
from wildsage.kit.hints import Hints
from wildsage.objects.local import LocalObjects
from wildsage.services.s3 import sweep
from wildsage.services.s3.service import SERVICE
from wildsage.store.codec import Document
from wildsage.store.database import Database
from wildsage.store.facts import Facts
from wildsage.store.resources import Resources
from wildsage.wire.http.messages import BytesBody, FileBody

ACCOUNT = "000000000000"


class S3:
    """Calls operations by name; reads bodies."""

    def __init__(self, platform: Platform, account: str = ACCOUNT, region: str = "us-east-1") -> None:
        self.platform = platform
        self.account = account
        self.region = region

    async def __call__(self, name: str, **params: Any) -> Document:
        if isinstance(params.get("Body"), bytes):
            params["Body"] = BytesBody(params["Body"])
        ctx = Context(self.platform, root_of(self.account), self.region, "s3", name, "request")
        return await SERVICE.operations[name].handler(ctx, params)

    async def bytes(self, **params: Any) -> bytes:
        """The body of GetObject."""
        body = (await self("GetObject", **params))["Body"]
        assert isinstance(body, FileBody)
        with body.path.open("rb") as file:
            file.seek(body.offset)
            return file.read(body.length)

    async def keys(self, **params: Any) -> list[str]:
        """The keys of one page of ListObjectsV2."""
        return [each["Key"] for each in (await self("ListObjectsV2", **params)).get("Contents", [])]

    def files(self) -> list[Path]:
        """Every file of the object store."""
        return [path for path in self.platform.settings.data.objects.rglob("*") if path.is_file()]

    def files_of(self, bucket: str) -> list[Path]:
        """The blobs of one bucket."""
        return [path for path in self.files() if path.parent.parent.name == bucket]

    async def sweep(self) -> None:
        """Removes garbage without its time of grace."""
        await sweep.collect(self.platform, self.platform.clock.now())


async def failing(call: Any, code: str, status: int) -> ApiError:
    """Awaits ``call``, which must be answered with that error."""
    with pytest.raises(ApiError) as caught:
        await call
    assert (caught.value.code, caught.value.status) == (code, status)
    return caught.value


async def open_platform(root: Path) -> Platform:
    """A platform for S3 alone on the data directory ``root``, recovered as at the server's start."""
    data = DataDir(root)
    database = await Database.open(data.database)
    platform = Platform(
        settings=Settings(data),
        credentials=create(root / "credentials.json", ACCOUNT),
        clock=SystemClock(),
        database=database,
        resources=Resources(database),
        facts=Facts(database),
        hints=Hints(),
        calls=cast(Calls, None),
        runtimes={},
        objects=LocalObjects(data.objects),
    )
    await sweep.recover(platform)
    return platform


async def close_platform(platform: Platform) -> None:
    await platform.database.close()
    cast(LocalObjects, platform.objects).close()
