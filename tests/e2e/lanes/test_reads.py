"""Reads, and who may read."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.lanes.harness import BUCKET, VERSIONED, Lanes
from wildsage.wire import sigv4
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.sigv4 import Credentials


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"x-amz-checksum-mode": "enabled"}, 200),
        ({"range": "bytes=0-99"}, 206),
        ({"range": "bytes=4000-"}, 206),
        ({"range": "bytes=-1"}, 206),
        ({"range": "bytes=0-0"}, 206),
        ({"range": "bytes=5-2"}, 200),
        ({"range": "lines=1-2"}, 200),
        ({"range": "bytes=0-1,3-4"}, 200),
        ({"range": "bytes=9999-"}, 416),
        ({"if-none-match": '"other"'}, 200),
        ({"if-match": '"other"'}, 412),
        ({"if-match": "*"}, 200),
        ({"if-none-match": "*"}, 304),
        ({"if-modified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"if-modified-since": "Sat, 01 Jan 2095 00:00:00 GMT"}, 304),
        ({"if-unmodified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 412),
        ({"if-modified-since": "yesterday"}, 400),
        ({"origin": "http://example.com"}, 200),
        ({"x-amz-expected-bucket-owner": "000000000000"}, 200),
        ({"x-amz-expected-bucket-owner": "111111111111"}, 403),
        ({"x-amz-server-side-encryption": "AES256"}, 400),
    ],
)
async def test_reads_with_headers(
    lanes: Lanes, stored: str, method: str, headers: Mapping[str, str], status: int
) -> None:
    answer = await lanes.same(method, stored, headers)
    assert answer.status == status


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("query", "fast"),
    [
        ("x-id=GetObject", None),
        ("x-id=PutObject", None),
        ("response-content-type=text%2Fhtml&response-cache-control=max-age%3D1+2", True),
        ("response-content-disposition=a%0D%0Ab%3A+c", True),
        ("response-content-language=&response-content-encoding=br", None),
        ("response-expires=Sat%2C+01+Jan+2000+00%3A00%3A00+GMT", False),
        ("response-content-type=%ff", False),
        ("partNumber=1", False),
        ("partNumber=2", False),
        ("versionId=null", False),
        ("versionId=none", False),
        ("tagging", False),
        ("unknown=1", False),
    ],
)
async def test_reads_with_parameters(lanes: Lanes, stored: str, method: str, query: str, fast: bool | None) -> None:
    await lanes.same(method, f"{stored}?{query}", fast=fast)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_plain_reads_are_answered_by_the_objects_process(lanes: Lanes, stored: str, method: str) -> None:
    role = lanes.server.environment
    session = Credentials(role["AWS_ACCESS_KEY_ID"], role["AWS_SECRET_ACCESS_KEY"], role["AWS_SESSION_TOKEN"])
    for options in ({}, {"credentials": session}, {"presigned": True}):
        answer = await lanes.same(method, stored, fast=True, **options)
        assert answer.status == 200


async def test_other_services_on_a_connection_of_s3(lanes: Lanes, stored: str) -> None:
    assert (await lanes.send(False, "GET", stored)).status == 200  # the client keeps the connection
    request = Request("POST", "/endpoints/none/invocations", [("host", lanes.host)], BytesBody(b"1"))
    request.headers.append(("content-length", "1"))
    sigv4.sign(request, lanes.root, "us-east-1", "sagemaker", time.time(), hashlib.sha256(b"1").hexdigest())
    answer = await lanes.client.send(f"tcp:{lanes.host}", request)
    assert answer.status == 400
    assert isinstance(answer.body, bytes)
    assert b"Endpoint none of account" in answer.body
    assert (await lanes.send(False, "GET", "/_wildsage/health")).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_wrong_signatures(lanes: Lanes, stored: str, method: str) -> None:
    wrong = [
        Credentials("AKIAUNKNOWN", "x"),
        lanes.root._replace(secret="wrong"),
        lanes.root._replace(token="no token"),
    ]
    for credentials in wrong:
        for presigned in (False, True):
            answer = await lanes.same(method, stored, credentials=credentials, presigned=presigned, fast=False)
            assert answer.status in (400, 403)
    assert (await lanes.same(method, stored, payload_hash="0" * 64)).status in (400, 403)
    assert (await lanes.same(method, stored, payload_hash="none", fast=False)).status in (400, 403)
    assert (await lanes.same(method, stored, region="eu-west-1", fast=False)).status == 301
    assert (await lanes.same(method, stored, unsigned=[("x-amz-meta-a", "b")], fast=False)).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_not_there(lanes: Lanes, method: str) -> None:
    s3 = lanes.server.client("s3")
    s3.put_object(Bucket=VERSIONED, Key="gone", Body=b"x")
    s3.delete_object(Bucket=VERSIONED, Key="gone")
    for target in (f"/{BUCKET}/none", "/no-such-bucket-anywhere/a", f"/{VERSIONED}/gone", f"/{BUCKET}", f"/{BUCKET}/"):
        await lanes.same(method, target, fast=False)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_other_kinds_of_objects(lanes: Lanes, method: str) -> None:
    s3 = lanes.server.client("s3")
    s3.put_object(Bucket=VERSIONED, Key="versions", Body=b"x")
    await lanes.same(method, f"/{VERSIONED}/versions", fast=True)
    s3.put_object(Bucket=BUCKET, Key="sealed", Body=b"x", ServerSideEncryption="AES256")
    await lanes.same(method, f"/{BUCKET}/sealed", fast=False)
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    await lanes.same(method, f"/{BUCKET}/empty", fast=True)
    await lanes.same(method, f"/{BUCKET}/empty", {"range": "bytes=0-1"})
    s3.put_object(Bucket=BUCKET, Key="cold", Body=b"x", StorageClass="STANDARD_IA")
    await lanes.same(method, f"/{BUCKET}/cold", fast=True)
    s3.put_object(Bucket=BUCKET, Key="large", Body=b"abc" * 500_000)
    await lanes.same(method, f"/{BUCKET}/large", fast=True)
    await lanes.same(method, f"/{BUCKET}/large", {"range": "bytes=7-900000"}, fast=True)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    where = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
    part = s3.upload_part(**where, PartNumber=1, Body=b"whole")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    await lanes.same(method, f"/{BUCKET}/parts", {"x-amz-checksum-mode": "ENABLED"}, fast=True)


async def test_buckets_with_rules_of_their_own(lanes: Lanes) -> None:
    s3 = lanes.server.client("s3")
    for name in ("two-lanes-policy", "two-lanes-lifecycle"):
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="a", Body=b"x")
        await lanes.same("GET", f"/{name}/a", fast=True)
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::two-lanes-policy/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket="two-lanes-policy", Policy=policy)
    assert (await lanes.same("GET", "/two-lanes-policy/a", fast=False)).status == 403
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}
    s3.put_bucket_lifecycle_configuration(Bucket="two-lanes-lifecycle", LifecycleConfiguration={"Rules": [rule]})
    answer = await lanes.same("GET", "/two-lanes-lifecycle/a", fast=False)
    assert answer.header("x-amz-expiration") is not None


async def test_policies_are_in_force_at_once(lanes: Lanes, stored: str) -> None:
    iam = lanes.server.client("iam")
    iam.create_user(UserName="lane-user")
    made = iam.create_access_key(UserName="lane-user")["AccessKey"]
    user = Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def put(effect: str, **more: Any) -> None:
        statement = {"Effect": effect, "Action": "s3:Get*", "Resource": f"arn:aws:s3:::{BUCKET}/*", **more}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="lane-user", PolicyName=effect, PolicyDocument=document)

    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 403
    put("Allow")
    assert (await lanes.same("GET", stored, credentials=user, fast=True)).status == 200
    put("Deny", Condition={"StringEquals": {"aws:username": "somebody-else"}})
    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 200
    put("Deny")
    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 403
    iam.delete_user_policy(UserName="lane-user", PolicyName="Deny")
    assert (await lanes.same("GET", stored, credentials=user, fast=True)).status == 200
    iam.delete_access_key(UserName="lane-user", AccessKeyId=made["AccessKeyId"])
    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 403
