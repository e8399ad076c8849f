"""Who may push and pull: policies of users, sessions and repositories, another account."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from tests.api.ecr.pushing import Registry, digest, new_repository, password_of, registry_of
from tests.conftest import Server

PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]


def allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def user_that(server: Server, *statements: dict[str, Any]) -> tuple[str, Any]:
    """The ARN of a new user, and its client of ECR."""
    iam, name = server.client("iam"), f"user-{uuid.uuid4().hex}"
    arn: str = iam.create_user(UserName=name)["User"]["Arn"]
    own = document(allow("ecr:GetAuthorizationToken"), *statements)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=own)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    secret = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return arn, server.client("ecr", **secret)


@pytest.fixture
def name(server: Server) -> str:
    """A repository with an image."""
    found = new_repository(server.client("ecr"))
    registry_of(server).push_image(found, "v1")
    return found


def arn_of(name: str) -> str:
    return f"arn:aws:ecr:us-east-1:000000000000:repository/{name}"


def test_who_may_only_pull_pulls_and_does_not_push(server: Server, name: str) -> None:
    arn, ecr = user_that(server, allow(*PULL, resource=arn_of(name)))
    registry = Registry(server.url, password_of(ecr))
    assert registry("GET", f"/v2/{name}/manifests/v1").status == 200
    assert registry("GET", f"/v2/{name}/blobs/{digest(b'layer')}").body == b"layer"
    for method, path, action in (
        ("POST", "blobs/uploads/", "InitiateLayerUpload"),
        ("PATCH", f"blobs/uploads/{uuid.uuid4()}", "UploadLayerPart"),
        ("PUT", f"blobs/uploads/{uuid.uuid4()}", "CompleteLayerUpload"),
        ("PUT", "manifests/v2", "PutImage"),
        ("DELETE", "manifests/v1", "BatchDeleteImage"),
        ("GET", "tags/list", "ListImages"),
    ):
        answer = registry(method, f"/v2/{name}/{path}", b"x" if method == "PATCH" else None)
        assert (answer.status, answer.code) == (403, "DENIED")
        words = f"User: {arn} is not authorized to perform: ecr:{action} on resource: {arn_of(name)}"
        assert answer.message == f"{words} because no identity-based policy allows the ecr:{action} action"
    assert registry("GET", "/v2/_catalog").status == 403
    other = new_repository(server.client("ecr"))
    for hidden in (other, "no/such"):
        assert registry("GET", f"/v2/{hidden}/manifests/v1").code == "DENIED"


def test_whoever_is_gone_is_not_let_in(server: Server) -> None:
    arn, ecr = user_that(server)
    registry, iam, name = Registry(server.url, password_of(ecr)), server.client("iam"), arn.rpartition("/")[2]
    assert registry("GET", "/v2/").status == 200
    iam.delete_user_policy(UserName=name, PolicyName="p")
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)
    answer = registry("GET", "/v2/")
    assert (answer.status, answer.code) == (403, "DENIED")
    assert "is no longer there; ask for a new password" in answer.message


def test_a_repository_s_policy_allows_and_denies(server: Server, name: str) -> None:
    admin = server.client("ecr")
    arn, ecr = user_that(server)
    registry = Registry(server.url, password_of(ecr))
    assert registry("GET", f"/v2/{name}/manifests/v1").status == 403
    granted = {"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": arn}, "Action": PULL}
    admin.set_repository_policy(repositoryName=name, policyText=document(granted))
    assert registry("GET", f"/v2/{name}/manifests/v1").status == 200
    assert ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])["images"]
    nobody = {"Sid": "none", "Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage"}
    admin.set_repository_policy(repositoryName=name, policyText=document(granted, nobody))
    refused = registry("GET", f"/v2/{name}/manifests/v1")
    assert "with an explicit deny in a resource-based policy" in refused.message


def test_a_session_s_policy_narrows_its_password(server: Server, name: str) -> None:
    session = server.client("sts").assume_role(
        RoleArn=server.role, RoleSessionName="narrow", Policy=document(allow("ecr:GetAuthorizationToken", *PULL))
    )["Credentials"]
    keys = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    registry = Registry(server.url, password_of(server.client("ecr", **keys)))
    assert registry("GET", f"/v2/{name}/manifests/v1").status == 200
    refused = registry("POST", f"/v2/{name}/blobs/uploads/")
    assert (refused.status, "no session policy allows" in refused.message) == (403, True)


def test_a_layer_that_may_not_be_read_is_not_mounted(server: Server, name: str) -> None:
    own = new_repository(server.client("ecr"))
    _, ecr = user_that(server, allow("ecr:*", resource=arn_of(own)))
    registry = Registry(server.url, password_of(ecr))
    answer = registry("POST", f"/v2/{own}/blobs/uploads/?mount={digest(b'layer')}&from={name}")
    assert (answer.status, "location" in answer.headers) == (202, True)
    assert registry("HEAD", f"/v2/{own}/blobs/{digest(b'layer')}").status == 404


def test_a_password_is_not_in_the_logs(server: Server, name: str) -> None:
    registry = registry_of(server)
    registry("GET", f"/v2/{name}/manifests/v1")
    logs = [path.read_text(errors="replace") for path in (server.data / "logs").glob("*.log")]
    assert not [text for text in logs if (registry.password or "?") in text]
