"""What the OCI distribution specification says of a registry, as a table of requests and answers; and bad input."""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from contextlib import closing
from typing import Any

import pytest
from tests.api.ecr.pushing import (
    INDEX,
    OCI,
    Registry,
    config_bytes,
    digest,
    image,
    index,
    new_repository,
    password_of,
    registry_of,
)
from tests.conftest import Server

BLOB = b"a layer of the table"
ABSENT = digest(b"nobody has this")


@pytest.fixture(scope="module")
def registry(server: Server) -> Registry:
    return registry_of(server)


@pytest.fixture(scope="module")
def name(server: Server, registry: Registry) -> str:
    """A repository with the image v1, whose layer is BLOB."""
    found = new_repository(server.client("ecr"))
    registry.push_image(found, "v1", BLOB)
    return found


# Method, path after the repository, status, error code or a header that must be there. The specification's end numbers.
TABLE = [
    ("GET", "/manifests/v1", 200, "docker-content-digest"),  # end-3
    ("HEAD", "/manifests/v1", 200, "content-length"),
    ("GET", "/manifests/none", 404, "MANIFEST_UNKNOWN"),
    ("HEAD", "/manifests/none", 404, ""),
    ("GET", f"/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
    ("GET", "/manifests/sha256:short", 400, "DIGEST_INVALID"),
    ("GET", f"/manifests/{'t' * 129}", 400, "TAG_INVALID"),
    ("POST", "/manifests/v1", 405, "UNSUPPORTED"),
    ("GET", f"/blobs/{digest(BLOB)}", 200, "docker-content-digest"),  # end-2
    ("HEAD", f"/blobs/{digest(BLOB)}", 200, "content-length"),
    ("GET", f"/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
    ("HEAD", f"/blobs/{ABSENT}", 404, ""),
    ("GET", "/blobs/sha512:00", 400, "DIGEST_INVALID"),
    ("DELETE", f"/blobs/{digest(BLOB)}", 405, "UNSUPPORTED"),  # end-10 is optional
    ("POST", "/blobs/uploads/", 202, "location"),  # end-4a
    ("POST", "/blobs/uploads", 202, "docker-upload-uuid"),
    ("POST", f"/blobs/uploads/?digest={ABSENT}", 400, "DIGEST_INVALID"),  # end-4b, of no bytes
    ("POST", f"/blobs/uploads/?mount={ABSENT}&from=no/such", 202, "location"),  # end-11
    ("PATCH", f"/blobs/uploads/{uuid.UUID(int=0)}", 404, "BLOB_UPLOAD_UNKNOWN"),  # end-5
    ("PUT", f"/blobs/uploads/{uuid.UUID(int=0)}?digest={ABSENT}", 404, "BLOB_UPLOAD_UNKNOWN"),  # end-6
    ("GET", "/blobs/uploads/x", 404, "BLOB_UPLOAD_UNKNOWN"),  # end-13
    ("DELETE", f"/blobs/uploads/{uuid.UUID(int=0)}", 404, "BLOB_UPLOAD_UNKNOWN"),
    ("POST", f"/blobs/uploads/{uuid.UUID(int=0)}", 405, "UNSUPPORTED"),
    ("GET", "/tags/list", 200, "content-type"),  # end-8a
    ("GET", "/tags/list?n=x", 400, "PAGINATION_NUMBER_INVALID"),
    ("GET", f"/tags/list?{'a&' * 200}", 400, "UNSUPPORTED"),
    ("PUT", "/tags/list", 405, "UNSUPPORTED"),
    ("GET", f"/referrers/{ABSENT}", 200, "content-type"),  # end-12a
    ("GET", "/referrers/x", 400, "DIGEST_INVALID"),
    ("DELETE", "/manifests/none", 404, "MANIFEST_UNKNOWN"),  # end-9
    ("GET", "/nothing", 404, "UNSUPPORTED"),
    ("GET", f"/tags/list?{'x=1&' * 200}", 400, "UNSUPPORTED"),
]


@pytest.mark.parametrize(("method", "path", "status", "expected"), TABLE)
def test_the_table(registry: Registry, name: str, method: str, path: str, status: int, expected: str) -> None:
    answer = registry(method, f"/v2/{name}{path}")
    assert answer.status == status, answer.body
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    if expected.isupper():
        assert answer.code == expected
    elif expected:
        assert expected in answer.headers


BAD_NAMES = ["a/../b", "..", "%2e%2e/%2e%2e/etc", "A", "a//b", "a%00b", "x" * 300, "a%2f..%2fb", "_catalog"]


@pytest.mark.parametrize("bad", BAD_NAMES)
@pytest.mark.parametrize("path", ["tags/list", "manifests/v1", f"blobs/{ABSENT}", "blobs/uploads/"])
def test_names_that_are_none(registry: Registry, bad: str, path: str) -> None:
    answer = registry("POST" if path.endswith("uploads/") else "GET", f"/v2/{bad}/{path}")
    assert (answer.status, answer.code) == (400, "NAME_INVALID")


def test_a_repository_that_is_not_there(registry: Registry) -> None:
    answer = registry("POST", "/v2/no/such/blobs/uploads/")
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert answer.message == "The repository with name 'no/such' does not exist in the registry with id '000000000000'"


@pytest.mark.parametrize("password", [None, "", "wrong", "é", "A" * 200])
def test_without_a_password_there_is_a_challenge(server: Server, password: str | None) -> None:
    answer = Registry(server.url, password)("GET", "/v2/")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"].startswith('Basic realm="')


def test_the_user_is_called_aws_and_an_altered_password_is_none(server: Server, registry: Registry) -> None:
    assert registry("GET", "/v2/").status == 200
    password = registry.password or ""
    assert Registry(server.url, password, "root")("GET", "/v2/").status == 401
    other = "A" if password[20] != "A" else "B"
    assert Registry(server.url, password[:20] + other + password[21:])("GET", "/v2/").status == 401
    assert registry("GET", "/v2/", Authorization="Bearer x").status == 401


def test_a_blob_comes_in_ranges(registry: Registry, name: str) -> None:
    path = f"/v2/{name}/blobs/{digest(BLOB)}"
    whole = registry("GET", path)
    assert (whole.body, whole.headers["docker-content-digest"]) == (BLOB, digest(BLOB))
    part = registry("GET", path, Range="bytes=2-6")
    assert (part.status, part.body) == (206, BLOB[2:7])
    assert part.headers["content-range"] == f"bytes 2-6/{len(BLOB)}"
    assert registry("GET", path, Range="bytes=-3").body == BLOB[-3:]
    assert registry("GET", path, Range=f"bytes={len(BLOB)}-").status == 416
    assert registry("GET", path, If_None_Match=f'"{digest(BLOB)}"').status == 304


def test_a_layer_comes_in_chunks(registry: Registry, name: str) -> None:
    data, place = random.Random(2).randbytes(300_000), registry.begin(name)
    assert registry("GET", place).headers["range"] == "0-0"
    first = registry("PATCH", place, data[:100_000], Content_Range="0-99999")
    assert (first.status, first.headers["range"]) == (202, "0-99999")
    again = registry("PATCH", place, data[:100_000], Content_Range="0-99999")
    assert (again.status, again.code) == (416, "BLOB_UPLOAD_INVALID")
    assert registry("PATCH", place, b"x", Content_Range="nonsense").status == 416
    assert registry("PATCH", place, b"x", Content_Range="100000-200000").code == "SIZE_INVALID"
    asked = registry("GET", place)
    assert (asked.status, asked.headers["range"]) == (204, "0-99999")
    streamed = registry("PATCH", place, iter([data[100_000:150_000], data[150_000:200_000]]))
    assert streamed.headers["range"] == "0-199999"
    done = registry("PUT", f"{place}?digest={digest(data)}", data[200_000:], Content_Range="200000-299999")
    assert (done.status, done.headers["location"]) == (201, f"/v2/{name}/blobs/{digest(data)}")
    assert registry("GET", done.headers["location"]).body == data
    assert registry("PUT", f"{place}?digest={digest(data)}").code == "BLOB_UPLOAD_UNKNOWN"


def test_a_layer_comes_at_once(registry: Registry, name: str) -> None:
    one = registry("POST", f"/v2/{name}/blobs/uploads/?digest={digest(b'at once')}", b"at once")
    assert one.status == 201
    assert registry("GET", one.headers["location"]).body == b"at once"
    place = registry.begin(name)
    assert registry("PUT", f"{place}?digest={digest(b'in one PUT')}", b"in one PUT").status == 201
    place = registry.begin(name)  # an empty layer is one as well
    assert registry("PUT", f"{place}?digest={digest(b'')}").status == 201
    assert registry("GET", f"/v2/{name}/blobs/{digest(b'')}").body == b""


def test_bytes_of_another_digest_are_refused(registry: Registry, name: str) -> None:
    place = registry.begin(name)
    registry("PATCH", place, b"altered on the way")
    answer = registry("PUT", f"{place}?digest={digest(b'what was meant')}")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    for wanted in (b"what was meant", b"altered on the way"):
        assert registry("HEAD", f"/v2/{name}/blobs/{digest(wanted)}").status == 404
    assert registry("PATCH", place, b"x").code == "BLOB_UPLOAD_UNKNOWN"
    manifest = image(config_bytes(), BLOB)
    answer = registry("PUT", f"/v2/{name}/manifests/{ABSENT}", manifest, Content_Type=OCI)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_an_upload_is_given_up(registry: Registry, name: str) -> None:
    place = registry.begin(name)
    registry("PATCH", place, b"some")
    assert registry("DELETE", place).status == 204
    assert registry("GET", place).status == 404


def test_a_layer_is_mounted_from_another_repository(server: Server, registry: Registry, name: str) -> None:
    other = new_repository(server.client("ecr"))
    mounted = registry("POST", f"/v2/{other}/blobs/uploads/?mount={digest(BLOB)}&from={name}")
    assert (mounted.status, mounted.headers["location"]) == (201, f"/v2/{other}/blobs/{digest(BLOB)}")
    assert registry("GET", mounted.headers["location"]).body == BLOB
    for query in (f"mount={ABSENT}&from={name}", f"mount={digest(BLOB)}&from=..", f"mount={digest(BLOB)}"):
        assert registry("POST", f"/v2/{other}/blobs/uploads/?{query}").status == 202


def test_the_same_bytes_are_kept_once(server: Server, registry: Registry, name: str) -> None:
    other, data = new_repository(server.client("ecr")), random.Random(3).randbytes(100_000)
    registry.push_blob(name, data)
    registry.push_blob(other, data)
    with closing(sqlite3.connect(f"file:{server.data / 'wildsage.db'}?mode=ro", uri=True)) as database:
        blobs = database.execute("SELECT DISTINCT blob FROM image_layers WHERE digest = ?", (digest(data),)).fetchall()
        going = database.execute("SELECT count(*) FROM s3_garbage WHERE name LIKE 'ECR/%'").fetchone()
    assert len(blobs) == 1
    assert going >= (1,)


def test_a_manifest_of_more_than_4_mib_is_refused(registry: Registry, name: str) -> None:
    data = image(config_bytes(), BLOB, annotations={"x": "y" * (4 * 1024 * 1024)})
    answer = registry("PUT", f"/v2/{name}/manifests/big", data, Content_Type=OCI)
    assert (answer.status, answer.code) == (413, "SIZE_INVALID")


MANIFESTS: list[tuple[bytes, str, str]] = [
    (b"", OCI, "MANIFEST_INVALID"),
    (b"{", OCI, "MANIFEST_INVALID"),
    (image(config_bytes(), BLOB), "application/vnd.docker.distribution.manifest.v2+json", "MANIFEST_INVALID"),
    (image(config_bytes(), b"not pushed"), OCI, "MANIFEST_BLOB_UNKNOWN"),
    (index(image(b"not pushed")), INDEX, "MANIFEST_BLOB_UNKNOWN"),
    (image(config_bytes(), BLOB).decode().encode("utf-16"), OCI, "MANIFEST_INVALID"),
    (image(config_bytes(), BLOB, artifactType="\ud800"), OCI, "MANIFEST_INVALID"),
    (image(config_bytes(), BLOB, artifactType="a\0b"), OCI, "MANIFEST_INVALID"),
    (image(config_bytes(), BLOB, annotations={"x": float("nan")}), OCI, "MANIFEST_INVALID"),
    (json.dumps({"schemaVersion": 1}).encode(), "application/vnd.docker.distribution.manifest.v1+prettyjws", ""),
]


@pytest.mark.parametrize(("data", "media_type", "code"), MANIFESTS)
def test_bad_manifests(registry: Registry, name: str, data: bytes, media_type: str, code: str) -> None:
    answer = registry("PUT", f"/v2/{name}/manifests/bad", data, Content_Type=media_type)
    assert (answer.status, answer.code) == (400, code or "MANIFEST_INVALID")


def test_tags_and_repositories_are_listed_in_pages(server: Server, registry: Registry) -> None:
    name = new_repository(server.client("ecr"))
    for tag in ("c", "a", "b"):
        registry.push_image(name, tag)
    first = registry("GET", f"/v2/{name}/tags/list?n=2")
    assert first.json == {"name": name, "tags": ["a", "b"]}
    following = first.headers["link"].partition(">")[0].lstrip("<")
    second = registry("GET", following)
    assert (second.json["tags"], "link" in second.headers) == (["c"], False)
    assert registry("GET", f"/v2/{name}/tags/list?n=0").json["tags"] == []
    found: list[str] = []
    path = "/v2/_catalog?n=1"
    while path:
        page = registry("GET", path)
        found += page.json["repositories"]
        path = page.headers.get("link", "").partition(">")[0].lstrip("<")
    assert found == sorted(set(found))
    assert name in found


def test_what_was_pushed_about_an_image_is_found(server: Server, registry: Registry) -> None:
    name = new_repository(server.client("ecr"))
    subject = registry.push_image(name, "v1")
    about = {"digest": subject, "mediaType": OCI, "size": 1}
    config = config_bytes()
    data = image(config, subject=about, artifactType="application/x.signature", annotations={"by": "me"})
    put = registry("PUT", f"/v2/{name}/manifests/{digest(data)}", data, Content_Type=OCI)
    assert (put.status, put.headers["oci-subject"]) == (201, subject)
    listed = registry("GET", f"/v2/{name}/referrers/{subject}")
    assert listed.headers["content-type"] == INDEX
    expected: dict[str, Any] = {"mediaType": OCI, "digest": digest(data), "size": len(data)}
    expected |= {"artifactType": "application/x.signature", "annotations": {"by": "me"}}
    assert listed.json["manifests"] == [expected]
    filtered = registry("GET", f"/v2/{name}/referrers/{subject}?artifactType=x")
    assert (filtered.json["manifests"], filtered.headers["oci-filters-applied"]) == ([], "artifactType")
    told = server.client("ecr").list_image_referrers(repositoryName=name, subjectId={"imageDigest": subject})
    assert [each["digest"] for each in told["referrers"]] == [digest(data)]


def test_images_are_deleted_by_digest_and_by_tag(server: Server, registry: Registry) -> None:
    name = new_repository(server.client("ecr"))
    child = registry.push_image(name, "v1")
    listed = registry.push_manifest(name, "list", index(image(config_bytes(), b"layer")), INDEX)
    assert registry("DELETE", f"/v2/{name}/manifests/{child}").code == "DENIED"
    assert registry("DELETE", f"/v2/{name}/manifests/{listed}").status == 202
    assert registry("DELETE", f"/v2/{name}/manifests/v1").status == 202
    assert registry("GET", f"/v2/{name}/manifests/{child}").status == 404


def test_regions_have_registries_of_their_own(server: Server, registry: Registry) -> None:
    elsewhere = server.client("ecr", region_name="eu-west-1")
    name = new_repository(elsewhere)
    assert registry("GET", f"/v2/{name}/tags/list").code == "NAME_UNKNOWN"
    by_password = Registry(server.url, password_of(elsewhere))
    assert by_password("GET", f"/v2/{name}/tags/list").status == 200
    by_host = Registry(server.url, registry.password, host="000000000000.dkr.ecr.eu-west-1.amazonaws.com")
    assert by_host("GET", f"/v2/{name}/tags/list").status == 200


def test_keys_of_s3_may_begin_as_the_registry_does(server: Server) -> None:
    s3 = server.client("s3")
    bucket = f"v2-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="v2/x", Body=b"mine")
    assert s3.get_object(Bucket=bucket, Key="v2/x")["Body"].read() == b"mine"


def test_nobody_claims_bytes_that_are_not_theirs(server: Server, registry: Registry, name: str) -> None:
    """Between its own processes the server says where a body lies; clients who say so are not heard."""
    with closing(sqlite3.connect(f"file:{server.data / 'wildsage.db'}?mode=ro", uri=True)) as database:
        blob = database.execute("SELECT blob FROM image_layers WHERE digest = ?", (digest(BLOB),)).fetchone()[0]
    other = new_repository(server.client("ecr"))
    sha256 = digest(BLOB).removeprefix("sha256:")
    claim = json.dumps({"name": blob, "size": len(BLOB), "checksums": {"SHA256": sha256}})
    for lane in (claim, "withheld"):
        place = registry.begin(other)
        assert registry("PATCH", place, b"mine", X_Wildsage_Body=lane).headers["range"] == "0-3"
        assert registry("PUT", f"{place}?digest={digest(BLOB)}", X_Wildsage_Body=lane).code == "DIGEST_INVALID"
        answer = registry("GET", f"/v2/{name}/blobs/{digest(BLOB)}", X_Wildsage_Body=lane)
        assert (answer.body, "x-wildsage-file" in answer.headers) == (BLOB, False)
