"""Who may: access control lists, bucket policies and public access blocks between accounts and for the anonymous."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.conftest import Server, start_server

OWNER, OTHER = "000000000000", "111111111111"
DENIED = "AccessDenied"


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two accounts."""
    server = start_server(tmp_path_factory.mktemp("ws"), variables={"WILDSAGE_ACCOUNTS": OTHER})
    yield server
    server.stop()


def root_of(server: Server, account: str) -> Any:
    made = json.loads((server.data / "credentials.json").read_text())
    key = made if account == OWNER else made["accounts"][account]
    return server.client("s3", aws_access_key_id=key["access_key"], aws_secret_access_key=key["secret"])


@pytest.fixture
def owner(accounts: Server) -> Any:
    return root_of(accounts, OWNER)


@pytest.fixture
def other(accounts: Server) -> Any:
    return root_of(accounts, OTHER)


@pytest.fixture
def anonymous(accounts: Server) -> Any:
    return accounts.client(
        "s3", aws_access_key_id="", aws_secret_access_key="", config=Config(signature_version=UNSIGNED)
    )


@pytest.fixture
def bucket(owner: Any, other: Any) -> Iterator[str]:
    """A bucket with ACLs that blocks nothing."""
    name = "shared-bucket"
    owner.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
    owner.delete_public_access_block(Bucket=name)
    owner.put_object(Bucket=name, Key="key", Body=b"data")
    yield name
    owner.delete_bucket_policy(Bucket=name)
    for item in owner.list_objects_v2(Bucket=name).get("Contents", []):
        owner.delete_object(Bucket=name, Key=item["Key"])
    owner.delete_bucket(Bucket=name)


def refused(call: Callable[[], Any], code: str = DENIED) -> None:
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code


def allow(owner: Any, bucket: str, principal: Any, *actions: str) -> None:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": resources}
    owner.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_a_new_bucket_is_its_owner_s_alone(owner: Any, other: Any, anonymous: Any) -> None:
    owner.create_bucket(Bucket="new-bucket")
    refused(lambda: other.list_objects_v2(Bucket="new-bucket"))
    refused(lambda: other.get_bucket_acl(Bucket="new-bucket"))
    refused(lambda: anonymous.list_objects_v2(Bucket="new-bucket"))
    refused(lambda: anonymous.put_object(Bucket="new-bucket", Key="key", Body=b""))
    refused(lambda: owner.put_bucket_acl(Bucket="new-bucket", ACL="public-read"), "AccessControlListNotSupported")
    refused(lambda: allow(owner, "new-bucket", "*", "s3:GetObject"))
    allow(owner, "new-bucket", {"AWS": OTHER}, "s3:ListBucket")
    assert other.list_objects_v2(Bucket="new-bucket")["KeyCount"] == 0
    refused(lambda: anonymous.list_objects_v2(Bucket="new-bucket"))
    owner.delete_bucket(Bucket="new-bucket")


def test_canned_lists_of_objects(owner: Any, other: Any, anonymous: Any, bucket: str) -> None:
    refused(lambda: other.get_object(Bucket=bucket, Key="key"))
    owner.put_object_acl(Bucket=bucket, Key="key", ACL="authenticated-read")
    assert other.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"
    refused(lambda: anonymous.get_object(Bucket=bucket, Key="key"))
    owner.put_object_acl(Bucket=bucket, Key="key", ACL="public-read")
    assert anonymous.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"
    refused(lambda: anonymous.list_objects_v2(Bucket=bucket))
    refused(lambda: anonymous.delete_object(Bucket=bucket, Key="key"))


def test_canned_lists_of_buckets(owner: Any, anonymous: Any, bucket: str) -> None:
    owner.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    anonymous.put_object(Bucket=bucket, Key="anyone", Body=b"x")
    assert [each["Key"] for each in anonymous.list_objects_v2(Bucket=bucket)["Contents"]] == ["anyone", "key"]
    refused(lambda: anonymous.get_object(Bucket=bucket, Key="key"))
    granted = owner.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [grant["Permission"] for grant in granted] == ["READ", "WRITE", "FULL_CONTROL"]


def test_who_writes_an_object_owns_it_unless_the_bucket_s_owner_is_preferred(
    owner: Any, other: Any, bucket: str
) -> None:
    allow(owner, bucket, {"AWS": OTHER}, "s3:PutObject", "s3:GetObject")
    other.put_object(Bucket=bucket, Key="theirs", Body=b"theirs")
    refused(lambda: owner.get_object(Bucket=bucket, Key="theirs"))
    listed = owner.list_objects_v2(Bucket=bucket, FetchOwner=True, Prefix="theirs")["Contents"]
    assert listed[0]["Owner"]["ID"] == other.list_buckets()["Owner"]["ID"]
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    owner.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)
    other.put_object(Bucket=bucket, Key="given", Body=b"given", ACL="bucket-owner-full-control")
    assert owner.get_object(Bucket=bucket, Key="given")["Body"].read() == b"given"
    owner.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    assert owner.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"theirs"


def test_grants_to_an_account(owner: Any, other: Any, bucket: str) -> None:
    canonical = other.list_buckets()["Owner"]["ID"]
    owner.put_object(Bucket=bucket, Key="granted", Body=b"x", GrantRead=f'id="{canonical}"')
    assert other.get_object(Bucket=bucket, Key="granted")["Body"].read() == b"x"
    refused(lambda: other.get_object_acl(Bucket=bucket, Key="granted"))
    refused(lambda: owner.put_object_acl(Bucket=bucket, Key="key", GrantRead='id="nobody"'), "InvalidArgument")
    refused(
        lambda: owner.put_object_acl(Bucket=bucket, Key="key", GrantRead='emailAddress="a@b.c"'),
        "UnresolvableGrantByEmailAddress",
    )


def test_a_public_access_block_rules_out_what_it_names(owner: Any, anonymous: Any, bucket: str) -> None:
    owner.put_object_acl(Bucket=bucket, Key="key", ACL="public-read")
    assert anonymous.head_object(Bucket=bucket, Key="key")["ContentLength"] == 4
    owner.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True, "BlockPublicAcls": True}
    )
    refused(lambda: anonymous.get_object(Bucket=bucket, Key="key"))
    refused(lambda: owner.put_object(Bucket=bucket, Key="public", Body=b"", ACL="public-read"))
    owner.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True, "IgnorePublicAcls": True}
    )
    allow(owner, bucket, "*", "s3:GetObject")
    refused(lambda: anonymous.get_object(Bucket=bucket, Key="key"))
    owner.delete_public_access_block(Bucket=bucket)
    assert anonymous.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"


def test_what_may_not_be_deleted_is_named_and_the_rest_goes(owner: Any, other: Any, bucket: str) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "s3:DeleteObject"}
    statement["Resource"] = f"arn:aws:s3:::{bucket}/open/*"
    owner.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    owner.put_object(Bucket=bucket, Key="open/a", Body=b"")
    told = other.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "open/a"}, {"Key": "key"}]})
    assert [each["Key"] for each in told["Deleted"]] == ["open/a"]
    assert [(each["Key"], each["Code"]) for each in told["Errors"]] == [("key", DENIED)]
    assert owner.head_object(Bucket=bucket, Key="key")


def test_policies_may_ask_for_tags(owner: Any, anonymous: Any, bucket: str) -> None:
    owner.put_object(Bucket=bucket, Key="tagged", Body=b"x", Tagging="shown=yes")
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"s3:ExistingObjectTag/shown": "yes"}},
    }
    owner.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert anonymous.get_object(Bucket=bucket, Key="tagged")["Body"].read() == b"x"
    refused(lambda: anonymous.get_object(Bucket=bucket, Key="key"))


def test_only_who_may_list_the_bucket_is_told_that_a_key_is_absent(
    owner: Any, other: Any, anonymous: Any, bucket: str
) -> None:
    absent = {"Bucket": bucket, "Key": "absent"}
    allow(owner, bucket, "*", "s3:GetObject", "s3:GetObjectAttributes")
    for client in (other, anonymous):
        refused(partial(client.get_object, **absent))
        refused(partial(client.head_object, **absent), "403")
        refused(partial(client.get_object_attributes, **absent, ObjectAttributes=["ETag"]))
        assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"
    allow(owner, bucket, "*", "s3:GetObject", "s3:ListBucket")
    for client in (owner, other, anonymous):
        refused(partial(client.get_object, **absent), "NoSuchKey")
        refused(partial(client.head_object, **absent), "404")
