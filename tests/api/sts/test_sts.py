"""STS through stock boto3."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server


def test_a_client_under_run_is_a_session_of_the_execution_role(server: Server) -> None:
    identity = server.client("sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"] == "arn:aws:sts::000000000000:assumed-role/WildsageExecutionRole/wildsage"
    assert identity["UserId"].startswith("AROA")
    assert identity["ResponseMetadata"]["RequestId"]


def test_the_root_key_is_the_root(server: Server) -> None:
    key, secret = server.root_key
    sts = server.client("sts", aws_access_key_id=key, aws_secret_access_key=secret)
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


def test_assume_role_gives_credentials_that_work(server: Server) -> None:
    sts = server.client("sts")
    answer = sts.assume_role(RoleArn=server.role, RoleSessionName="someone", DurationSeconds=900)
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert 0 < (credentials["Expiration"] - datetime.now(UTC)).total_seconds() <= 900
    assert answer["AssumedRoleUser"]["Arn"].endswith(":assumed-role/WildsageExecutionRole/someone")
    own = server.client(
        "sts",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    assert own.get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]


def test_a_session_policy_narrows(server: Server) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"}]}
    credentials = server.client("sts").assume_role(
        RoleArn=server.role, RoleSessionName="narrow", Policy=json.dumps(policy)
    )["Credentials"]
    iam = server.client(
        "iam",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    assert iam.get_role(RoleName="WildsageExecutionRole")["Role"]["Arn"] == server.role
    with pytest.raises(ClientError, match="because no session policy allows the iam:ListRoles action") as caught:
        iam.list_roles()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_role_that_does_not_exist_cannot_be_assumed(server: Server) -> None:
    with pytest.raises(ClientError, match="is not authorized to perform: sts:AssumeRole on resource") as caught:
        server.client("sts").assume_role(RoleArn="arn:aws:iam::000000000000:role/nobody", RoleSessionName="some")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_chained_sessions_last_an_hour_at_most(server: Server) -> None:
    with pytest.raises(ClientError, match="1 hour session limit for roles assumed by role chaining"):
        server.client("sts").assume_role(RoleArn=server.role, RoleSessionName="some", DurationSeconds=7200)


def test_sessions_cannot_get_session_tokens(server: Server) -> None:
    with pytest.raises(ClientError, match="Cannot call GetSessionToken with session credentials"):
        server.client("sts").get_session_token()


def test_session_tokens_of_the_root_are_the_root(server: Server) -> None:
    key, secret = server.root_key
    sts = server.client("sts", aws_access_key_id=key, aws_secret_access_key=secret)
    credentials = sts.get_session_token()["Credentials"]
    own = server.client(
        "sts",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    assert own.get_caller_identity()["Arn"].endswith(":root")


@pytest.mark.parametrize(
    ("key", "secret", "token", "code"),
    [
        ("AKIAAAAAAAAAAAAAAAAA", "x" * 40, None, "InvalidClientTokenId"),
        ("root", "x" * 40, None, "SignatureDoesNotMatch"),
        ("ASIAAAAAAAAAAAAAAAAA", "x" * 40, "nonsense", "InvalidClientTokenId"),
    ],
)
def test_nobody_gets_in_without_a_known_key(
    server: Server, key: str, secret: str, token: str | None, code: str
) -> None:
    key = server.root_key[0] if key == "root" else key
    sts = server.client("sts", aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token)
    with pytest.raises(ClientError) as caught:
        sts.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
