"""The door from outside: who may, what is refused and how, credentials of containers, records of calls."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.conftest import Server

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}],
}


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_what_is_modelled_but_not_there_says_so(server: Server) -> None:
    with pytest.raises(ClientError, match="Wildsage does not run CreateDomain of sagemaker yet") as caught:
        server.client("sagemaker").create_domain(DomainName="d", AuthMode="IAM", DefaultUserSettings={})
    assert code_of(caught) == ("UnsupportedOperationException", 400)


def test_what_no_model_knows_is_an_unknown_operation(server: Server) -> None:
    request = urllib.request.Request(
        server.url,
        data=b"{}",
        headers={"X-Amz-Target": "SageMaker.Dance", "Content-Type": "application/x-amz-json-1.1"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    with caught.value as answer:
        assert answer.code == 400
        assert json.load(answer)["__type"] == "UnknownOperationException"


def test_unsigned_requests_are_refused_in_each_services_way(server: Server) -> None:
    config = Config(signature_version=UNSIGNED)
    with pytest.raises(ClientError) as caught:
        server.client("s3", config=config).list_buckets()
    assert code_of(caught) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker", config=config).list_models()
    assert code_of(caught) == ("MissingAuthenticationTokenException", 400)
    with pytest.raises(ClientError) as caught:
        server.client("sts", config=config).get_caller_identity()
    assert code_of(caught)[0] == "MissingAuthenticationToken"


def test_validation_speaks_as_aws_does(server: Server) -> None:
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker").describe_training_job(TrainingJobName="-bad name-")
    assert code_of(caught) == ("ValidationException", 400)
    assert caught.value.response["Error"]["Message"].startswith(
        "1 validation error detected: Value '-bad name-' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern:"
    )


def test_a_role_that_does_not_exist_cannot_be_passed(server: Server) -> None:
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker").create_model(
            ModelName="norole", ExecutionRoleArn="arn:aws:iam::000000000000:role/nobody"
        )
    assert code_of(caught) == ("ValidationException", 400)
    assert caught.value.response["Error"]["Message"] == (
        "Could not assume role arn:aws:iam::000000000000:role/nobody. Please ensure that the role exists and allows "
        "principal 'sagemaker.amazonaws.com' to assume the role."
    )


@pytest.fixture
def limited(server: Server) -> Any:
    """A session of a role that may create models but pass no role."""
    iam, sts = server.client("iam"), server.client("sts")
    iam.create_role(RoleName="limited", AssumeRolePolicyDocument=json.dumps(TRUST))
    may = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}}
    iam.put_role_policy(RoleName="limited", PolicyName="may", PolicyDocument=json.dumps(may))
    arn = "arn:aws:iam::000000000000:role/limited"
    yield sts.assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
    iam.delete_role_policy(RoleName="limited", PolicyName="may")
    iam.delete_role(RoleName="limited")


def as_session(server: Server, service: str, credentials: Any) -> Any:
    return server.client(
        service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_pass_role_needs_permission(server: Server, limited: Any) -> None:
    sagemaker = as_session(server, "sagemaker", limited)
    assert sagemaker.list_models(NameContains="nopass")["Models"] == []
    with pytest.raises(ClientError) as caught:
        sagemaker.create_model(ModelName="nopass", ExecutionRoleArn=server.role)
    assert code_of(caught) == ("AccessDeniedException", 400)
    assert caught.value.response["Error"]["Message"] == (
        "User: arn:aws:sts::000000000000:assumed-role/limited/one is not authorized to perform: iam:PassRole on "
        f"resource: {server.role} because no identity-based policy allows the iam:PassRole action"
    )


def test_other_services_are_closed_to_it(server: Server, limited: Any) -> None:
    with pytest.raises(ClientError) as caught:
        as_session(server, "s3", limited).list_buckets()
    assert code_of(caught) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as caught:
        as_session(server, "logs", limited).describe_log_groups()
    assert code_of(caught) == ("AccessDeniedException", 400)


def test_a_session_ends_with_its_role(server: Server) -> None:
    iam = server.client("iam")
    iam.create_role(RoleName="brief", AssumeRolePolicyDocument=json.dumps(TRUST))
    credentials = server.client("sts").assume_role(
        RoleArn="arn:aws:iam::000000000000:role/brief", RoleSessionName="one"
    )["Credentials"]
    sts = as_session(server, "sts", credentials)
    assert sts.get_caller_identity()["Arn"].endswith(":assumed-role/brief/one")
    iam.delete_role(RoleName="brief")
    iam.create_role(RoleName="brief", AssumeRolePolicyDocument=json.dumps(TRUST))
    with pytest.raises(ClientError) as caught:
        sts.get_caller_identity()
    assert code_of(caught) == ("InvalidClientTokenId", 403)
    iam.delete_role(RoleName="brief")


def test_bad_container_credentials_are_refused(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.url}/_wildsage/credentials/ASIAX/nonsense", timeout=30)
    with caught.value as answer:
        assert answer.code == 403
        assert json.load(answer)["code"] == "AccessDenied"


def test_regions_are_kept_apart(server: Server) -> None:
    here, there = (server.client("logs", region_name=region) for region in ("us-east-1", "eu-west-1"))
    here.create_log_group(logGroupName="apart")
    assert there.describe_log_groups(logGroupNamePrefix="apart")["logGroups"] == []
    here.delete_log_group(logGroupName="apart")
