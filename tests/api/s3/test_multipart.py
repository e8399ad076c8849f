"""Multipart uploads and copies."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from tests.api.s3.harness import S3, failing

from wildsage.objects.digests import combine, digest

FIVE = 5 * 1024 * 1024
FIRST, SECOND = b"a" * FIVE, b"b" * 1000
MD5S = [hashlib.md5(data, usedforsecurity=False) for data in (FIRST, SECOND)]
ETAG = f'"{hashlib.md5(b"".join(each.digest() for each in MD5S), usedforsecurity=False).hexdigest()}-2"'


async def begin(s3: S3, **params: Any) -> dict[str, Any]:
    """The members that every later call has."""
    made = await s3("CreateMultipartUpload", Bucket="bucket", Key="key", **params)
    return {"Bucket": "bucket", "Key": "key", "UploadId": made["UploadId"]}


async def complete(s3: S3, upload: dict[str, Any], *parts: dict[str, Any], **params: Any) -> dict[str, Any]:
    return await s3("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": list(parts)}, **params)


def listed(number: int, part: dict[str, Any]) -> dict[str, Any]:
    return {"PartNumber": number, **part}


async def two_parts(s3: S3, upload: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    """Uploads both, the second one first."""
    second = await s3("UploadPart", **upload, PartNumber=7, Body=SECOND, **params)
    first = await s3("UploadPart", **upload, PartNumber=2, Body=FIRST, **params)
    return [listed(2, first), listed(7, second)]


async def test_parts_become_one_object(s3: S3, bucket: str) -> None:
    upload = await begin(s3, ContentType="text/plain", Metadata={"a": "b"}, Tagging="t=1")
    parts = await two_parts(s3, upload)
    assert await s3.keys(Bucket=bucket) == []
    made = await complete(s3, upload, *parts)
    assert made["ETag"] == ETAG
    assert made["ChecksumType"] == "FULL_OBJECT"
    assert made["ChecksumCRC64NVME"] == base64.b64encode(digest("CRC64NVME", FIRST + SECOND)).decode()
    assert await s3.bytes(Bucket=bucket, Key="key") == FIRST + SECOND
    assert await s3.bytes(Bucket=bucket, Key="key", PartNumber=2) == SECOND
    told = await s3("HeadObject", Bucket=bucket, Key="key", PartNumber=1)
    assert (told["ContentLength"], told["PartsCount"]) == (FIVE, 2)
    assert told["ContentRange"] == f"bytes 0-{FIVE - 1}/{FIVE + 1000}"
    assert (told["ContentType"], told["Metadata"], told["TagCount"]) == ("text/plain", {"a": "b"}, 1)
    await failing(s3("GetObject", Bucket=bucket, Key="key", PartNumber=3), "InvalidPartNumber", 416)
    await s3.sweep()
    assert [path.stat().st_size for path in s3.files()] == [FIVE + 1000]


async def test_composite_checksums(s3: S3, bucket: str) -> None:
    upload = await begin(s3, ChecksumAlgorithm="CRC32")
    crcs = [zlib.crc32(data).to_bytes(4, "big") for data in (FIRST, SECOND)]
    texts = [base64.b64encode(crc).decode() for crc in crcs]
    first = await s3("UploadPart", **upload, PartNumber=1, Body=FIRST, ChecksumCRC32=texts[0])
    second = await s3("UploadPart", **upload, PartNumber=2, Body=SECOND, ChecksumCRC32=texts[1])
    await failing(s3("UploadPart", **upload, PartNumber=2, Body=b"", ChecksumSHA1="x"), "InvalidRequest", 400)
    made = await complete(s3, upload, listed(1, first), listed(2, second))
    expected = base64.b64encode(zlib.crc32(b"".join(crcs)).to_bytes(4, "big")).decode() + "-2"
    assert (made["ChecksumCRC32"], made["ChecksumType"]) == (expected, "COMPOSITE")
    told = await s3(
        "GetObjectAttributes",
        Bucket=bucket,
        Key="key",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"],
        MaxParts=1,
    )
    assert told["ETag"] == ETAG.strip('"')
    assert told["Checksum"] == {"ChecksumCRC32": expected, "ChecksumType": "COMPOSITE"}
    assert (told["ObjectSize"], told["StorageClass"]) == (FIVE + 1000, "STANDARD")
    assert told["ObjectParts"]["TotalPartsCount"] == 2
    assert told["ObjectParts"]["IsTruncated"] is True
    assert told["ObjectParts"]["Parts"] == [{"PartNumber": 1, "Size": FIVE, "ChecksumCRC32": texts[0]}]


async def test_a_full_object_checksum_follows_from_the_parts(s3: S3, bucket: str) -> None:
    upload = await begin(s3, ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT")
    parts = await two_parts(s3, upload)
    whole = combine("CRC32C", [(digest("CRC32C", data), len(data)) for data in (FIRST, SECOND)])
    assert whole == digest("CRC32C", FIRST + SECOND)
    await failing(complete(s3, upload, *parts, ChecksumCRC32C="AAAAAA=="), "BadDigest", 400)
    made = await complete(s3, upload, *parts, ChecksumCRC32C=base64.b64encode(whole).decode())
    assert made["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize(("algorithm", "kind"), [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")])
async def test_checksum_types_that_s3_does_not_have(s3: S3, bucket: str, algorithm: str, kind: str) -> None:
    await failing(begin(s3, ChecksumAlgorithm=algorithm, ChecksumType=kind), "InvalidRequest", 400)


async def test_completions_that_make_no_sense(s3: S3, bucket: str) -> None:
    upload = await begin(s3)
    first, second = await two_parts(s3, upload)
    await failing(complete(s3, upload), "MalformedXML", 400)
    await failing(complete(s3, upload, second, first), "InvalidPartOrder", 400)
    await failing(complete(s3, upload, first, first), "InvalidPartOrder", 400)
    await failing(complete(s3, upload, {**first, "ETag": '"x"'}), "InvalidPart", 400)
    await failing(complete(s3, upload, {**first, "PartNumber": 3}), "InvalidPart", 400)
    small = await s3("UploadPart", **upload, PartNumber=1, Body=b"small")
    error = await failing(complete(s3, upload, listed(1, small), first), "EntityTooSmall", 400)
    assert error.fields["PartNumber"] == "1"
    await failing(complete(s3, upload, first, MpuObjectSize=3), "InvalidRequest", 400)
    await s3("PutObject", Bucket=bucket, Key="key", Body=b"there")
    await failing(complete(s3, upload, first, IfNoneMatch="*"), "PreconditionFailed", 412)
    assert await s3.bytes(Bucket=bucket, Key="key") == b"there"
    await complete(s3, upload, first)
    assert await s3.bytes(Bucket=bucket, Key="key") == FIRST


async def test_completing_again_answers_as_the_first_time(s3: S3, bucket: str) -> None:
    upload = await begin(s3)
    part = listed(1, await s3("UploadPart", **upload, PartNumber=1, Body=SECOND))
    made = await complete(s3, upload, part)
    assert await complete(s3, upload, part) == made
    await s3("PutObject", Bucket=bucket, Key="key", Body=b"later")
    await failing(complete(s3, upload, part), "NoSuchUpload", 404)


async def test_an_aborted_upload_leaves_nothing(s3: S3, bucket: str) -> None:
    upload = await begin(s3)
    await s3("UploadPart", **upload, PartNumber=1, Body=b"1")
    await s3("UploadPart", **upload, PartNumber=1, Body=b"2")
    await s3("AbortMultipartUpload", **upload)
    await failing(s3("AbortMultipartUpload", **upload), "NoSuchUpload", 404)
    await failing(s3("UploadPart", **upload, PartNumber=1, Body=b"3"), "NoSuchUpload", 404)
    await failing(s3("ListParts", **upload), "NoSuchUpload", 404)
    await s3.sweep()
    assert s3.files() == []


async def test_part_numbers_have_limits(s3: S3, bucket: str) -> None:
    upload = await begin(s3)
    for number in (0, 10_001):
        await failing(s3("UploadPart", **upload, PartNumber=number, Body=b"x"), "InvalidArgument", 400)


async def test_parts_are_listed(s3: S3, bucket: str) -> None:
    upload = await begin(s3)
    await two_parts(s3, upload)
    page = await s3("ListParts", **upload, MaxParts=1)
    assert [(each["PartNumber"], each["Size"]) for each in page["Parts"]] == [(2, FIVE)]
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 2)
    page = await s3("ListParts", **upload, PartNumberMarker=2)
    assert [(each["PartNumber"], each["Size"]) for each in page["Parts"]] == [(7, 1000)]
    assert page["IsTruncated"] is False


async def test_uploads_are_listed(s3: S3, bucket: str) -> None:
    for key in ("a/1", "a/2", "b", "b", "c"):
        await s3("CreateMultipartUpload", Bucket=bucket, Key=key)
    keys: list[str] = []
    params: dict[str, Any] = {}
    while True:
        page = await s3("ListMultipartUploads", Bucket=bucket, MaxUploads=1, **params)
        keys += [each["Key"] for each in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        params = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert keys == ["a/1", "a/2", "b", "b", "c"]
    folded = await s3("ListMultipartUploads", Bucket=bucket, Delimiter="/")
    assert folded["CommonPrefixes"] == [{"Prefix": "a/"}]
    assert [each["Key"] for each in folded["Uploads"]] == ["b", "b", "c"]


async def test_a_part_is_copied_from_a_range(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="source", Body=b"0123456789")
    upload = await begin(s3)
    copied = await s3(
        "UploadPartCopy", **upload, PartNumber=1, CopySource=f"{bucket}/source", CopySourceRange="bytes=2-5"
    )
    await complete(s3, upload, listed(1, {"ETag": copied["CopyPartResult"]["ETag"]}))
    assert await s3.bytes(Bucket=bucket, Key="key") == b"2345"
    for header in ("bytes=5-20", "bytes=3-", "2-3"):
        await failing(
            s3("UploadPartCopy", **await begin(s3), PartNumber=1, CopySource="bucket/source", CopySourceRange=header),
            "InvalidArgument",
            400,
        )


async def test_a_copy_has_the_source_s_bytes_and_headers(s3: S3, bucket: str) -> None:
    await s3("CreateBucket", Bucket="other")
    made = await s3(
        "PutObject",
        Bucket=bucket,
        Key="a b/ü",
        Body=b"data",
        ContentType="text/plain",
        Metadata={"a": "b"},
        Tagging="t=1",
    )
    answer = await s3("CopyObject", Bucket="other", Key="copy", CopySource="/bucket/a%20b/%C3%BC")
    assert answer["CopyObjectResult"]["ETag"] == made["ETag"]
    await s3("DeleteObject", Bucket=bucket, Key="a b/ü")
    await s3.sweep()
    assert await s3.bytes(Bucket="other", Key="copy") == b"data"
    told = await s3("HeadObject", Bucket="other", Key="copy", ChecksumMode="ENABLED")
    assert (told["ContentType"], told["Metadata"], told["TagCount"]) == ("text/plain", {"a": "b"}, 1)
    assert told["ChecksumCRC64NVME"] == made["ChecksumCRC64NVME"]


async def test_a_copy_may_get_headers_tags_and_checksum_of_its_own(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="key", Body=b"data", ContentType="text/plain", Tagging="t=1")
    await failing(s3("CopyObject", Bucket=bucket, Key="key", CopySource="bucket/key"), "InvalidRequest", 400)
    await s3(
        "CopyObject",
        Bucket=bucket,
        Key="key",
        CopySource="bucket/key",
        MetadataDirective="REPLACE",
        TaggingDirective="REPLACE",
        ContentType="text/html",
        ChecksumAlgorithm="SHA256",
    )
    told = await s3("HeadObject", Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert told["ContentType"] == "text/html"
    assert "TagCount" not in told
    assert told["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    assert await s3.bytes(Bucket=bucket, Key="key") == b"data"


async def test_a_copy_of_a_multipart_object_is_in_one_part(s3: S3, bucket: str) -> None:
    upload = await begin(s3)
    parts = await two_parts(s3, upload)
    await complete(s3, upload, *parts)
    answer = await s3("CopyObject", Bucket=bucket, Key="copy", CopySource="bucket/key")
    whole = hashlib.md5(FIRST + SECOND, usedforsecurity=False).hexdigest()
    assert answer["CopyObjectResult"]["ETag"] == f'"{whole}"'


async def test_copy_conditions_and_sources_that_are_not_there(s3: S3, bucket: str) -> None:
    made = await s3("PutObject", Bucket=bucket, Key="key", Body=b"data")

    def copy(source: str = "bucket/key", **params: Any) -> Any:
        return s3("CopyObject", Bucket=bucket, Key="copy", CopySource=source, **params)

    await failing(copy(CopySourceIfMatch='"x"'), "PreconditionFailed", 412)
    await failing(copy(CopySourceIfNoneMatch=made["ETag"]), "PreconditionFailed", 412)
    await failing(copy("bucket/no"), "NoSuchKey", 404)
    await failing(copy("nobucket/no"), "NoSuchBucket", 404)
    await failing(copy("bucket"), "InvalidArgument", 400)
    await failing(copy("bucket/key?versionId=x"), "NoSuchVersion", 404)


async def test_tags_of_an_object_are_replaced_and_removed(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="key", Body=b"data", Tagging="a=1")
    where = {"Bucket": bucket, "Key": "key"}
    assert await s3("GetObjectTagging", **where) == {"TagSet": [{"Key": "a", "Value": "1"}]}
    await s3("PutObjectTagging", **where, Tagging={"TagSet": [{"Key": "b", "Value": ""}]})
    assert await s3("GetObjectTagging", **where) == {"TagSet": [{"Key": "b", "Value": ""}]}
    await s3("DeleteObjectTagging", **where)
    assert await s3("GetObjectTagging", **where) == {"TagSet": []}
    await failing(s3("GetObjectTagging", Bucket=bucket, Key="no"), "NoSuchKey", 404)
    await failing(s3("PutObjectTagging", Bucket=bucket, Key="no", Tagging={"TagSet": []}), "NoSuchKey", 404)
