"""Routers decide about invocations as the door would: both are asked the same of every policy here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.services.conftest import Api, api, data, platform

from wildsage.access.asking import moment, of_resource, transport
from wildsage.access.decisions import Question, decide
from wildsage.core import sessions
from wildsage.core.caller import Caller, session_of
from wildsage.core.routes import INVOKING, Routes, from_json
from wildsage.dataplane.callers import Callers
from wildsage.dataplane.table import Table
from wildsage.dataplane.verdicts import asking
from wildsage.gateway.authenticate import identity_of
from wildsage.gateway.parts import Parts
from wildsage.kit.context import Platform
from wildsage.kit.operation import Service
from wildsage.services.iam.directory import Directory
from wildsage.services.iam.service import IAM
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.sigv4 import Authorization

__all__ = ["api", "data", "platform"]

NOW, REGION = 1_700_000_000.0, "us-east-1"
ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/ada-iris"
REQUEST = Request("POST", "/", [("user-agent", "tests")], BytesBody(b""), peer="127.0.0.1:1")
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "sagemaker:Invoke*", "Resource": "*"}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"},
    }
)
CONDITIONS: list[dict[str, dict[str, str]]] = [
    {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    {"StringNotEquals": {"sagemaker:ResourceTag/team": "blue"}},
    {"StringEquals": {"aws:username": "ada"}},
    {"StringLike": {"aws:userid": "*:job"}},
    {"StringEquals": {"aws:PrincipalType": "User", "aws:PrincipalAccount": "000000000000"}},
    {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/team/ada"}},
    {"Bool": {"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"}},
    {"Null": {"aws:TokenIssueTime": "true"}},
    {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
    {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
]
STATEMENTS = [
    [ALLOW],
    [{**ALLOW, "Action": "sagemaker:InvokeEndpoint"}],
    [{**ALLOW, "Resource": "arn:aws:sagemaker:*:*:endpoint/${aws:username}-*"}],
    [{"Effect": "Allow", "NotAction": "s3:*", "NotResource": "*/${aws:PrincipalTag/team}-*"}],
    *([{**ALLOW, "Condition": each}] for each in CONDITIONS),
    *([ALLOW, {**ALLOW, "Effect": "Deny", "Condition": each}] for each in CONDITIONS),
]
TAGS: list[dict[str, str]] = [{}, {"team": "blue"}, {"Team": "red"}]


@pytest.fixture
def services() -> Mapping[str, Service]:
    return {"iam": IAM}


def document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class Both:
    """The door and a router."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._directory = Directory(platform)
        self._parts = Parts(platform, self._directory, {})
        self.table = Table()
        self._callers = Callers(self.table, platform.clock)

    async def push(self) -> None:
        own = self._platform.credentials
        keys, permissions = await self._directory.route_keys(), await self._directory.route_permissions()
        routes = Routes(self.table.version + 1, own.account, own.master_hex, keys, permissions)
        self.table.put(from_json(routes.to_json()))

    async def agree(self, signed: Authorization, caller: Caller, session: sessions.Session | None) -> set[bool]:
        """What they say, of every tag and both actions."""
        door = await identity_of(self._parts, signed, caller, session)
        _, router = self._callers.signer(signed, self._platform.clock.now())
        own = self.table.verdicts(router.principal, router.user_id)
        said = set()
        for tags in TAGS:
            context = moment(REGION, NOW) | transport("http", REQUEST.peer, REQUEST.header) | of_resource(tags)
            asked = asking(REQUEST, REGION, NOW, tags, own.context, router.context)
            for streams, action in enumerate(INVOKING):
                expected = decide(door, Question(action, ARN, context)).allowed
                found = own.of(bool(streams), ARN, asked).allowed
                if router.within is not None:
                    found = found and router.within.of(bool(streams), ARN, asked).allowed
                assert found is expected, (caller.arn, action, tags)
                said.add(found)
        return said


def signed_by(access_key: str, token: str = "") -> Authorization:
    return Authorization(access_key, "", REGION, "sagemaker", "host", "", "", token, False, 0, "rest")


async def test_users_with_keys_of_their_own(platform: Platform, api: Api) -> None:
    both, said = Both(platform), set()
    await api.iam("CreateUser", UserName="ada", Path="/team/", Tags=[{"Key": "team", "Value": "blue"}])
    made = (await api.iam("CreateAccessKey", UserName="ada"))["AccessKey"]["AccessKeyId"]
    for statements in STATEMENTS:
        await api.iam("PutUserPolicy", UserName="ada", PolicyName="own", PolicyDocument=document(statements))
        await both.push()
        key = both.table.key(made)
        assert key is not None
        said |= await both.agree(
            signed_by(made), Caller(platform.credentials.account, key.arn, key.user_id, key.principal, made), None
        )
    assert said == {True, False}


async def test_sessions_of_a_role(platform: Platform, api: Api) -> None:
    both, said, own = Both(platform), set(), platform.credentials
    role = (await api.iam("CreateRole", RoleName="ada", Path="/team/", AssumeRolePolicyDocument=TRUST))["Role"]
    await api.iam("TagRole", RoleName="ada", Tags=[{"Key": "team", "Value": "blue"}])
    caller = session_of(own.account, "ada", role["RoleId"], "job")
    now = platform.clock.now()
    for number, statements in enumerate(STATEMENTS):
        await api.iam("PutRolePolicy", RoleName="ada", PolicyName="own", PolicyDocument=document(statements))
        await both.push()
        narrow = document(STATEMENTS[-1 - number])
        for policies, tags in (((), {}), ((), {"Team": "red"}), ((narrow,), {}), ((narrow,), {"team": "red"})):
            made = sessions.issue(own.master, caller, now, now + 900, policies, tags)
            session = sessions.open(own.master, made.token, made.access_key, now)
            said |= await both.agree(signed_by(made.access_key, made.token), session.caller, session)
    assert said == {True, False}


async def test_a_session_of_a_deleted_role_is_nobody_beside_one_of_the_new_role(platform: Platform, api: Api) -> None:
    """Both have the same ARN; what is known of the one must not be taken for the other."""
    directory, own, callers = Directory(platform), platform.credentials, []
    for _ in range(2):
        role = (await api.iam("CreateRole", RoleName="ada", AssumeRolePolicyDocument=TRUST))["Role"]
        callers.append(session_of(own.account, "ada", role["RoleId"], "job"))
        assert await directory.identity(callers[-1]) is not None
        if len(callers) == 1:
            await api.iam("DeleteRole", RoleName="ada")
    old, new = callers
    assert old.arn == new.arn
    assert await directory.identity(old) is None
    assert await directory.identity(new) is not None


async def test_a_user_whose_row_cannot_be_read_has_no_rights_and_the_others_have_theirs(
    platform: Platform, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    directory, keys = Directory(platform), {}
    for name in ("ada", "bob"):
        await api.iam("CreateUser", UserName=name)
        await api.iam("PutUserPolicy", UserName=name, PolicyName="own", PolicyDocument=document([ALLOW]))
        keys[name] = (await api.iam("CreateAccessKey", UserName=name))["AccessKey"]["AccessKeyId"]
    before = await directory.route_permissions()
    words = "UPDATE resources SET state = 'damaged' WHERE kind = 'iam-user' AND name = 'ada'"
    await platform.database.write(lambda connection: connection.exec_driver_sql(words) and None)
    directory = Directory(platform)
    ada, bob = (f"arn:aws:iam::000000000000:user/{name}" for name in ("ada", "bob"))
    assert before.keys() - (await directory.route_permissions()).keys() == {ada}
    assert bob in await directory.route_objects()
    known = await directory.route_keys()
    assert (keys["ada"] in known, keys["bob"] in known) == (False, True)
    assert "routers do not know" in caplog.text
