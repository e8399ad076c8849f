"""Who may invoke a function: callers' policies, the function's own; and what one function can do to another."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.lambda_.functions import Functions
from tests.conftest import Server

TEXT = "def handler(event, context): return 'reached'"
PROBE = """
import http.client, os
def ask(method, host, path, body=None):
    name, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    connection = http.client.HTTPConnection(name, int(port), timeout=20)
    connection.request(method, "/2018-06-01/runtime/" + path, body, {"Host": host or f"{name}:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()
def handler(event, context):
    port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")[1]
    return {
        "by port": ask("GET", f"127.0.0.1:{port}", "invocation/next")[0],
        "by guess": ask("GET", f"fn-{'0' * 32}:{port}", "invocation/next")[0],
        "for another": ask("POST", "", "invocation/00000000-0000-0000-0000-000000000000/response", "{}")[0],
        "elsewhere": ask("GET", "", "nothing/here")[0],
    }
"""
TWICE = """
import http.client, os
def handler(event, context):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"], timeout=20)
    connection.request("POST", f"/2018-06-01/runtime/invocation/{context.aws_request_id}/" + event["as"], event["say"])
    connection.getresponse().read()
    return "second"
"""


class Someone:
    """A user with a key and the policies given."""

    def __init__(self, server: Server, *statements: dict[str, Any]) -> None:
        iam, self.name = server.client("iam"), f"u-{uuid.uuid4().hex[:12]}"
        self.arn = iam.create_user(UserName=self.name)["User"]["Arn"]
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName=self.name)["AccessKey"]
        self.client = server.client(
            "lambda", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
        )


def denied(call: Any, **asked: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**asked)
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDeniedException", 403)


@pytest.fixture(scope="module")
def name(functions: Functions) -> str:
    return functions.create(TEXT)


def test_a_policy_of_the_caller(functions: Functions, server: Server, name: str) -> None:
    resource = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    allowed = Someone(server, {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": resource})
    assert allowed.client.invoke(FunctionName=name)["Payload"].read() == b'"reached"'
    denied(allowed.client.get_function, FunctionName=name)
    denied(allowed.client.invoke, FunctionName=f"{name}-other")
    denied(Someone(server).client.invoke, FunctionName=name)


def test_a_policy_of_the_function(functions: Functions, server: Server, name: str) -> None:
    someone, client = Someone(server), functions.client
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName=name)
    permission = {"FunctionName": name, "StatementId": "them", "Action": "lambda:InvokeFunction"}
    answer = client.add_permission(**permission, Principal=someone.arn)
    assert json.loads(answer["Statement"])["Principal"] == {"AWS": someone.arn}
    assert someone.client.invoke(FunctionName=name)["Payload"].read() == b'"reached"'
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.add_permission(**permission, Principal=someone.arn)
    assert json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"][0]["Sid"] == "them"
    client.remove_permission(FunctionName=name, StatementId="them")
    denied(someone.client.invoke, FunctionName=name)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.remove_permission(FunctionName=name, StatementId="them")


def test_a_role_must_be_passed(functions: Functions, server: Server) -> None:
    someone = Someone(server, {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"})
    with pytest.raises(ClientError, match="iam:PassRole"):
        Functions(server, someone.client).create(TEXT)


def test_a_function_has_what_its_role_allows(functions: Functions, server: Server) -> None:
    iam, role = server.client("iam"), f"r-{uuid.uuid4().hex[:12]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    text = "import boto3\ndef handler(event, context): return len(boto3.client('s3').list_buckets()['Buckets'])"
    called = functions.invoke(functions.create(text, Role=arn, Timeout=60))
    assert called.error == "Unhandled"
    assert "AccessDenied" in called.payload["errorMessage"]
    iam.put_role_policy(
        RoleName=role,
        PolicyName="p",
        PolicyDocument=json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}),
    )
    assert functions.invoke(functions.made[-1]).error is None
    groups = server.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{functions.made[-1]}")
    assert groups["logGroups"] == []  # it may not write logs, so there are none


def test_nobody_takes_or_answers_for_another(functions: Functions) -> None:
    called = functions.invoke(functions.create(PROBE, Timeout=60))
    assert called.payload == {"by port": 403, "by guess": 403, "for another": 400, "elsewhere": 404}


@pytest.mark.parametrize(
    ("event", "error", "payload"),
    [
        ({"as": "response", "say": '"first"'}, None, "first"),
        ({"as": "error", "say": "no JSON"}, "Unhandled", "Runtime.UnknownReason"),
    ],
    ids=["response", "error"],
)
def test_the_first_answer_counts(functions: Functions, event: Any, error: str | None, payload: str) -> None:
    """The runtime's own comes later, is refused, and ends it."""
    name = functions.create(TWICE, Timeout=60)
    for _ in range(2):
        called = functions.invoke(name, event)
        assert called.error == error
        assert payload in (
            called.payload,
            called.payload if isinstance(called.payload, str) else called.payload["errorType"],
        )
