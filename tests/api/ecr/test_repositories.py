"""Repositories through boto3: create, describe, delete, tags, settings, policies."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from botocore.exceptions import ClientError
from tests.api.ecr.pushing import new_repository, registry_of
from tests.conftest import Server

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}],
}


def test_a_repository_is_made_found_described_and_deleted(server: Server) -> None:
    ecr, name = server.client("ecr"), f"life/{uuid.uuid4().hex}"
    made = ecr.create_repository(repositoryName=name, tags=[{"Key": "team", "Value": "ml"}])["repository"]
    assert made["repositoryArn"] == f"arn:aws:ecr:us-east-1:000000000000:repository/{name}"
    assert made["repositoryUri"] == f"000000000000.dkr.ecr.us-east-1.amazonaws.com/{name}"
    assert (made["registryId"], made["imageTagMutability"]) == ("000000000000", "MUTABLE")
    assert made["imageScanningConfiguration"] == {"scanOnPush": False}
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}
    with pytest.raises(ecr.exceptions.RepositoryAlreadyExistsException) as failure:
        ecr.create_repository(repositoryName=name)
    assert f"The repository with name '{name}' already exists in the registry with id '000000000000'" in str(
        failure.value
    )
    assert ecr.describe_repositories(repositoryNames=[name])["repositories"] == [made]
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == [{"Key": "team", "Value": "ml"}]
    ecr.tag_resource(resourceArn=made["repositoryArn"], tags=[{"Key": "stage", "Value": "test"}])
    ecr.untag_resource(resourceArn=made["repositoryArn"], tagKeys=["team"])
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == [{"Key": "stage", "Value": "test"}]
    elsewhere = server.client("ecr", region_name="eu-west-1")
    with pytest.raises(elsewhere.exceptions.RepositoryNotFoundException):
        elsewhere.describe_repositories(repositoryNames=[name])
    assert ecr.delete_repository(repositoryName=name)["repository"]["repositoryName"] == name
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException) as missing:
        ecr.describe_repositories(repositoryNames=[name])
    words = f"The repository with name '{name}' does not exist in the registry with id '000000000000'"
    assert words in str(missing.value)


def test_repositories_are_listed_in_pages(server: Server) -> None:
    ecr = server.client("ecr")
    made = {new_repository(ecr) for _ in range(5)}
    pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
    names = [each["repositoryName"] for page in pages for each in page["repositories"]]
    assert names == sorted(set(names))
    assert made <= set(names)


@pytest.mark.parametrize("name", ["Upper", "a//b", "../etc", "a..b", "-a", "a-", "a/", "x" * 257])
def test_a_bad_name_is_refused(server: Server, name: str) -> None:
    ecr = server.client("ecr")
    with pytest.raises(ClientError) as failure:
        ecr.create_repository(repositoryName=name)
    assert failure.value.response["Error"]["Code"] == "InvalidParameterException"


def test_what_is_not_there_is_refused_by_name(server: Server) -> None:
    ecr = server.client("ecr")
    with pytest.raises(ecr.exceptions.KmsException, match="without KMS"):
        ecr.create_repository(repositoryName="sealed/x", encryptionConfiguration={"encryptionType": "KMS"})
    with pytest.raises(ClientError, match="does not run CreatePullThroughCacheRule of ecr yet"):
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="hub", upstreamRegistryUrl="example.com")


def test_a_repository_with_images_stays_unless_forced(server: Server) -> None:
    ecr = server.client("ecr")
    name = new_repository(ecr)
    registry_of(server).push_image(name, "v1")
    with pytest.raises(ecr.exceptions.RepositoryNotEmptyException, match="still contains images"):
        ecr.delete_repository(repositoryName=name)
    ecr.delete_repository(repositoryName=name, force=True)
    ecr.create_repository(repositoryName=name)
    assert ecr.list_images(repositoryName=name)["imageIds"] == []
    assert registry_of(server)("GET", f"/v2/{name}/manifests/v1").code == "MANIFEST_UNKNOWN"


def test_a_policy_is_kept_and_checked(server: Server) -> None:
    ecr = server.client("ecr")
    name = new_repository(ecr)
    with pytest.raises(ecr.exceptions.RepositoryPolicyNotFoundException):
        ecr.get_repository_policy(repositoryName=name)
    ecr.set_repository_policy(repositoryName=name, policyText=json.dumps(POLICY))
    assert json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"]) == POLICY
    for text in ("nonsense", "[]", '{"Statement": ["x"]}', '{"Statement": [{"Effect": "Allow"}]}'):
        with pytest.raises(ecr.exceptions.InvalidParameterException, match="Invalid repository policy provided"):
            ecr.set_repository_policy(repositoryName=name, policyText=text)
    assert json.loads(ecr.delete_repository_policy(repositoryName=name)["policyText"]) == POLICY
    with pytest.raises(ecr.exceptions.RepositoryPolicyNotFoundException):
        ecr.delete_repository_policy(repositoryName=name)


def test_tags_that_may_not_be_moved(server: Server) -> None:
    ecr, registry = server.client("ecr"), registry_of(server)
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    with pytest.raises(ecr.exceptions.InvalidParameterException):
        new_repository(ecr, imageTagMutability="IMMUTABLE", imageTagMutabilityExclusionFilters=filters)
    name = new_repository(ecr, imageTagMutability="IMMUTABLE")
    registry.push_image(name, "v1")
    registry.push_image(name, "v1")  # the same again is no move
    with pytest.raises(AssertionError, match="cannot be overwritten because the tag is immutable"):
        registry.push_image(name, "v1", b"another")
    registry.push_image(name, "dev-1")
    given = {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters}
    assert ecr.put_image_tag_mutability(repositoryName=name, **given)["imageTagMutabilityExclusionFilters"] == filters
    registry.push_image(name, "dev-1", b"another")
    with pytest.raises(AssertionError, match="TAG_INVALID"):
        registry.push_image(name, "v1", b"another")
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    moved = registry.push_image(name, "v1", b"another")
    tags = {each.get("imageTag"): each["imageDigest"] for each in ecr.list_images(repositoryName=name)["imageIds"]}
    assert tags["v1"] == moved


def test_scans_say_that_there_is_no_scanner(server: Server) -> None:
    ecr = server.client("ecr")
    name = new_repository(ecr)
    registry_of(server).push_image(name, "v1")
    image = {"repositoryName": name, "imageId": {"imageTag": "v1"}}
    assert ecr.start_image_scan(**image)["imageScanStatus"]["status"] == "UNSUPPORTED_IMAGE"
    found = ecr.describe_image_scan_findings(**image)
    assert "imageScanFindings" not in found
    assert "no scanner" in found["imageScanStatus"]["description"]
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.start_image_scan(repositoryName=name, imageId={"imageTag": "none"})
    answer = ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={"scanOnPush": True})
    assert answer["imageScanningConfiguration"] == {"scanOnPush": True}
    assert ecr.describe_registry()["registryId"] == "000000000000"


def test_the_password_is_of_the_form_that_clients_expect(server: Server) -> None:
    found = server.client("ecr").get_authorization_token()["authorizationData"][0]
    assert found["proxyEndpoint"] == "https://000000000000.dkr.ecr.us-east-1.amazonaws.com"
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", found["authorizationToken"])
    login = server.run("aws", "ecr", "get-login-password")
    assert re.fullmatch(r"[A-Za-z0-9_=-]+\n", login.stdout), login.stderr
