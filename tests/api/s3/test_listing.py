"""Listings against what Python's sort says."""

from __future__ import annotations

import itertools
from typing import Any

from tests.api.s3.harness import S3, failing

KEYS = ["\0", "a", "a\0/b", "a/", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b//c", "b/c", "é/1", "\uffff", "\U0001f600"]


async def fill(s3: S3, keys: list[str]) -> None:
    for key in keys:
        await s3("PutObject", Bucket="bucket", Key=key, Body=b"")


def expected(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """Keys and common prefixes in the order of their UTF-8 bytes."""
    found = set()
    for key in keys:
        if key.startswith(prefix):
            head, separator, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            found.add(prefix + head + separator if separator else key)
    return sorted(found, key=str.encode)


def names(page: dict[str, Any]) -> list[str]:
    listed = [each["Key"] for each in page.get("Contents", [])]
    listed += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
    return sorted(listed, key=str.encode)


async def test_every_way_to_page(s3: S3, bucket: str) -> None:
    await fill(s3, KEYS)
    for prefix, delimiter, size in itertools.product(
        ["", "a", "a/", "b/", "é", "zz"], ["", "/", "2/", "x"], [1, 2, 3, 1000]
    ):
        wanted = expected(KEYS, prefix, delimiter)
        params = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": size}
        assert await pages(s3, params) == wanted, params
        assert await pages_of_version_one(s3, params) == wanted, params


async def test_folders_far_from_the_beginning(s3: S3, bucket: str) -> None:
    keys = [f"a{number:02}" for number in range(20)] + ["b/1", "b/2", "c"]
    await fill(s3, keys)
    for prefix, size in itertools.product(["", "a", "b/"], [1, 9, 20, 21, 22, 1000]):
        params = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/", "MaxKeys": size}
        assert await pages(s3, params) == expected(keys, prefix, "/"), params


async def test_deleted_keys_of_a_versioned_bucket_are_passed_over(s3: S3, bucket: str) -> None:
    await s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    await fill(s3, ["a/1", "a/2", "b", "c/1", "c/2"])
    for key in ("a/1", "b", "c/1", "c/2"):
        await s3("DeleteObject", Bucket=bucket, Key=key)
    for delimiter in ("", "/"):
        params = {"Bucket": bucket, "Prefix": "", "Delimiter": delimiter, "MaxKeys": 1}
        assert await pages(s3, params) == expected(["a/2"], "", delimiter)


async def pages(s3: S3, params: dict[str, Any]) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await s3("ListObjectsV2", **params, **token)
        assert page["KeyCount"] == len(names(page)) <= params["MaxKeys"]
        found += names(page)
        if not page["IsTruncated"]:
            return found
        token = {"ContinuationToken": page["NextContinuationToken"]}


async def pages_of_version_one(s3: S3, params: dict[str, Any]) -> list[str]:
    found, marker = [], ""
    while True:
        page = await s3("ListObjects", **params, Marker=marker)
        found += names(page)
        if not page["IsTruncated"]:
            return found
        marker = page["NextMarker"] if params["Delimiter"] else page["Contents"][-1]["Key"]


async def test_versions_are_paged_within_a_key(s3: S3, bucket: str) -> None:
    await s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    await fill(s3, ["a", "b", "b", "b", "c/1", "c/2"])
    await s3("DeleteObject", Bucket=bucket, Key="b")
    whole = await s3("ListObjectVersions", Bucket=bucket)
    found: list[tuple[str, str, bool]] = []
    params: dict[str, Any] = {}
    while True:
        page = await s3("ListObjectVersions", Bucket=bucket, MaxKeys=1, **params)
        for each in page["Versions"] + page["DeleteMarkers"]:
            found.append((each["Key"], each["VersionId"], each["IsLatest"]))
        if not page["IsTruncated"]:
            break
        params = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    together = whole["Versions"] + whole["DeleteMarkers"]
    assert sorted(found) == sorted((each["Key"], each["VersionId"], each["IsLatest"]) for each in together)
    assert [key for key, _, _ in found] == ["a", "b", "b", "b", "b", "c/1", "c/2"]
    assert [latest for _, _, latest in found] == [True, True, False, False, False, True, True]
    folded = await s3("ListObjectVersions", Bucket=bucket, Delimiter="/", Prefix="c")
    assert folded["CommonPrefixes"] == [{"Prefix": "c/"}]


async def test_names_are_encoded_on_demand(s3: S3, bucket: str) -> None:
    await fill(s3, ["a b/ü+\x01"])
    page = await s3("ListObjectsV2", Bucket=bucket, EncodingType="url", Prefix="a b/")
    assert page["Contents"][0]["Key"] == "a%20b/%C3%BC%2B%01"
    assert (page["Prefix"], page["EncodingType"]) == ("a%20b/", "url")
    await failing(s3("ListObjectsV2", Bucket=bucket, EncodingType="base64"), "InvalidArgument", 400)


async def test_parameters_of_a_listing(s3: S3, bucket: str) -> None:
    await fill(s3, ["a", "b", "c"])
    assert await s3.keys(Bucket=bucket, StartAfter="a") == ["b", "c"]
    assert await s3.keys(Bucket=bucket, StartAfter="aa") == ["b", "c"]
    empty = await s3("ListObjectsV2", Bucket=bucket, MaxKeys=0)
    assert (empty["KeyCount"], empty["IsTruncated"]) == (0, False)
    assert (await s3("ListObjectsV2", Bucket=bucket, MaxKeys=5000))["MaxKeys"] == 1000
    owned = await s3("ListObjectsV2", Bucket=bucket, FetchOwner=True)
    assert len(owned["Contents"][0]["Owner"]["ID"]) == 64
    await failing(s3("ListObjectsV2", Bucket=bucket, MaxKeys=-1), "InvalidArgument", 400)
    await failing(s3("ListObjectsV2", Bucket=bucket, ContinuationToken="nonsense!"), "InvalidArgument", 400)
    await failing(s3("ListObjectsV2", Bucket="nobucket"), "NoSuchBucket", 404)
