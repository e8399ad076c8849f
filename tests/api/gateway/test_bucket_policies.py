"""Bucket policies decide together with the caller's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server

READER = "arn:aws:iam::000000000000:user/reader"


@pytest.fixture
def bucket(server: Server) -> Iterator[str]:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="policed")
    s3.put_object(Bucket="policed", Key="open/a", Body=b"a")
    s3.put_object(Bucket="policed", Key="shut/a", Body=b"a")
    yield "policed"
    s3.delete_bucket_policy(Bucket="policed")
    for item in s3.list_objects_v2(Bucket="policed")["Contents"]:
        s3.delete_object(Bucket="policed", Key=item["Key"])
    s3.delete_bucket(Bucket="policed")


@pytest.fixture
def reader(server: Server) -> Iterator[Any]:
    iam = server.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    yield server.client("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    iam.delete_access_key(UserName="reader", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="reader")


def statement(effect: str, principal: Any, action: str, resource: str) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": f"arn:aws:s3:::{resource}"}


def put(server: Server, bucket: str, *statements: dict[str, Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    server.client("s3").put_bucket_policy(Bucket=bucket, Policy=document)


def test_a_bucket_policy_opens_what_the_user_may_not(server: Server, bucket: str, reader: Any) -> None:
    with pytest.raises(ClientError, match="because no identity-based policy allows the s3:GetObject action"):
        reader.get_object(Bucket=bucket, Key="open/a")
    put(server, bucket, statement("Allow", {"AWS": READER}, "s3:GetObject", f"{bucket}/open/*"))
    assert reader.get_object(Bucket=bucket, Key="open/a")["Body"].read() == b"a"
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get_object(Bucket=bucket, Key="shut/a")
    server.client("s3").delete_bucket_policy(Bucket=bucket)
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get_object(Bucket=bucket, Key="open/a")


def test_a_bucket_policy_shuts_out_even_administrators(server: Server, bucket: str) -> None:
    put(server, bucket, statement("Deny", "*", "s3:GetObject", f"{bucket}/shut/*"))
    s3 = server.client("s3")
    assert s3.get_object(Bucket=bucket, Key="open/a")["Body"].read() == b"a"
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy") as caught:
        s3.get_object(Bucket=bucket, Key="shut/a")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_a_malformed_policy_is_refused(server: Server, bucket: str) -> None:
    with pytest.raises(ClientError, match="Policies must be valid JSON") as caught:
        server.client("s3").put_bucket_policy(Bucket=bucket, Policy="no policy")
    assert caught.value.response["Error"]["Code"] == "MalformedPolicy"
