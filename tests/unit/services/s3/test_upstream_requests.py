"""Operations as requests to an upstream."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from wildsage.core.errors import ApiError
from wildsage.core.upstream import S3Upstream
from wildsage.services.s3.upstream.requests import placed, request_of, source_of
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.model import load

PATH = S3Upstream("https", "s3.example.com", 443, "key", "secret")
VIRTUAL = replace(PATH, virtual_hosted=True)


def made(name: str, upstream: S3Upstream = PATH, **params: Any) -> Request:
    return request_of(load("s3").operations[name], params, upstream)


@pytest.mark.parametrize(
    ("upstream", "bucket", "host", "target"),
    [
        (PATH, "bucket", "s3.example.com", "/bucket/a%20b/c%2B"),
        (VIRTUAL, "bucket", "bucket.s3.example.com", "/a%20b/c%2B"),
        (VIRTUAL, "dotted.bucket", "s3.example.com", "/dotted.bucket/a%20b/c%2B"),
        (replace(VIRTUAL, scheme="http", port=80), "d.b", "d.b.s3.example.com", "/a%20b/c%2B"),
        (replace(PATH, port=9000), "bucket", "s3.example.com:9000", "/bucket/a%20b/c%2B"),
    ],
)
def test_addresses(upstream: S3Upstream, bucket: str, host: str, target: str) -> None:
    request = made("GetObject", upstream, Bucket=bucket, Key="a b/c+")
    assert (request.header("host"), request.target) == (host, target)


def test_addresses_of_buckets() -> None:
    assert made("ListObjectsV2", VIRTUAL, Bucket="bucket", Prefix="a/").target == "/?list-type=2&prefix=a%2F"
    assert made("CreateBucket", VIRTUAL, Bucket="bucket").target == "/"
    assert made("CreateBucket", Bucket="bucket").header("content-length") == "0"
    assert made("ListBuckets", VIRTUAL).header("host") == "s3.example.com"


def test_documents_have_their_own_digest() -> None:
    tagging = {"TagSet": [{"Key": "a", "Value": "b"}]}
    request = made("PutBucketTagging", Bucket="bucket", Tagging=tagging, ContentMD5="old", ChecksumAlgorithm="CRC32")
    assert isinstance(request.body, BytesBody)
    digest = base64.b64encode(hashlib.md5(request.body.data).digest()).decode()
    assert [value for name, value in request.headers if name == "content-md5"] == [digest]
    assert request.header("x-amz-sdk-checksum-algorithm") is None


def test_checksums_of_objects_go_through() -> None:
    request = made("PutObject", Bucket="bucket", Key="k", ContentMD5="md5", ChecksumCRC32="AAAA", IfNoneMatch="*")
    told = {name: request.header(name) for name in ("content-md5", "x-amz-checksum-crc32", "if-none-match")}
    assert told == {"content-md5": "md5", "x-amz-checksum-crc32": "AAAA", "if-none-match": "*"}
    parts = {"Parts": [{"PartNumber": 1, "ETag": '"e"'}]}
    request = made(
        "CompleteMultipartUpload", Bucket="bucket", Key="k", UploadId="u", MultipartUpload=parts, ChecksumCRC32="AAAA="
    )
    assert request.header("x-amz-checksum-crc32") == "AAAA="


def test_the_account_s_number_stays_here() -> None:
    request = made("GetObject", Bucket="bucket", Key="k", ExpectedBucketOwner="000000000000")
    assert request.header("x-amz-expected-bucket-owner") is None


@pytest.mark.parametrize("key", ["..", "../x", "a/../x", "a/..", "./a", "a/./b"])
def test_keys_that_look_like_paths(key: str) -> None:
    with pytest.raises(ApiError, match="may read it as a path"):
        made("GetObject", Bucket="bucket", Key=key)
    with pytest.raises(ApiError, match="may read it as a path"):
        made("CopyObject", Bucket="bucket", Key="k", CopySource=f"bucket/{key}")


@pytest.mark.parametrize("bucket", ["..", "a/b", "a..b", "a b", "-a", "arn:aws:s3:us-east-1:0:accesspoint/x", "a?b"])
def test_buckets_that_are_none(bucket: str) -> None:
    with pytest.raises(ApiError) as caught:
        made("GetObject", Bucket=bucket, Key="k")
    assert caught.value.code == "InvalidBucketName"


@pytest.mark.parametrize("key", ["...", "a..b/c", ".hidden", "a//b", "~", "é", "%2e%2e/x"])
def test_keys_that_are_fine(key: str) -> None:
    assert made("GetObject", Bucket="bucket", Key=key).target.startswith("/bucket/")


def test_sources_are_written_anew() -> None:
    request = made("CopyObject", Bucket="bucket", Key="k", CopySource="bucket/a+b%20c?versionId=v/1")
    assert request.header("x-amz-copy-source") == "/bucket/a%2Bb%20c?versionId=v%2F1"
    assert source_of("/bucket/a%2Fb") == ("bucket", "a/b", None)
    with pytest.raises(ApiError, match="Copy Source must mention"):
        source_of("bucket")


def test_the_region_a_client_is_in_means_the_upstream_s() -> None:
    west = replace(PATH, region="eu-west-1")
    constraint = {"LocationConstraint": "eu-west-1"}
    assert placed({"Bucket": "b"}, "us-east-1", west)["CreateBucketConfiguration"] == constraint
    asked = {"Bucket": "b", "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
    assert placed(asked, "eu-central-1", PATH)["CreateBucketConfiguration"] is None
    assert placed(asked, "us-east-1", PATH) is asked
