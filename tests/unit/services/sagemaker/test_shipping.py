"""Captured records on their way to S3: each arrives once, whoever is killed and whatever S3 says."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from tests.unit.services.sagemaker.conftest import BUCKET, Server

from wildsage.core.captures import OPEN, READY, Origin
from wildsage.dataplane.capture.spool import Finished, Spool
from wildsage.services.sagemaker.endpoints.shipping import Shipping

ASSUME = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
PUT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
)


def origin(server: Server, variant: str = "A", role: str = "", kms_key: str = "") -> Origin:
    return Origin(
        "000000000000", "us-east-1", "iris", variant, f"s3://{BUCKET}/captured/", role or server.role, kms_key
    )


def spooled(server: Server, of: Origin, *lines: bytes) -> Spool:
    spool = Spool(server.data.captured)
    assert spool.write([Finished(of.to_line(), 7200.5, line) for line in lines]) == []
    return spool


def left(server: Server) -> list[Path]:
    return sorted(server.data.captured.iterdir())


async def test_files_become_objects(server: Server) -> None:
    shipping = Shipping(server.control.platform)
    await shipping.step()  # there is no such folder yet
    spool = spooled(server, origin(server), b"1\n", b"2\n")
    await shipping.step()
    assert await server.keys("captured/") == []  # the router is not done with it
    spool.close()
    await shipping.step()
    (key,) = await server.keys("captured/")
    assert key.startswith("captured/iris/A/1970/01/01/02/00-00-500-")
    assert key.endswith(".jsonl")
    assert await server.get(key) == b"1\n2\n"
    assert left(server) == []


async def test_what_was_being_shipped_at_a_kill_arrives_once(server: Server, tmp_path: Path) -> None:
    spooled(server, origin(server), b"1\n").close()
    (file,) = left(server)
    copy = shutil.copy(file, tmp_path)
    await Shipping(server.control.platform).step()
    assert left(server) == []
    shutil.copy(copy, file)  # control was killed after S3 had it
    await Shipping(server.control.platform).step()
    (key,) = await server.keys("captured/")
    assert await server.get(key) == b"1\n"
    assert left(server) == []


async def test_the_files_of_a_killed_router_are_shipped_without_torn_lines(server: Server) -> None:
    for variant, lines in (("A", [b"1\n", b'{"to']), ("B", [b"x" * 200_000])):
        spool = spooled(server, origin(server, variant), *lines)
        for file in spool._files.values():
            os.close(file._fd)  # as the system does when a process ends
    empty = server.data.captured / f"1-0{OPEN}"
    empty.touch()
    broken = server.data.captured / f"1-1{READY}"
    broken.write_bytes(b"nonsense\n")
    shipping = Shipping(server.control.platform)
    await shipping.step()
    (key,) = await server.keys("captured/")
    assert await server.get(key) == b"1\n"
    assert left(server) == [empty]  # it may be some router's


async def test_what_the_role_may_not_write_is_kept_and_spoken_of(server: Server) -> None:
    await server.call("iam", "CreateRole", RoleName="poor", AssumeRolePolicyDocument=ASSUME)
    poor = "arn:aws:iam::000000000000:role/poor"
    shipping = Shipping(server.control.platform)

    async def said() -> list[str]:
        return await server.log("/aws/sagemaker/Endpoints/iris", "A/data-capture")

    for count in (1, 2):
        spooled(server, origin(server, role=poor), b"1\n").close()
        await shipping.step()
        assert len(left(server)) == count
        (line,) = await said()
        assert "AccessDenied" in line or "not authorized" in line
        assert poor in line
    spooled(server, origin(server), b"2\n").close()
    await shipping.step()
    assert len(await server.keys("captured/")) == 1  # another role's data does not wait for it
    await server.call("iam", "PutRolePolicy", RoleName="poor", PolicyName="put", PolicyDocument=PUT)
    deadline = time.monotonic() + 60
    while left(server):
        assert time.monotonic() < deadline
        await shipping.step()
        await server.control.platform.clock.sleep(0.05)
    assert len(await server.keys("captured/")) == 3
    assert "again" in (await said())[-1]


async def test_after_a_day_it_is_given_up(server: Server) -> None:
    spooled(server, origin(server, role="arn:aws:iam::000000000000:role/gone"), b"1\n").close()
    (file,) = left(server)
    os.utime(file, (time.time() - 90_000,) * 2)
    await Shipping(server.control.platform).step()
    assert left(server) == []
    (line,) = await server.log("/aws/sagemaker/Endpoints/iris", "A/data-capture")
    assert "given up" in line
    assert "role/gone" in line


async def test_it_is_encrypted_with_the_key(server: Server) -> None:
    spooled(server, origin(server, kms_key="alias/mine"), b"1\n").close()
    await Shipping(server.control.platform).step()
    (key,) = await server.keys("captured/")
    head = await server.call("s3", "HeadObject", Bucket=BUCKET, Key=key)
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"].endswith("alias/mine")
