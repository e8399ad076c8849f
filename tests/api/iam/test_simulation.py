"""SimulatePrincipalPolicy through stock boto3."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def decisions(answer: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {each["EvalActionName"]: each["EvalDecision"] for each in answer["EvaluationResults"]}


def test_a_role_is_judged_by_its_policies_and_those_given(server: Server) -> None:
    iam = server.client("iam")
    role = iam.create_role(RoleName="simulated", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::data/*"}],
    }
    iam.put_role_policy(RoleName="simulated", PolicyName="read", PolicyDocument=json.dumps(policy))
    actions = ["s3:GetObject", "s3:PutObject"]
    asked = {"PolicySourceArn": role, "ActionNames": actions, "ResourceArns": ["arn:aws:s3:::data/x"]}
    assert decisions(iam.simulate_principal_policy(**asked)) == {
        "s3:GetObject": "allowed",
        "s3:PutObject": "implicitDeny",
    }
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]}
    answer = iam.simulate_principal_policy(**asked, PolicyInputList=[json.dumps(deny)])
    assert decisions(answer)["s3:GetObject"] == "explicitDeny"
    iam.delete_role_policy(RoleName="simulated", PolicyName="read")
    iam.delete_role(RoleName="simulated")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.simulate_principal_policy(**asked)
