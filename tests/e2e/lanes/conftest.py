"""A client of both ways, and an object."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server
from tests.e2e.lanes.harness import BUCKET, VERSIONED, Lanes
from wildsage.wire.sigv4 import Credentials


def _await_objects(server: Server) -> None:
    """The objects process is the last to start."""
    deadline = time.monotonic() + 60
    while not (server.data / "run" / "objects-door.sock").exists():
        assert time.monotonic() < deadline, "there is no objects process"
        time.sleep(0.02)


@pytest.fixture
async def lanes(server: Server) -> AsyncIterator[Lanes]:
    found = Lanes(server, Credentials(*server.root_key))
    await asyncio.to_thread(_await_objects, server)
    s3 = server.client("s3")
    try:
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=VERSIONED)
        s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
    yield found
    found.client.close()


@pytest.fixture
def stored(server: Server, lanes: Lanes) -> str:
    """An object with everything that an answer can tell."""
    server.client("s3").put_object(
        Bucket=BUCKET,
        Key="told/a b+ü.txt",
        Body=bytes(range(256)) * 16,
        CacheControl="no-cache",
        ContentDisposition='attachment; filename="ü.txt"'.encode().decode("latin-1"),
        ContentEncoding="gzip",
        ContentLanguage="de",
        ContentType="text/plain; charset=utf-8",
        Metadata={"color": "blue", "Shape": "round"},
        Tagging="a=1&b=2",
        ChecksumAlgorithm="SHA256",
    )
    return f"/{BUCKET}/{quote('told/a b+ü.txt')}"
