"""Who may use an upstream's buckets, and how they live beside the server's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.api.s3.upstreams import Upstream, in_front_of, wildsage
from tests.conftest import Server

OWNER, OTHER = "000000000000", "111111111111"
SHADOWED, THEIRS, OURS = "team-shadowed", "team-data", "own-data"


@dataclass(frozen=True)
class Both:
    """A server that keeps ``own-…`` itself and has ``team-…`` at its upstream."""

    server: Server
    upstream: Upstream
    s3: Any


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("ws")
    with in_front_of({}, folder / "front") as before:  # the same data, before there was an upstream
        s3 = before.client("s3")
        s3.create_bucket(Bucket=SHADOWED)
        s3.put_object(Bucket=SHADOWED, Key="key", Body=b"of this server")
    with wildsage(folder / "back") as (upstream, _):
        for name in (SHADOWED, THEIRS, "other-data"):
            upstream.client.create_bucket(Bucket=name)
        upstream.client.put_object(Bucket=SHADOWED, Key="key", Body=b"of the upstream")
        variables = upstream.settings(_BUCKETS="team-*, shared") | {"WILDSAGE_ACCOUNTS": OTHER}
        with in_front_of(variables, folder / "front") as server:
            s3 = server.client("s3")
            s3.create_bucket(Bucket=OURS)
            yield Both(server, upstream, s3)


def refused(call: Callable[[], Any], code: str = "AccessDenied") -> str:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code
    return str(error["Message"])


def root_of(server: Server, account: str) -> Any:
    made = json.loads((server.data / "credentials.json").read_text())
    key = made if account == OWNER else made["accounts"][account]
    return server.client("s3", aws_access_key_id=key["access_key"], aws_secret_access_key=key["secret"])


def user(server: Server, name: str, *statements: dict[str, Any]) -> Any:
    """A client of a new user with these permissions."""
    access_key, secret = server.root_key
    iam = server.client("iam", aws_access_key_id=access_key, aws_secret_access_key=secret)
    iam.create_user(UserName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    made = iam.create_policy(PolicyName=name, PolicyDocument=policy)
    iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return server.client("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])


def test_permissions_are_asked_here(both: Both) -> None:
    both.s3.put_object(Bucket=THEIRS, Key="open/a", Body=b"a")
    both.s3.put_object(Bucket=THEIRS, Key="shut/a", Body=b"a")
    reader = user(
        both.server,
        "reader",
        {"Effect": "Allow", "Action": "s3:*Object", "Resource": f"arn:aws:s3:::{THEIRS}/open/*"},
    )
    assert reader.get_object(Bucket=THEIRS, Key="open/a")["Body"].read() == b"a"
    words = refused(lambda: reader.get_object(Bucket=THEIRS, Key="shut/a"))
    assert "user/reader is not authorized to perform: s3:GetObject" in words
    refused(lambda: reader.list_objects_v2(Bucket=THEIRS))
    refused(lambda: reader.copy_object(Bucket=THEIRS, Key="open/b", CopySource=f"{THEIRS}/shut/a"))
    refused(lambda: reader.get_object(Bucket=THEIRS, Key="open/../shut/a"), "InvalidArgument")
    doomed = {"Objects": [{"Key": "open/a"}, {"Key": "shut/a"}]}
    told = reader.delete_objects(Bucket=THEIRS, Delete=doomed)
    assert [each["Key"] for each in told["Deleted"]] == ["open/a"]
    assert [(each["Key"], each["Code"]) for each in told["Errors"]] == [("shut/a", "AccessDenied")]
    told = reader.delete_objects(Bucket=THEIRS, Delete={"Objects": [{"Key": "shut/a"}]})
    assert ("Deleted" in told, len(told["Errors"])) == (False, 1)
    assert [each["Key"] for each in both.upstream.client.list_objects_v2(Bucket=THEIRS)["Contents"]] == ["shut/a"]


def test_only_the_server_s_account(both: Both) -> None:
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{THEIRS}/*"}
    owner = root_of(both.server, OWNER)
    owner.delete_public_access_block(Bucket=THEIRS)
    owner.put_bucket_policy(Bucket=THEIRS, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    owner.put_object(Bucket=THEIRS, Key="public", Body=b"x")
    assert httpx.get(f"{both.upstream.url}/{THEIRS}/public").status_code == 200  # the upstream would allow it
    assert httpx.get(f"{both.server.url}/{THEIRS}/public").status_code == 403
    nobody = both.server.client(
        "s3", aws_access_key_id="", aws_secret_access_key="", config=Config(signature_version=UNSIGNED)
    )
    refused(lambda: nobody.get_object(Bucket=THEIRS, Key="public"))
    other = root_of(both.server, OTHER)
    refused(lambda: other.get_object(Bucket=THEIRS, Key="public"))
    refused(lambda: other.create_bucket(Bucket="team-other"))
    assert other.list_buckets()["Buckets"] == []
    owner.delete_bucket_policy(Bucket=THEIRS)


def test_expected_owners(both: Both) -> None:
    both.s3.put_object(Bucket=THEIRS, Key="owned", Body=b"x", ExpectedBucketOwner=OWNER)
    refused(lambda: both.s3.get_object(Bucket=THEIRS, Key="owned", ExpectedBucketOwner=OTHER))


def test_a_bucket_is_here_or_there(both: Both) -> None:
    assert both.s3.get_object(Bucket=SHADOWED, Key="key")["Body"].read() == b"of the upstream"
    both.s3.put_object(Bucket=OURS, Key="key", Body=b"here")
    assert both.s3.get_object(Bucket=OURS, Key="key")["Body"].read() == b"here"
    refused(lambda: both.upstream.client.list_objects_v2(Bucket=OURS), "NoSuchBucket")
    names = [each["Name"] for each in both.s3.list_buckets()["Buckets"]]
    assert names == [OURS, THEIRS, SHADOWED]
    assert [each["Name"] for each in both.s3.list_buckets(Prefix="team-")["Buckets"]] == [THEIRS, SHADOWED]
    pages = both.s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1})
    assert [each["Name"] for page in pages for each in page["Buckets"]] == names
    words = refused(
        lambda: both.s3.copy_object(Bucket=OURS, Key="copy", CopySource=f"{SHADOWED}/key"), "NotImplemented"
    )
    assert "download the object and upload it" in words


def test_a_bucket_is_made_where_the_upstream_is(both: Both) -> None:
    west = both.server.client("s3", region_name="eu-west-1")
    west.create_bucket(Bucket="team-west", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert "LocationConstraint" not in {
        name: value for name, value in west.get_bucket_location(Bucket="team-west").items() if value
    }
    west.put_object(Bucket="team-west", Key="key", Body=b"x")
    assert both.s3.get_object(Bucket="team-west", Key="key")["Body"].read() == b"x"
