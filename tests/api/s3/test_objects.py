"""Objects: put, get, head, delete, conditions, ranges, checksums, versions."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.api.s3.harness import S3, failing

from wildsage.wire.http.messages import BytesBody, FileBody

DATA = b"the quick brown fox"
ETAG = f'"{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"'
CRC32 = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()


async def put(s3: S3, key: str = "key", data: bytes = DATA, **params: Any) -> dict[str, Any]:
    return await s3("PutObject", Bucket="bucket", Key=key, Body=data, **params)


async def test_an_object_comes_back_with_everything_it_was_given(s3: S3, bucket: str) -> None:
    made = await put(
        s3,
        ContentType="text/plain",
        ContentEncoding="aws-chunked,gzip",
        CacheControl="no-cache",
        Metadata={"Colour": "Blü"},
        Tagging="a=1&b=x%20y",
    )
    assert made["ETag"] == ETAG
    assert made["ChecksumType"] == "FULL_OBJECT"
    told = await s3("GetObject", Bucket=bucket, Key="key")
    body = told.pop("Body")
    assert isinstance(body, FileBody)
    assert (body.path.read_bytes(), body.offset, body.length) == (DATA, 0, len(DATA))
    assert told == await s3("HeadObject", Bucket=bucket, Key="key")
    assert told["ETag"] == ETAG
    assert told["ContentLength"] == len(DATA)
    assert told["ContentType"] == "text/plain"
    assert told["ContentEncoding"] == "gzip"
    assert told["CacheControl"] == "no-cache"
    assert told["Metadata"] == {"colour": "Blü"}
    assert told["TagCount"] == 2
    assert "VersionId" not in told


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "a\0b", "é" * 512, "folder/", "a//b", "/", "..", " ", "\U0001f600"]
)
async def test_any_key_is_a_key(s3: S3, bucket: str, key: str) -> None:
    await put(s3, key)
    assert await s3.bytes(Bucket=bucket, Key=key) == DATA
    assert await s3.keys(Bucket=bucket) == [key]
    await s3("DeleteObject", Bucket=bucket, Key=key)
    await s3.sweep()
    assert s3.files() == []


async def test_a_key_has_at_most_1024_bytes(s3: S3, bucket: str) -> None:
    await failing(put(s3, "é" * 512 + "x"), "KeyTooLongError", 400)


async def test_what_is_not_there(s3: S3, bucket: str) -> None:
    error = await failing(s3("GetObject", Bucket=bucket, Key="no"), "NoSuchKey", 404)
    assert error.fields == {"Key": "no"}
    await failing(s3("HeadObject", Bucket=bucket, Key="no"), "NoSuchKey", 404)
    await failing(s3("GetObject", Bucket="other", Key="no"), "NoSuchBucket", 404)
    await failing(s3("PutObject", Bucket="other", Key="no", Body=DATA), "NoSuchBucket", 404)
    await failing(s3("GetObject", Bucket=bucket, Key="no", VersionId="abc"), "NoSuchVersion", 404)
    assert await s3("DeleteObject", Bucket=bucket, Key="no") == {}


async def test_an_overwritten_object_leaves_no_file(s3: S3, bucket: str) -> None:
    await put(s3)
    await put(s3, data=b"new")
    assert await s3.bytes(Bucket=bucket, Key="key") == b"new"
    await s3.sweep()
    assert [path.read_bytes() for path in s3.files()] == [b"new"]


async def test_a_body_that_breaks_leaves_what_was_there(s3: S3, bucket: str) -> None:
    class Broken(BytesBody):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"half"
            raise ConnectionResetError("the client went away")

    await put(s3)
    with pytest.raises(ConnectionResetError):
        await s3("PutObject", Bucket=bucket, Key="key", Body=Broken())
    assert await s3.bytes(Bucket=bucket, Key="key") == DATA
    assert len(s3.files()) == 1


@pytest.mark.parametrize(
    ("header", "expected", "told"),
    [
        ("bytes=0-2", DATA[:3], "bytes 0-2/19"),
        ("bytes=4-", DATA[4:], "bytes 4-18/19"),
        ("bytes=-3", DATA[-3:], "bytes 16-18/19"),
        ("bytes=-100", DATA, "bytes 0-18/19"),
        ("bytes=10-100", DATA[10:], "bytes 10-18/19"),
        ("bytes=5-2", DATA, None),
        ("bytes=0-1,3-4", DATA, None),
        ("lines=1-2", DATA, None),
    ],
)
async def test_ranges(s3: S3, bucket: str, header: str, expected: bytes, told: str | None) -> None:
    await put(s3)
    assert await s3.bytes(Bucket=bucket, Key="key", Range=header) == expected
    assert (await s3("HeadObject", Bucket=bucket, Key="key", Range=header)).get("ContentRange") == told


@pytest.mark.parametrize("header", ["bytes=19-", "bytes=100-200", "bytes=-0"])
async def test_a_range_beyond_the_end(s3: S3, bucket: str, header: str) -> None:
    await put(s3)
    error = await failing(s3("GetObject", Bucket=bucket, Key="key", Range=header), "InvalidRange", 416)
    assert error.fields["ActualObjectSize"] == "19"


async def test_conditional_reads(s3: S3, bucket: str) -> None:
    await put(s3)
    modified = (await s3("HeadObject", Bucket=bucket, Key="key"))["LastModified"]

    def get(**condition: Any) -> Any:
        return s3("GetObject", Bucket=bucket, Key="key", **condition)

    for fine in (
        {"IfMatch": ETAG},
        {"IfMatch": "*"},
        {"IfMatch": f'"x", {ETAG}'},
        {"IfModifiedSince": modified - 1},
        {"IfUnmodifiedSince": modified},
        {"IfMatch": ETAG, "IfUnmodifiedSince": modified - 100},
        {"IfNoneMatch": '"x"', "IfModifiedSince": modified + 100},
    ):
        await get(**fine)
    await failing(get(IfMatch='"x"'), "PreconditionFailed", 412)
    await failing(get(IfUnmodifiedSince=modified - 1), "PreconditionFailed", 412)
    await failing(get(IfNoneMatch=ETAG), "NotModified", 304)
    await failing(get(IfModifiedSince=modified), "NotModified", 304)


async def test_conditional_writes(s3: S3, bucket: str) -> None:
    await put(s3, IfNoneMatch="*")
    await failing(put(s3, IfNoneMatch="*"), "PreconditionFailed", 412)
    await failing(put(s3, IfMatch='"x"'), "PreconditionFailed", 412)
    await failing(put(s3, "other", IfMatch=ETAG), "NoSuchKey", 404)
    await put(s3, data=b"new", IfMatch=ETAG)
    assert await s3.bytes(Bucket=bucket, Key="key") == b"new"
    await failing(s3("DeleteObject", Bucket=bucket, Key="key", IfMatch=ETAG), "PreconditionFailed", 412)
    assert len(s3.files()) == 2  # the overwritten one waits for the sweep; refused writes left nothing
    await s3("DeleteObject", Bucket=bucket, Key="key")
    await put(s3, IfNoneMatch="*")


async def test_stated_checksums_are_verified_and_returned(s3: S3, bucket: str) -> None:
    made = await put(s3, ChecksumCRC32=CRC32, ContentMD5=base64.b64encode(bytes.fromhex(ETAG.strip('"'))).decode())
    assert made["ChecksumCRC32"] == CRC32
    told = await s3("HeadObject", Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (told["ChecksumCRC32"], told["ChecksumType"]) == (CRC32, "FULL_OBJECT")
    assert "ChecksumCRC32" not in await s3("HeadObject", Bucket=bucket, Key="key")
    (listed,) = (await s3("ListObjectsV2", Bucket=bucket))["Contents"]
    assert listed["ChecksumAlgorithm"] == ["CRC32"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumSHA256": base64.b64encode(bytes(32)).decode()}, "BadDigest"),
        ({"ContentMD5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
        ({"ContentMD5": "abc"}, "InvalidDigest"),
        ({"ChecksumCRC32": "nonsense"}, "InvalidRequest"),
        ({"ChecksumCRC32": CRC32, "ChecksumSHA1": CRC32}, "InvalidRequest"),
        ({"ChecksumAlgorithm": "SHA1", "ChecksumCRC32": CRC32}, "InvalidRequest"),
    ],
)
async def test_a_wrong_digest_keeps_the_object_out(s3: S3, bucket: str, params: dict[str, Any], code: str) -> None:
    await failing(put(s3, **params), code, 400)
    assert await s3.keys(Bucket=bucket) == []
    assert s3.files() == []


async def test_a_trailing_checksum_is_verified(s3: S3, bucket: str) -> None:
    class Trailed(BytesBody):
        trailers = {"x-amz-checksum-crc32": CRC32}

    made = await s3("PutObject", Bucket=bucket, Key="key", Body=Trailed(DATA), ChecksumAlgorithm="CRC32")
    assert made["ChecksumCRC32"] == CRC32


@pytest.mark.parametrize(
    "params",
    [
        {"ChecksumXXHASH3": "AAAAAAAAAAA="},
    ],
)
async def test_what_does_not_happen_is_refused_by_name(s3: S3, bucket: str, params: dict[str, Any]) -> None:
    await failing(put(s3, **params), "NotImplemented", 501)


async def test_public_acls_are_refused_as_in_new_buckets_of_aws(s3: S3, bucket: str) -> None:
    await put(s3, ACL="bucket-owner-full-control")
    await failing(put(s3, ACL="public-read"), "AccessControlListNotSupported", 400)


async def test_metadata_and_tags_have_limits(s3: S3, bucket: str) -> None:
    await failing(put(s3, Metadata={"a": "x" * 2048}), "MetadataTooLarge", 400)
    await failing(put(s3, Tagging="&".join(f"{n}=x" for n in range(11))), "BadRequest", 400)
    await failing(put(s3, Tagging="a=1&a=2"), "InvalidTag", 400)


async def test_versions_and_delete_markers(s3: S3, bucket: str) -> None:
    await put(s3, data=b"before")
    await s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = (await put(s3, data=b"1"))["VersionId"]
    second = (await put(s3, data=b"2"))["VersionId"]
    assert await s3.bytes(Bucket=bucket, Key="key", VersionId="null") == b"before"
    assert await s3.bytes(Bucket=bucket, Key="key", VersionId=first) == b"1"
    assert await s3.bytes(Bucket=bucket, Key="key") == b"2"
    marker = await s3("DeleteObject", Bucket=bucket, Key="key")
    assert marker["DeleteMarker"] is True
    await failing(s3("GetObject", Bucket=bucket, Key="key"), "NoSuchKey", 404)
    await failing(s3("GetObject", Bucket=bucket, Key="key", VersionId=marker["VersionId"]), "MethodNotAllowed", 405)
    assert await s3.keys(Bucket=bucket) == []
    listed = await s3("ListObjectVersions", Bucket=bucket)
    assert [(each["VersionId"], each["IsLatest"]) for each in listed["Versions"]] == [
        (second, False),
        (first, False),
        ("null", False),
    ]
    assert [(each["VersionId"], each["IsLatest"]) for each in listed["DeleteMarkers"]] == [(marker["VersionId"], True)]
    await failing(s3("DeleteBucket", Bucket=bucket), "BucketNotEmpty", 409)
    removed = await s3("DeleteObject", Bucket=bucket, Key="key", VersionId=marker["VersionId"])
    assert removed == {"VersionId": marker["VersionId"], "DeleteMarker": True}
    assert await s3.bytes(Bucket=bucket, Key="key") == b"2"
    await s3("DeleteObject", Bucket=bucket, Key="key", VersionId=second)
    assert await s3.bytes(Bucket=bucket, Key="key") == b"1"
    assert await s3.keys(Bucket=bucket) == ["key"]
    await s3.sweep()
    assert sorted(path.read_bytes() for path in s3.files()) == [b"1", b"before"]


async def test_suspended_versioning_replaces_only_the_null_version(s3: S3, bucket: str) -> None:
    await s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    kept = (await put(s3, data=b"kept"))["VersionId"]
    await s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert "VersionId" not in await put(s3, data=b"1")
    await put(s3, data=b"2")
    assert await s3.bytes(Bucket=bucket, Key="key") == b"2"
    assert await s3("DeleteObject", Bucket=bucket, Key="key") == {"VersionId": "null", "DeleteMarker": True}
    assert await s3.bytes(Bucket=bucket, Key="key", VersionId=kept) == b"kept"
    await s3.sweep()
    assert [path.read_bytes() for path in s3.files()] == [b"kept"]


async def test_many_are_deleted_at_once(s3: S3, bucket: str) -> None:
    for key in "abc":
        await put(s3, key)
    answer = await s3(
        "DeleteObjects",
        Bucket=bucket,
        Delete={"Objects": [{"Key": "a"}, {"Key": "b", "ETag": '"x"'}, {"Key": "never"}]},
    )
    assert answer["Deleted"] == [{"Key": "a"}, {"Key": "never"}]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("b", "PreconditionFailed")]
    assert await s3("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True}) == {}
    assert await s3.keys(Bucket=bucket) == ["b"]
    await failing(s3("DeleteObjects", Bucket=bucket, Delete={"Objects": []}), "MalformedXML", 400)
