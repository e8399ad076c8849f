"""IAM through stock boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"}],
}


@pytest.fixture
def iam(server: Server) -> Any:
    return server.client("iam")


@pytest.fixture
def role(iam: Any) -> Iterator[str]:
    iam.create_role(RoleName="tested", AssumeRolePolicyDocument=json.dumps(TRUST), Path="/team/")
    yield "tested"
    for name in iam.list_role_policies(RoleName="tested")["PolicyNames"]:
        iam.delete_role_policy(RoleName="tested", PolicyName=name)
    for policy in iam.list_attached_role_policies(RoleName="tested")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="tested", PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName="tested")


@pytest.fixture
def user(iam: Any) -> Iterator[str]:
    iam.create_user(UserName="ada", Tags=[{"Key": "team", "Value": "blue"}])
    yield "ada"
    for name in iam.list_user_policies(UserName="ada")["PolicyNames"]:
        iam.delete_user_policy(UserName="ada", PolicyName=name)
    for policy in iam.list_attached_user_policies(UserName="ada")["AttachedPolicies"]:
        iam.detach_user_policy(UserName="ada", PolicyArn=policy["PolicyArn"])
    for key in iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="ada")


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_role_is_described_as_it_was_made(iam: Any, role: str) -> None:
    found = iam.get_role(RoleName=role)["Role"]
    assert found["Arn"] == "arn:aws:iam::000000000000:role/team/tested"
    assert found["AssumeRolePolicyDocument"] == TRUST
    assert found["RoleId"].startswith("AROA")
    assert found["MaxSessionDuration"] == 3600
    assert role in [each["RoleName"] for each in iam.list_roles(PathPrefix="/team/")["Roles"]]


def test_the_words_for_roles_missing_and_taken(iam: Any, role: str) -> None:
    with pytest.raises(ClientError, match=r"The role with name nobody cannot be found\.") as caught:
        iam.get_role(RoleName="nobody")
    assert code_of(caught) == ("NoSuchEntity", 404)
    with pytest.raises(ClientError, match=r"Role with name tested already exists\.") as caught:
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))
    assert code_of(caught) == ("EntityAlreadyExists", 409)


def test_a_malformed_document_is_refused(iam: Any, role: str) -> None:
    with pytest.raises(ClientError, match="must have Action") as caught:
        iam.put_role_policy(
            RoleName=role,
            PolicyName="bad",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*"}]}),
        )
    assert code_of(caught) == ("MalformedPolicyDocument", 400)


def test_a_role_with_policies_cannot_be_deleted(iam: Any, role: str) -> None:
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    with pytest.raises(ClientError, match="must detach all policies first") as caught:
        iam.delete_role(RoleName=role)
    assert code_of(caught) == ("DeleteConflict", 409)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == [
        {
            "PolicyName": "AmazonSageMakerFullAccess",
            "PolicyArn": "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess",
        }
    ]


def test_inline_policies_come_back(iam: Any, role: str) -> None:
    iam.put_role_policy(RoleName=role, PolicyName="read", PolicyDocument=json.dumps(READ))
    assert iam.get_role_policy(RoleName=role, PolicyName="read")["PolicyDocument"] == READ
    with pytest.raises(ClientError, match="The role policy with name other cannot be found"):
        iam.get_role_policy(RoleName=role, PolicyName="other")


def test_a_users_key_may_what_its_policies_say(server: Server, iam: Any, user: str) -> None:
    made = iam.create_access_key(UserName=user)["AccessKey"]
    own = server.client("iam", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])
    with pytest.raises(ClientError) as caught:
        own.list_roles()
    assert caught.value.response["Error"]["Message"] == (
        "User: arn:aws:iam::000000000000:user/ada is not authorized to perform: iam:ListRoles on resource: * "
        "because no identity-based policy allows the iam:ListRoles action"
    )
    iam.put_user_policy(UserName=user, PolicyName="read", PolicyDocument=json.dumps(READ))
    assert own.list_roles()["Roles"]
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:ListRoles", "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName="deny", PolicyDocument=json.dumps(deny))
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        own.list_roles()
    iam.update_access_key(UserName=user, AccessKeyId=made["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError) as caught:
        own.get_user()
    assert code_of(caught) == ("InvalidClientTokenId", 403)


def test_policy_variables_stand_for_the_user(server: Server, iam: Any, user: str) -> None:
    own_keys = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iam:ListAccessKeys",
                "Resource": "arn:aws:iam::*:user/${aws:username}",
                "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}},
            }
        ],
    }
    iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=json.dumps(own_keys))
    made = iam.create_access_key(UserName=user)["AccessKey"]
    own = server.client("iam", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])
    assert len(own.list_access_keys(UserName=user)["AccessKeyMetadata"]) == 1
    with pytest.raises(ClientError, match="not authorized"):
        own.list_access_keys(UserName="bob")


def test_policies_speak_of_the_tags_of_sagemaker_s_resources(server: Server, iam: Any, user: str) -> None:
    made = iam.create_access_key(UserName=user)["AccessKey"]
    key = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    sagemaker, own = server.client("sagemaker"), server.client("sagemaker", **key)
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
    for name, team in (("Of-Blue", "blue"), ("of-red", "red")):
        tags = [{"Key": "Team", "Value": team}]
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=server.role, PrimaryContainer={"Image": image}, Tags=tags
        )

    def may(*statements: dict[str, Any]) -> list[str]:
        policy = {"Version": "2012-10-17", "Statement": [{"Resource": "*", **each} for each in statements]}
        iam.put_user_policy(UserName=user, PolicyName="tags", PolicyDocument=json.dumps(policy))
        allowed = []
        for name in ("Of-Blue", "of-red"):
            try:
                allowed.append(own.describe_model(ModelName=name)["ModelName"])
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDeniedException"
        return allowed

    allow = {"Effect": "Allow", "Action": "sagemaker:*"}
    deny = {"Effect": "Deny", "Action": "sagemaker:DescribeModel"}
    blue = {"StringEquals": {"aws:ResourceTag/Team": "blue"}}
    assert may({**allow, "Condition": blue}) == ["Of-Blue"]
    assert may(allow, {**deny, "Condition": blue}) == ["of-red"]
    assert may(allow, {**deny, "Condition": {"StringNotEquals": {"sagemaker:ResourceTag/Team": "blue"}}}) == ["Of-Blue"]
    for name in ("Of-Blue", "of-red"):
        sagemaker.delete_model(ModelName=name)


def test_a_third_key_is_over_the_quota(iam: Any, user: str) -> None:
    iam.create_access_key(UserName=user)
    iam.create_access_key(UserName=user)
    with pytest.raises(ClientError, match="Cannot exceed quota for AccessKeysPerUser: 2") as caught:
        iam.create_access_key(UserName=user)
    assert code_of(caught) == ("LimitExceeded", 409)


def test_managed_policies_have_versions(iam: Any) -> None:
    policy = iam.create_policy(PolicyName="versions", PolicyDocument=json.dumps(READ))["Policy"]["Arn"]
    other = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=json.dumps(other), SetAsDefault=True)
    assert iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"] == "v2"
    assert iam.get_policy_version(PolicyArn=policy, VersionId="v2")["PolicyVersion"]["Document"] == other
    with pytest.raises(ClientError, match="more than one version") as caught:
        iam.delete_policy(PolicyArn=policy)
    assert code_of(caught) == ("DeleteConflict", 409)
    iam.delete_policy_version(PolicyArn=policy, VersionId="v1")
    iam.delete_policy(PolicyArn=policy)
    with pytest.raises(ClientError) as caught:
        iam.get_policy(PolicyArn=policy)
    assert code_of(caught) == ("NoSuchEntity", 404)


def test_the_shipped_policies_are_listed(iam: Any) -> None:
    pages = iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 5})
    names = [policy["PolicyName"] for page in pages for policy in page["Policies"]]
    assert {"AdministratorAccess", "AmazonSageMakerFullAccess", "AmazonS3FullAccess"} <= set(names)
    assert len(names) == len(set(names))


def test_a_permissions_boundary_narrows(server: Server, iam: Any, user: str) -> None:
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(READ))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary=boundary)
    iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    made = iam.create_access_key(UserName=user)["AccessKey"]
    own = server.client("iam", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])
    assert own.list_roles()["Roles"]
    with pytest.raises(ClientError, match="no permissions boundary policy allows"):
        own.create_user(UserName="eve")
    iam.delete_user_permissions_boundary(UserName=user)
    iam.delete_policy(PolicyArn=boundary)


def test_a_permissions_boundary_narrows_what_other_processes_let_through(server: Server, iam: Any, user: str) -> None:
    """The router answers invocations and the objects process reads, neither asks control."""
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "arn:aws:sagemaker:*:*:endpoint/inside*"},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::bounded/inside*"},
            {"Effect": "Deny", "Action": "sagemaker:*", "Resource": "*/inside-denied"},
        ],
    }
    bucket = server.client("s3")
    bucket.create_bucket(Bucket="bounded")
    for key in ("inside", "outside"):
        bucket.put_object(Bucket="bounded", Key=key, Body=b"x")
    iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    made = iam.create_access_key(UserName=user)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    runtime, s3 = server.client("sagemaker-runtime", **keys), server.client("s3", **keys)

    def invoked(name: str) -> str:
        with pytest.raises(ClientError) as caught:
            runtime.invoke_endpoint(EndpointName=name, Body=b"1")
        return code_of(caught)[0]

    everywhere = {name: invoked(name) for name in ("inside", "outside", "inside-denied")}
    assert set(everywhere.values()) == {"ValidationError"}  # it may, and there is no such endpoint
    assert s3.get_object(Bucket="bounded", Key="outside")["Body"].read() == b"x"
    boundary = iam.create_policy(PolicyName="around", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary=boundary)
    assert invoked("inside") == "ValidationError"
    assert invoked("outside") == invoked("inside-denied") == "AccessDeniedException"
    assert s3.get_object(Bucket="bounded", Key="inside")["Body"].read() == b"x"
    for key in ("outside", "none"):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.get_object(Bucket="bounded", Key=key)
    iam.delete_user_permissions_boundary(UserName=user)
    iam.delete_policy(PolicyArn=boundary)
    assert invoked("outside") == "ValidationError"


def test_tags_of_a_role(iam: Any, role: str) -> None:
    iam.tag_role(RoleName=role, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName=role, TagKeys=["a"])
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_names_are_checked_against_the_model(iam: Any) -> None:
    with pytest.raises(ClientError, match="failed to satisfy constraint") as caught:
        iam.get_role(RoleName="no spaces allowed")
    assert code_of(caught)[0] == "ValidationError"
