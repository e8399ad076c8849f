"""Who may invoke what, by tags and by names, through stock boto3."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import ECHO, Account, until

ALLOW = {"Effect": "Allow", "Action": ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"]}
STATEMENTS = [
    {**ALLOW, "Resource": "arn:aws:sagemaker:*:*:endpoint/${aws:username}-*"},
    {
        **ALLOW,
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    },
]
POLICY = json.dumps({"Version": "2012-10-17", "Statement": STATEMENTS})


def tags(team: str) -> list[dict[str, str]]:
    return [{"Key": "team", "Value": team}]


@pytest.fixture
def names(account: Account) -> Iterator[tuple[str, str, str, str]]:
    """Two users, ada of team blue and bob of team red, and two endpoints: one of ada's name, and one of team blue."""
    mark = uuid.uuid4().hex[:8]
    ada, bob, hers, blue = f"ada-{mark}", f"bob-{mark}", f"ada-{mark}-iris", f"rose-{mark}"
    config, iam = account.model(ECHO), account.server.client("iam")
    account.sagemaker.create_endpoint(EndpointName=hers, EndpointConfigName=config)
    account.sagemaker.create_endpoint(EndpointName=blue, EndpointConfigName=config, Tags=tags("blue"))
    for user, team in ((ada, "blue"), (bob, "red")):
        iam.create_user(UserName=user, Tags=tags(team))
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=POLICY)
    assert {account.settled(endpoint)["EndpointStatus"] for endpoint in (hers, blue)} == {"InService"}
    yield ada, bob, hers, blue
    account.delete(hers)
    account.delete(blue)
    for user in (ada, bob):
        for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName=user, PolicyName="own")
        iam.delete_user(UserName=user)


def test_policies_on_tags_and_names_hold_at_once(account: Account, names: tuple[str, str, str, str]) -> None:
    ada, bob, hers, blue = names
    iam = account.server.client("iam")

    def runtime(user: str) -> Any:
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return account.server.client(
            "sagemaker-runtime",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=None,
        )

    clients = {ada: runtime(ada), bob: runtime(bob)}

    def may(user: str, endpoint: str) -> bool:
        try:
            answer = clients[user].invoke_endpoint(EndpointName=endpoint, Body=b"x", ContentType="text/csv")
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("AccessDeniedException", "UnrecognizedClientException")
            return False
        return bool(answer["Body"].read() == b"x")

    def allowed(*expected: bool) -> None:
        """Of ada and then of bob, whether they may invoke the one and the other; a router may lag while it is busy."""
        until(lambda: (may(ada, hers), may(ada, blue), may(bob, hers), may(bob, blue)) == expected)

    arn = account.sagemaker.describe_endpoint(EndpointName=blue)["EndpointArn"]
    allowed(True, True, False, False)
    account.sagemaker.add_tags(ResourceArn=arn, Tags=tags("red"))
    allowed(True, False, False, True)
    iam.tag_user(UserName=ada, Tags=tags("red"))
    allowed(True, True, False, True)
    account.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    allowed(True, False, False, False)
    streamed = clients[ada].invoke_endpoint_with_response_stream(EndpointName=hers, Body=b"x", ContentType="text/csv")
    assert b"".join(event["PayloadPart"]["Bytes"] for event in streamed["Body"]) == b"x"
