"""Images through boto3: put in parts, get, list, describe, delete, expire."""

from __future__ import annotations

import hashlib
import json
import random
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.ecr.pushing import OCI, config_bytes, digest, image, index, new_repository, registry_of
from tests.conftest import Server

from wildsage.core import paging

PART = 5 * 1024 * 1024
SECONDS = 60


def upload(ecr: Any, name: str, *parts: bytes) -> str:
    """A layer of parts."""
    begun = ecr.initiate_layer_upload(repositoryName=name)
    first = 0
    for part in parts:
        answer = ecr.upload_layer_part(
            repositoryName=name,
            uploadId=begun["uploadId"],
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
        first += len(part)
        assert answer["lastByteReceived"] == first - 1
    wanted = digest(b"".join(parts))
    found = ecr.complete_layer_upload(repositoryName=name, uploadId=begun["uploadId"], layerDigests=[wanted])
    assert found["layerDigest"] == wanted
    return wanted


def test_an_image_is_put_by_the_api_alone(server: Server) -> None:
    ecr = server.client("ecr")
    name, config, layer = new_repository(ecr), config_bytes(), random.Random(1).randbytes(PART + 1000)
    wanted = [digest(config), digest(layer)]
    found = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=wanted)["layers"]
    assert [each["layerAvailability"] for each in found] == ["UNAVAILABLE"] * 2
    assert [upload(ecr, name, config), upload(ecr, name, layer[:PART], layer[PART:])] == wanted
    found = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=wanted)["layers"]
    assert [each["layerSize"] for each in found] == [len(config), len(layer)]
    manifest = image(config, layer).decode()
    with pytest.raises(ecr.exceptions.ImageDigestDoesNotMatchException):
        ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1", imageDigest=digest(b""))
    put = ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")["image"]
    assert put["imageId"] == {"imageDigest": digest(manifest.encode()), "imageTag": "v1"}
    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")
    got = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v1"}, {"imageTag": "v2"}])
    assert got["images"][0]["imageManifest"] == manifest
    assert [each["failureCode"] for each in got["failures"]] == ["ImageNotFound"]
    detail = ecr.describe_images(repositoryName=name)["imageDetails"][0]
    assert (detail["imageTags"], detail["imageSizeInBytes"]) == (["v1"], len(layer))
    assert detail["imageManifestMediaType"] == OCI
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=digest(layer))["downloadUrl"]
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.read() == layer
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url[:-1] + ("0" if url[-1] != "0" else "1"), timeout=60)


def test_uploads_that_go_wrong(server: Server) -> None:
    ecr = server.client("ecr")
    name = new_repository(ecr)
    upload_id = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    mine = {"repositoryName": name, "uploadId": upload_id}
    with pytest.raises(ecr.exceptions.EmptyUploadException):
        ecr.complete_layer_upload(**mine, layerDigests=[digest(b"")])
    with pytest.raises(ecr.exceptions.InvalidLayerPartException) as misplaced:
        ecr.upload_layer_part(**mine, partFirstByte=5, partLastByte=6, layerPartBlob=b"ab")
    assert misplaced.value.response["lastValidByteReceived"] == -1
    with pytest.raises(ecr.exceptions.InvalidParameterException):
        ecr.upload_layer_part(**mine, partFirstByte=0, partLastByte=6, layerPartBlob=b"ab")
    for first in (0, 2):
        ecr.upload_layer_part(**mine, partFirstByte=first, partLastByte=first + 1, layerPartBlob=b"ab")
    with pytest.raises(ecr.exceptions.LayerPartTooSmallException):
        ecr.complete_layer_upload(**mine, layerDigests=[digest(b"abab")])
    other = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    ecr.upload_layer_part(repositoryName=name, uploadId=other, partFirstByte=0, partLastByte=1, layerPartBlob=b"ab")
    with pytest.raises(ecr.exceptions.InvalidLayerException, match="The digest of the uploaded bytes is"):
        ecr.complete_layer_upload(repositoryName=name, uploadId=other, layerDigests=[digest(b"ba")])
    with pytest.raises(ecr.exceptions.UploadNotFoundException):
        ecr.complete_layer_upload(repositoryName=name, uploadId=other, layerDigests=[digest(b"ab")])
    upload(ecr, name, b"there")
    with pytest.raises(ecr.exceptions.LayerAlreadyExistsException):
        upload(ecr, name, b"there")


@pytest.mark.parametrize(
    "manifest",
    [
        "nonsense",
        "[]",
        '{"schemaVersion": 1}',
        '{"schemaVersion": 2, "mediaType": "text/plain", "config": {}, "layers": []}',
        '{"schemaVersion": 2, "config": {"digest": "md5:x", "size": 1}, "layers": []}',
        '{"schemaVersion": 2, "config": {"digest": "sha256:' + "0" * 64 + '", "size": -1}, "layers": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_refused(server: Server, manifest: str) -> None:
    ecr = server.client("ecr")
    name = new_repository(ecr)
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="imageManifest"):
        ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")


def test_an_image_names_only_what_its_repository_has(server: Server) -> None:
    ecr, registry = server.client("ecr"), registry_of(server)
    name, other = new_repository(ecr), new_repository(ecr)
    registry.push_image(other, "v1")
    manifest = image(config_bytes(), b"layer")
    with pytest.raises(ecr.exceptions.LayersNotFoundException):
        ecr.put_image(repositoryName=name, imageManifest=manifest.decode())
    with pytest.raises(ecr.exceptions.ReferencedImagesNotFoundException):
        ecr.put_image(repositoryName=name, imageManifest=index(manifest).decode())


def test_images_are_listed_deleted_and_untagged(server: Server) -> None:
    ecr, registry = server.client("ecr"), registry_of(server)
    name = new_repository(ecr)
    one = registry.push_image(name, "a", b"one")
    registry.push_manifest(name, "b", image(config_bytes(), b"one"))
    two = registry.push_image(name, "c", b"two")
    registry.push_image(name, "c", b"three")
    pages = ecr.get_paginator("list_images").paginate(repositoryName=name, PaginationConfig={"PageSize": 1})
    ids = [(each["imageDigest"], each.get("imageTag")) for page in pages for each in page["imageIds"]]
    assert len(ids) == 4
    assert {tag for _, tag in ids} == {"a", "b", "c", None}
    untagged = ecr.list_images(repositoryName=name, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": two}]
    for token in ("x", paging.encode(["sha256:"])):
        with pytest.raises(ecr.exceptions.InvalidParameterException, match="nextToken"):
            ecr.list_images(repositoryName=name, nextToken=token)
    pages = ecr.get_paginator("describe_images").paginate(repositoryName=name, PaginationConfig={"PageSize": 2})
    assert len([each for page in pages for each in page["imageDetails"]]) == 3
    gone = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "a"}, {"imageDigest": "x"}, {}])
    assert gone["imageIds"] == [{"imageDigest": one, "imageTag": "a"}]
    assert [each["failureCode"] for each in gone["failures"]] == ["InvalidImageDigest", "MissingDigestAndTag"]
    assert ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "b"}])["imageDetails"][0]["imageTags"] == [
        "b"
    ]
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "b"}])
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=name, imageIds=[{"imageDigest": one}])


def test_a_list_keeps_its_images(server: Server) -> None:
    ecr, registry = server.client("ecr"), registry_of(server)
    name = new_repository(ecr)
    child = registry.push_image(name, "child")
    both = registry.push_manifest(name, "both", index(image(config_bytes(), b"layer")), "")
    failures = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": child}])["failures"]
    assert [each["failureCode"] for each in failures] == ["ImageReferencedByManifestList"]
    detail = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "both"}])["imageDetails"][0]
    assert detail["imageSizeInBytes"] == len(b"layer")
    for each in (both, child):
        assert not ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": each}])["failures"]


def rule(priority: int, count: int = 1, **selection: Any) -> dict[str, Any]:
    chosen = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count, **selection}
    return {
        "rulePriority": priority,
        "description": "of the tests, long enough",
        "selection": chosen,
        "action": {"type": "expire"},
    }


def test_a_lifecycle_policy_is_previewed_and_carried_out(server: Server) -> None:
    ecr, registry = server.client("ecr"), registry_of(server)
    name = new_repository(ecr)
    for number in range(3):
        registry.push_image(name, f"v{number}", hashlib.sha256(bytes([number])).digest())
    text = json.dumps({"rules": [rule(1)]}).ljust(100)
    with pytest.raises(ecr.exceptions.LifecyclePolicyPreviewNotFoundException):
        ecr.get_lifecycle_policy_preview(repositoryName=name)
    ecr.start_lifecycle_policy_preview(repositoryName=name, lifecyclePolicyText=text)
    preview = ecr.get_lifecycle_policy_preview(repositoryName=name)
    assert (preview["status"], preview["summary"]["expiringImageTotalCount"]) == ("COMPLETE", 2)
    assert {tag for each in preview["previewResults"] for tag in each["imageTags"]} == {"v0", "v1"}
    assert len(ecr.describe_images(repositoryName=name)["imageDetails"]) == 3
    for wrong in ("x" * 100, json.dumps({"rules": [rule(1), rule(2)]}), json.dumps({"rules": [rule(0)]}).ljust(100)):
        with pytest.raises(ClientError, match="Lifecycle policy validation failure"):
            ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=wrong)
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
    deadline = time.monotonic() + SECONDS
    while len(left := ecr.describe_images(repositoryName=name)["imageDetails"]) > 1:
        assert time.monotonic() < deadline, "nothing expires"
        time.sleep(0.05)
    assert left[0]["imageTags"] == ["v2"]
    while "lastEvaluatedAt" not in (found := ecr.get_lifecycle_policy(repositoryName=name)):
        assert time.monotonic() < deadline, "nothing was noted"
        time.sleep(0.05)
    assert found["lifecyclePolicyText"] == text
    assert ecr.delete_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == text
    with pytest.raises(ecr.exceptions.LifecyclePolicyNotFoundException):
        ecr.get_lifecycle_policy(repositoryName=name)
