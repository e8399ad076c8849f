"""Writes, whole and in chunks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import pytest

from tests.e2e.lanes.harness import BUCKET, DATA, LONG, VERSIONED, Lanes, comparable, crc32


def chunked(data: bytes, trailer: str = "") -> bytes:
    """An unsigned ``aws-chunked`` body."""
    first = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    return b"%b0\r\n%b\r\n" % (first, trailer.encode())


UNSIGNED_TRAILER = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "content-encoding": "aws-chunked"}


@pytest.mark.parametrize(
    ("headers", "data", "status", "fast"),
    [
        ({}, DATA, 200, True),
        ({}, b"", 200, True),
        ({}, LONG, 200, True),
        ({"content-type": "text/plain", "cache-control": "no-cache", "content-language": "de"}, DATA, 200, True),
        ({"content-disposition": "inline", "content-encoding": "gzip, aws-chunked"}, DATA, 200, True),
        ({"x-amz-meta-color": "blue", "x-amz-meta-size": "7"}, DATA, 200, True),
        ({"x-amz-meta-empty": ""}, DATA, 200, False),
        ({"x-amz-meta-large": "x" * 2100}, DATA, 400, False),
        ({"expires": "Sat, 01 Jan 2095 00:00:00 GMT"}, DATA, 200, False),
        ({"content-md5": base64.b64encode(hashlib.md5(DATA).digest()).decode()}, DATA, 200, True),
        ({"content-md5": base64.b64encode(hashlib.md5(b"").digest()).decode()}, DATA, 400, False),
        ({"content-md5": base64.b64encode(hashlib.md5(b"").digest()).decode()}, LONG, 400, True),
        ({"content-md5": "none"}, DATA, 400, False),
        ({"x-amz-checksum-crc32": crc32(DATA), "x-amz-sdk-checksum-algorithm": "CRC32"}, DATA, 200, True),
        ({"x-amz-checksum-crc32": crc32(LONG)}, LONG, 200, True),
        ({"x-amz-checksum-crc32": crc32(b"")}, DATA, 400, False),
        ({"x-amz-checksum-crc32": crc32(b"")}, LONG, 400, True),
        ({"x-amz-checksum-crc32": "?"}, DATA, 400, False),
        ({"x-amz-checksum-xxhash64": "AAAAAAAAAAA="}, DATA, 501, False),
        ({"x-amz-sdk-checksum-algorithm": "SHA1"}, DATA, 400, False),
        ({"if-none-match": "*"}, DATA, 412, True),
        ({"if-match": "*"}, DATA, 200, True),
        ({"if-match": '"other"'}, LONG, 412, True),
        ({"x-amz-acl": "private"}, DATA, 400, False),
        ({"x-amz-tagging": "a=b"}, DATA, 200, False),
        ({"x-amz-storage-class": "STANDARD_IA"}, DATA, 200, False),
        ({"x-amz-server-side-encryption": "AES256"}, DATA, 200, False),
        ({"origin": "http://example.com"}, DATA, 200, False),
        ({"x-amz-expected-bucket-owner": "111111111111"}, DATA, 403, False),
    ],
)
async def test_writes(lanes: Lanes, headers: Mapping[str, str], data: bytes, status: int, fast: bool) -> None:
    lanes.server.client("s3").put_object(Bucket=BUCKET, Key="written/w", Body=b"before")
    answer = await lanes.same("PUT", f"/{BUCKET}/written/w", headers, data, fast=fast)
    assert answer.status == status
    if status == 200 and "if-match" not in headers:
        for key, direct in (("quick", False), ("slow", True)):
            assert (await lanes.send(direct, "PUT", f"/{BUCKET}/{key}", headers, data)).status == 200
        told = [await lanes.send(True, "GET", f"/{BUCKET}/{key}") for key in ("quick", "slow")]
        (first, body), (second, other) = [comparable(each) for each in told]
        assert body == other == data
        assert [h for h in first if h[0] != "last-modified"] == [h for h in second if h[0] != "last-modified"]


@pytest.mark.parametrize("data", [DATA, b"", LONG])
@pytest.mark.parametrize(("trailer", "right"), [("", True), ("crc32", True), ("crc32", False), ("missing", False)])
async def test_writes_in_chunks(lanes: Lanes, data: bytes, trailer: str, right: bool) -> None:
    headers = {**UNSIGNED_TRAILER, "x-amz-decoded-content-length": str(len(data))}
    line = ""
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        stated = crc32(data if right else data + b".")
        line = f"x-amz-checksum-crc32:{stated}\r\n" if trailer == "crc32" else ""
    body = chunked(data, line)
    hashed = UNSIGNED_TRAILER["x-amz-content-sha256"]
    answer = await lanes.same("PUT", f"/{BUCKET}/chunks", headers, body, payload_hash=hashed, fast=True)
    assert answer.status == (200 if right else 400)
    if right:
        assert (await lanes.same("GET", f"/{BUCKET}/chunks")).body == data


@pytest.mark.parametrize("data", [DATA, LONG])
async def test_writes_with_other_signatures(lanes: Lanes, data: bytes) -> None:
    target = f"/{BUCKET}/signed"
    assert (await lanes.same("PUT", target, {}, data, payload_hash="UNSIGNED-PAYLOAD", fast=True)).status == 200
    assert (await lanes.same("PUT", target, {}, data, presigned=True, fast=True)).status == 200
    assert (await lanes.same("PUT", target, {}, data, payload_hash="0" * 64)).status == 400
    assert (await lanes.same("PUT", target, {}, data, payload_hash="none")).status == 400
    wrong = lanes.root._replace(secret="wrong")
    assert (await lanes.same("PUT", target, {}, data, credentials=wrong, fast=False)).status == 403
    assert (await lanes.same("PUT", target, {}, data, region="eu-west-1", fast=False)).status == 301
    assert (await lanes.same("PUT", f"/{BUCKET}/{'k' * 1025}", {}, data, fast=False)).status == 400
    assert (await lanes.same("PUT", "/no-such-bucket-anywhere/a", {}, data, fast=False)).status == 404
    assert (await lanes.same("PUT", f"{target}?tagging", {}, b"<Tagging/>", fast=False)).status in (200, 400)


async def test_writes_into_other_buckets(lanes: Lanes) -> None:
    s3 = lanes.server.client("s3")
    answer = await lanes.send(False, "PUT", f"/{VERSIONED}/v", {}, DATA)
    slow = await lanes.send(True, "PUT", f"/{VERSIONED}/v", {}, DATA)
    assert [name for name, _ in answer.headers if name != "connection"] == [name for name, _ in slow.headers]
    listed = s3.list_object_versions(Bucket=VERSIONED, Prefix="v")["Versions"]
    versions = [version["VersionId"] for version in listed if version["Key"] == "v"]
    assert versions == [slow.header("x-amz-version-id"), answer.header("x-amz-version-id")]
    s3.create_bucket(Bucket="two-lanes-sealing")
    await lanes.same("PUT", "/two-lanes-sealing/a", {}, DATA, fast=True)
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    s3.put_bucket_encryption(Bucket="two-lanes-sealing", ServerSideEncryptionConfiguration={"Rules": rules})
    # The objects process may still take the bucket for what it was, and finds out in its transaction.
    answer = await lanes.same("PUT", "/two-lanes-sealing/a", {}, DATA)
    assert answer.header("x-amz-server-side-encryption") == "AES256"
    await lanes.same("PUT", "/two-lanes-sealing/a", {}, DATA, fast=False)
    s3.create_bucket(Bucket="two-lanes-gone")
    await lanes.same("PUT", "/two-lanes-gone/a", {}, DATA, fast=True)
    s3.delete_object(Bucket="two-lanes-gone", Key="a")
    s3.delete_bucket(Bucket="two-lanes-gone")
    assert (await lanes.same("PUT", "/two-lanes-gone/a", {}, DATA)).status == 404
