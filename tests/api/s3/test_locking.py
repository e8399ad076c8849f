"""Object lock: versions that cannot be deleted before their time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.api.s3.harness import S3, failing

from wildsage.core.clock import ManualClock

DAY = 86_400.0


@pytest.fixture
async def locked(s3: S3) -> AsyncIterator[str]:
    """A bucket with object lock; time stands still."""
    s3.platform.clock = ManualClock()
    await s3("CreateBucket", Bucket="locked", ObjectLockEnabledForBucket=True)
    yield "locked"


async def put(s3: S3, **params: Any) -> str:
    made = await s3("PutObject", Bucket="locked", Key="key", Body=b"data", **params)
    return str(made["VersionId"])


def retention(s3: S3, mode: str, days: float) -> dict[str, Any]:
    return {"Mode": mode, "RetainUntilDate": s3.platform.clock.now() + days * DAY}


async def remove(s3: S3, version: str, **params: Any) -> None:
    await s3("DeleteObject", Bucket="locked", Key="key", VersionId=version, **params)


async def test_a_retained_version_goes_when_its_time_is_over(s3: S3, locked: str) -> None:
    version = await put(s3)
    await s3("PutObjectRetention", Bucket=locked, Key="key", Retention=retention(s3, "COMPLIANCE", 2))
    await failing(remove(s3, version), "AccessDenied", 403)
    await failing(remove(s3, version, BypassGovernanceRetention=True), "AccessDenied", 403)
    marker = await s3("DeleteObject", Bucket=locked, Key="key")  # a marker deletes nothing
    assert marker["DeleteMarker"]
    assert isinstance(s3.platform.clock, ManualClock)
    await s3.platform.clock.advance(2 * DAY + 1)
    await remove(s3, version)


async def test_governance_can_be_bypassed_and_not_weakened_otherwise(s3: S3, locked: str) -> None:
    until = retention(s3, "GOVERNANCE", 3)
    version = await put(s3, ObjectLockMode=until["Mode"], ObjectLockRetainUntilDate=until["RetainUntilDate"])
    shorter = {"Bucket": locked, "Key": "key", "Retention": retention(s3, "GOVERNANCE", 1)}
    await failing(s3("PutObjectRetention", **shorter), "AccessDenied", 403)
    await s3("PutObjectRetention", **{**shorter, "Retention": retention(s3, "GOVERNANCE", 5)})
    await s3("PutObjectRetention", **shorter, BypassGovernanceRetention=True)
    told = await s3("GetObjectRetention", Bucket=locked, Key="key")
    assert told == {"Retention": shorter["Retention"]}
    await failing(remove(s3, version), "AccessDenied", 403)
    await remove(s3, version, BypassGovernanceRetention=True)


async def test_a_legal_hold_has_no_end(s3: S3, locked: str) -> None:
    version = await put(s3, ObjectLockLegalHoldStatus="ON")
    await failing(remove(s3, version, BypassGovernanceRetention=True), "AccessDenied", 403)
    objects = {"Objects": [{"Key": "key", "VersionId": version}]}
    told = await s3("DeleteObjects", Bucket=locked, Delete=objects)
    assert told["Errors"][0]["Code"] == "AccessDenied"
    await s3("PutObjectLegalHold", Bucket=locked, Key="key", LegalHold={"Status": "OFF"})
    assert (await s3("HeadObject", Bucket=locked, Key="key"))["ObjectLockLegalHoldStatus"] == "OFF"
    await remove(s3, version)


async def test_a_bucket_s_default_retention(s3: S3, locked: str) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    await s3("PutObjectLockConfiguration", Bucket=locked, ObjectLockConfiguration=configuration)
    assert (await s3("GetObjectLockConfiguration", Bucket=locked))["ObjectLockConfiguration"] == configuration
    await put(s3)
    told = await s3("GetObjectRetention", Bucket=locked, Key="key")
    assert told["Retention"] == retention(s3, "GOVERNANCE", 1)


async def test_buckets_without_it(s3: S3, locked: str, bucket: str) -> None:
    names = {"Bucket": bucket, "Key": "key"}
    await s3("PutObject", **names, Body=b"")
    await failing(s3("GetObjectRetention", **names), "InvalidRequest", 400)
    await failing(s3("PutObjectLegalHold", **names, LegalHold={"Status": "ON"}), "InvalidRequest", 400)
    await failing(s3("PutObject", **names, Body=b"", ObjectLockLegalHoldStatus="ON"), "InvalidRequest", 400)
    await failing(s3("GetObjectLockConfiguration", Bucket=bucket), "ObjectLockConfigurationNotFoundError", 404)
    wanted = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    await failing(s3("PutObjectLockConfiguration", Bucket=bucket, **wanted), "InvalidBucketState", 409)
    suspended = {"VersioningConfiguration": {"Status": "Suspended"}}
    await failing(s3("PutBucketVersioning", Bucket=locked, **suspended), "InvalidBucketState", 409)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, "MalformedXML"),
        ({"Mode": "GOVERNANCE"}, "MalformedXML"),
        ({"Days": 1}, "MalformedXML"),
        ({"Mode": "GOVERNANCE", "Days": 0}, "InvalidRetentionPeriod"),
    ],
)
async def test_default_retentions_that_cannot_be(s3: S3, locked: str, rule: dict[str, Any], code: str) -> None:
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": rule}}
    await failing(s3("PutObjectLockConfiguration", Bucket=locked, ObjectLockConfiguration=configuration), code, 400)
