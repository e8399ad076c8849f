"""Stock boto3 against the whole server: routers, signatures, XML and bytes."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from tests.conftest import Server

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    name = f"bucket-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    yield name
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name)
    for page in pages:
        listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if listed:
            objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
            s3.delete_objects(Bucket=name, Delete={"Objects": objects})
    s3.delete_bucket(Bucket=name)


def failing(call: Any, code: str, status: int) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    answer: dict[str, Any] = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    return answer


@pytest.mark.parametrize(
    "key",
    [
        "a/b.txt", "../../x", "..", ".", "/", "//", "/a", "a//b/", "a/../b", "é ü/+%&?#", "%41%2F", "a\0b", "\r\n\x7f",
        "<&>'\"", "\U0001f600", "\uffff", "x" * 1024, "é" * 512, "日" * 341,
    ],
)  # fmt: skip
def test_an_object_there_and_back(s3: Any, bucket: str, key: str) -> None:
    made = s3.put_object(Bucket=bucket, Key=key, Body=b"data", Metadata={"colour": "blue"}, ContentType="text/plain")
    assert made["ChecksumCRC32"] == "rfPzYw=="
    told = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert told["Body"].read() == b"data"
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert (told["ETag"], told["ContentType"]) == (f'"{hashlib.md5(b"data").hexdigest()}"', "text/plain")
    assert (told["Metadata"], told["ChecksumCRC32"]) == ({"colour": "blue"}, "rfPzYw==")
    assert told["AcceptRanges"] == "bytes"
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["LastModified"]) == (4, told["LastModified"])
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [each["Key"] for each in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_range_is_partial_content(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    told = s3.get_object(Bucket=bucket, Key="key", Range="bytes=2-4")
    assert told["Body"].read() == b"234"
    assert (told["ResponseMetadata"]["HTTPStatusCode"], told["ContentRange"]) == (206, "bytes 2-4/10")
    failing(lambda: s3.get_object(Bucket=bucket, Key="key", Range="bytes=20-"), "InvalidRange", 416)


def test_errors_as_boto3_sees_them(s3: Any, bucket: str) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="no")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket=f"no-{bucket}")
    failing(lambda: s3.head_object(Bucket=bucket, Key="no"), "404", 404)
    failing(lambda: s3.head_bucket(Bucket=f"no-{bucket}"), "404", 404)
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"data")["ETag"]
    failing(lambda: s3.get_object(Bucket=bucket, Key="key", IfNoneMatch=etag), "304", 304)
    failing(lambda: s3.get_object(Bucket=bucket, Key="key", IfMatch='"x"'), "PreconditionFailed", 412)
    failing(lambda: s3.put_object(Bucket=bucket, Key="key", IfNoneMatch="*"), "PreconditionFailed", 412)
    failing(lambda: s3.put_object(Bucket=bucket, Key="key", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="), "BadDigest", 400)
    failing(lambda: s3.put_object(Bucket=bucket, Key="k" * 1025), "KeyTooLongError", 400)
    failing(lambda: s3.put_object(Bucket=bucket, Key="日" * 341 + "é"), "KeyTooLongError", 400)
    failing(lambda: s3.delete_bucket(Bucket=bucket), "BucketNotEmpty", 409)
    failing(lambda: s3.get_bucket_policy(Bucket=bucket), "NoSuchBucketPolicy", 404)


def test_the_transfer_manager_in_parts(s3: Any, bucket: str, tmp_path: Path) -> None:
    data = os.urandom(3 * 8 * MIB + 12345)
    (tmp_path / "there").write_bytes(data)
    s3.upload_file(str(tmp_path / "there"), bucket, "big", Config=TransferConfig(multipart_threshold=8 * MIB))
    head = s3.head_object(Bucket=bucket, Key="big", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-4"')
    assert "ChecksumCRC32" in head
    s3.download_file(bucket, "big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    assert s3.get_object(Bucket=bucket, Key="big", PartNumber=4)["Body"].read() == data[3 * 8 * MIB :]
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copy", Config=TransferConfig(multipart_threshold=8 * MIB))
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == data


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_of_boto3(s3: Any, bucket: str, algorithm: str) -> None:
    made = s3.put_object(Bucket=bucket, Key="key", Body=b"data", ChecksumAlgorithm=algorithm)
    told = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert told["Body"].read() == b"data"  # boto3 compares the checksum as it reads
    assert told[f"Checksum{algorithm}"] == made[f"Checksum{algorithm}"]
    attributes = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["ETag", "Checksum", "ObjectSize"])
    assert (attributes["ObjectSize"], attributes["ETag"]) == (4, made["ETag"].strip('"'))


def test_over_tls_the_checksum_follows_the_body(server: Server, bucket: str) -> None:
    url = server.url.replace("http:", "https:")
    client = server.client("s3", endpoint_url=url, verify=server.environment["AWS_CA_BUNDLE"])
    sent: list[str] = []
    client.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(str(request.headers)))
    told = client.put_object(Bucket=bucket, Key="key", Body=b"data")
    assert "x-amz-trailer" in sent[0].lower()
    assert told["ChecksumCRC32"] == "rfPzYw=="
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"


def test_large_objects_over_tls(server: Server, bucket: str, tmp_path: Path) -> None:
    url = server.url.replace("http:", "https:")
    client = server.client("s3", endpoint_url=url, verify=server.environment["AWS_CA_BUNDLE"])
    data = os.urandom(20 * MIB)
    client.put_object(Bucket=bucket, Key="key", Body=data)
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == data
    client.download_file(bucket, "key", str(tmp_path / "key"))  # ranges, ten at a time
    assert (tmp_path / "key").read_bytes() == data


def test_a_body_that_was_tampered_with_is_refused_and_leaves_nothing(server: Server, s3: Any, bucket: str) -> None:
    client = server.client("s3")

    def tamper(request: Any, **_: Any) -> None:
        request.body = b"evil"

    client.meta.events.register("before-send.s3.PutObject", tamper)
    failing(lambda: client.put_object(Bucket=bucket, Key="key", Body=b"data"), "XAmzContentSHA256Mismatch", 400)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert list((server.data / "objects").glob(f".incoming*/{bucket}~*")) == []


def test_presigned_urls(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "a b"}
    answer = httpx.put(s3.generate_presigned_url("put_object", Params=where), content=b"data")
    assert answer.status_code == 200, answer.text
    url = s3.generate_presigned_url("get_object", Params={**where, "ResponseContentType": "text/html"})
    answer = httpx.get(url)
    assert (answer.content, answer.headers["content-type"]) == (b"data", "text/html")
    assert httpx.get(url.replace("text%2Fhtml", "text%2Fplain")).status_code == 403


def test_versions_through_boto3(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="key", Body=b"2")
    assert s3.delete_object(Bucket=bucket, Key="key")["DeleteMarker"] is True
    assert s3.get_object(Bucket=bucket, Key="key", VersionId=first)["Body"].read() == b"1"
    listed = s3.list_object_versions(Bucket=bucket)
    assert (len(listed["Versions"]), len(listed["DeleteMarkers"])) == (2, 1)


def test_versions_while_versioning_is_suspended(s3: Any, bucket: str) -> None:
    """What is written is the version ``null``; AWS says so of reads and deletions, not of writes."""
    where = {"Bucket": bucket, "Key": "key"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(**where, Body=b"1")["VersionId"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"2", b"3"):
        assert "VersionId" not in s3.put_object(**where, Body=body)
    assert "VersionId" not in s3.copy_object(**where, CopySource={**where, "VersionId": first})
    told = s3.get_object(**where)
    assert (told["VersionId"], told["Body"].read()) == ("null", b"1")
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(each["VersionId"], each["IsLatest"]) for each in listed] == [("null", True), (first, False)]
    gone = s3.delete_object(**where)
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, "null")  # in the place of the null version
    listed = s3.list_object_versions(Bucket=bucket)
    assert [each["VersionId"] for each in listed["Versions"]] == [first]
    gone = s3.delete_object(**where, VersionId="null")
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, "null")
    assert s3.get_object(**where)["VersionId"] == first


def test_pages_and_prefixes(s3: Any, bucket: str) -> None:
    for key in ("a/1", "a/2", "b/1", "c &<"):
        s3.put_object(Bucket=bucket, Key=key)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [each["Key"] for page in pages for each in page["Contents"]] == ["a/1", "a/2", "b/1", "c &<"]
    folded = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [each["Prefix"] for each in folded["CommonPrefixes"]] == ["a/", "b/"]
    assert [each["Key"] for each in folded["Contents"]] == ["c &<"]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/1"}, {"Key": "c &<"}]})
    assert [each["Key"] for each in deleted["Deleted"]] == ["a/1", "c &<"]


def test_tags_policies_and_copies(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"data", Tagging="a=1")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [{"Key": "a", "Value": "1"}]
    copied = s3.copy_object(Bucket=bucket, Key="copy ü", CopySource={"Bucket": bucket, "Key": "key"})
    assert copied["CopyObjectResult"]["ETag"] == s3.head_object(Bucket=bucket, Key="key")["ETag"]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "x", "Value": "y"}]
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"


def test_a_client_of_another_region_is_sent_to_the_bucket_s(server: Server, s3: Any) -> None:
    name = f"west-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket=name, Key="key", Body=b"data")
    fresh = server.client("s3")
    assert fresh.head_object(Bucket=name, Key="key")["ContentLength"] == 4
    assert server.client("s3").get_object(Bucket=name, Key="key")["Body"].read() == b"data"
    west = server.client("s3", region_name="us-west-2")
    assert west.head_bucket(Bucket=name)["BucketRegion"] == "us-west-2"
    west.delete_object(Bucket=name, Key="key")
    west.delete_bucket(Bucket=name)
