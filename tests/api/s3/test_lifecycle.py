"""Lifecycle rules run, by a clock that the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.api.s3.harness import S3, failing

from wildsage.core.clock import ManualClock
from wildsage.services.s3 import expiry
from wildsage.store.objectindex import EVENTS
from wildsage.store.outbox import Outbox
from wildsage.store.uploads import Upload, Uploads

DAY = 86_400.0


@pytest.fixture
async def clock(s3: S3) -> AsyncIterator[ManualClock]:
    made = ManualClock(1_700_006_400.0 // DAY * DAY + 3600)  # one in the morning
    s3.platform.clock = made
    yield made


async def rules(s3: S3, bucket: str, *given: dict[str, Any]) -> None:
    listed = [{"Status": "Enabled", "Filter": {"Prefix": ""}, **each} for each in given]
    await s3("PutBucketLifecycleConfiguration", Bucket=bucket, LifecycleConfiguration={"Rules": listed})


async def test_objects_expire_at_the_midnight_after_their_days(s3: S3, bucket: str, clock: ManualClock) -> None:
    await rules(s3, bucket, {"ID": "old", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 2}})
    told = await s3("PutObject", Bucket=bucket, Key="logs/a", Body=b"data")
    assert told["Expiration"].endswith('rule-id="old"')
    await s3("PutObject", Bucket=bucket, Key="kept", Body=b"data")
    await clock.advance(2 * DAY)
    assert await expiry.expire(s3.platform) == 0
    await clock.advance(DAY)
    assert await expiry.expire(s3.platform) == 1
    assert await s3.keys(Bucket=bucket) == ["kept"]
    await s3.sweep()
    assert len(s3.files_of(bucket)) == 1


async def test_a_server_that_runs_for_less_than_an_hour_expires_them(s3: S3, bucket: str, clock: ManualClock) -> None:
    await rules(s3, bucket, {"Expiration": {"Days": 1}})
    await s3("PutObject", Bucket=bucket, Key="old", Body=b"data")
    await clock.advance(3 * DAY)
    running = asyncio.create_task(expiry.run(s3.platform))
    await asyncio.sleep(0)  # it waits for its turn now
    await clock.advance(600.0)
    async with asyncio.timeout(120):
        while await s3.keys(Bucket=bucket):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_filters_by_tag_and_size(s3: S3, bucket: str, clock: ManualClock) -> None:
    both = {"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "1"}], "ObjectSizeGreaterThan": 3}}
    await rules(s3, bucket, {"Filter": both, "Expiration": {"Days": 1}})
    for key, body, tags in (("gone", b"long", "a=1"), ("short", b"abc", "a=1"), ("other", b"long", "a=2")):
        await s3("PutObject", Bucket=bucket, Key=key, Body=body, Tagging=tags)
    await clock.advance(3 * DAY)
    await expiry.expire(s3.platform)
    assert await s3.keys(Bucket=bucket) == ["other", "short"]


async def test_versions_expire_and_then_their_marker(s3: S3, bucket: str, clock: ManualClock) -> None:
    await s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    await rules(
        s3,
        bucket,
        {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        {"Expiration": {"ExpiredObjectDeleteMarker": True}},
    )
    for body in (b"one", b"two"):
        await s3("PutObject", Bucket=bucket, Key="key", Body=body)
    await s3("DeleteObject", Bucket=bucket, Key="key")
    assert await expiry.expire(s3.platform) == 0
    await clock.advance(3 * DAY)
    assert await expiry.expire(s3.platform) == 3
    left = await s3("ListObjectVersions", Bucket=bucket)
    assert (left["Versions"], left["DeleteMarkers"]) == ([], [])


async def test_uploads_that_nobody_finishes(s3: S3, bucket: str, clock: ManualClock) -> None:
    await rules(s3, bucket, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    upload = await s3("CreateMultipartUpload", Bucket=bucket, Key="key")
    await s3("UploadPart", Bucket=bucket, Key="key", UploadId=upload["UploadId"], PartNumber=1, Body=b"part")
    await clock.advance(3 * DAY)
    assert await expiry.expire(s3.platform) == 1
    await s3.sweep()
    assert s3.files() == []


async def test_more_unfinished_uploads_than_a_page_has(s3: S3, bucket: str, clock: ManualClock) -> None:
    await rules(s3, bucket, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    uploads = Uploads(s3.platform.database)
    begun = (Upload(f"{number:04}", bucket, f"key{number % 2}", clock.now()) for number in range(2100))
    await asyncio.gather(*map(uploads.begin, begun))
    assert await expiry.expire(s3.platform) == 0
    await clock.advance(3 * DAY)
    assert await expiry.expire(s3.platform) == 2100


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"Expiration": {"Date": 1_700_000_001.0}}, "InvalidArgument"),
        ({"ID": "x" * 256, "Expiration": {"Days": 1}}, "InvalidArgument"),
        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
        ({}, "InvalidRequest"),
    ],
)
async def test_rules_that_cannot_be(s3: S3, bucket: str, rule: dict[str, Any], code: str) -> None:
    await failing(rules(s3, bucket, rule), code, 400)


async def test_every_rule_gets_an_id_of_its_own(s3: S3, bucket: str) -> None:
    await rules(s3, bucket, {"Expiration": {"Days": 1}}, {"Expiration": {"Days": 2}})
    kept = (await s3("GetBucketLifecycleConfiguration", Bucket=bucket))["Rules"]
    assert len({rule["ID"] for rule in kept}) == 2
    await failing(
        rules(s3, bucket, {"ID": "a", "Expiration": {"Days": 1}}, {"ID": "a", "Expiration": {"Days": 2}}),
        "InvalidArgument",
        400,
    )


async def test_what_expires_is_told(s3: S3, bucket: str, clock: ManualClock) -> None:
    rule = {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q", "Events": ["s3:LifecycleExpiration:*"]}
    configuration = {"QueueConfigurations": [rule]}
    await s3(
        "PutBucketNotificationConfiguration",
        Bucket=bucket,
        NotificationConfiguration=configuration,
        SkipDestinationValidation=True,
    )
    await rules(s3, bucket, {"Expiration": {"Days": 1}})
    await s3("PutObject", Bucket=bucket, Key="a", Body=b"data")
    await s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    await s3("PutObject", Bucket=bucket, Key="b", Body=b"data")
    await clock.advance(3 * DAY)
    await expiry.expire(s3.platform)
    letters = await Outbox(s3.platform.database, EVENTS).due(clock.now(), 10)
    records = [each.letter.document["Record"] for each in letters]
    assert {(each["eventName"], each["eventVersion"]) for each in records} == {
        ("LifecycleExpiration:DeleteMarkerCreated", "2.3")
    }
    assert {each["s3"]["object"]["key"] for each in records} == {"a", "b"}
