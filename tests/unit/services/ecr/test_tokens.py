"""Passwords of the registry, links to layers, names and manifests: what is taken and what is not."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest

from wildsage.core import sessions
from wildsage.core.caller import root_of
from wildsage.services.ecr import manifests, names, tokens
from wildsage.services.ecr.distribution import paths
from wildsage.services.ecr.distribution.refusals import Refusal

MASTER = bytes(32)
GRANT = tokens.Grant(root_of("000000000000", "AKIA"), "000000000000", "eu-west-1", 100.0, ("{}",), {"team": "ml"})


def basic(password: str, user: str = "AWS") -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_a_password_says_whose_it_is_until_its_time_is_over() -> None:
    password = tokens.issue(MASTER, GRANT)
    assert tokens.open_basic(MASTER, basic(password), 99.0) == GRANT
    with pytest.raises(tokens.OldPassword, match="Your authorization token has expired"):
        tokens.open_basic(MASTER, basic(password), 100.0)
    with pytest.raises(tokens.BadPassword):
        tokens.open_basic(bytes(31) + b"x", basic(password), 1.0)


@pytest.mark.parametrize(
    "text", ["", "Basic", "Basic x", "Basic é", "Bearer abc", basic("x"), basic("", ""), basic("é")]
)
def test_what_is_no_password(text: str) -> None:
    with pytest.raises(tokens.BadPassword):
        tokens.open_basic(MASTER, text, 1.0)


def test_a_session_s_token_is_no_password_and_a_password_no_session() -> None:
    issued = sessions.issue(MASTER, GRANT.caller, 0.0, 100.0)
    with pytest.raises(tokens.BadPassword):
        tokens.open_basic(MASTER, basic(issued.token), 1.0)
    with pytest.raises(sessions.InvalidToken):
        sessions.open(MASTER, tokens.issue(MASTER, GRANT), "AKIA", 1.0)


def test_a_link_is_good_for_its_layer_and_its_hour() -> None:
    proof = tokens.sign_link(MASTER, "0/r", "team/app", "sha256:x", 100)
    assert tokens.is_signed(MASTER, "0/r", "team/app", "sha256:x", "100", proof, 99.0)
    for place, name, digest, expires, now in (
        ("0/s", "team/app", "sha256:x", "100", 99.0),
        ("0/r", "team/other", "sha256:x", "100", 99.0),
        ("0/r", "team/app", "sha256:y", "100", 99.0),
        ("0/r", "team/app", "sha256:x", "101", 99.0),
        ("0/r", "team/app", "sha256:x", "x", 99.0),
        ("0/r", "team/app", "sha256:x", "100", 100.0),
    ):
        assert not tokens.is_signed(MASTER, place, name, digest, expires, proof, now)
    assert not tokens.is_signed(MASTER, "0/r", "team/app", "sha256:x", "100", "é", 99.0)


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "123456789012/eu-west-1"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com:443", "123456789012/eu-west-1"),
        ("123456789012.DKR.ECR.cn-north-1.amazonaws.com.cn", "123456789012/cn-north-1"),
        ("123456789012.dkr-ecr.us-east-1.on.aws", "123456789012/us-east-1"),
        ("12345678901.dkr.ecr.eu-west-1.amazonaws.com", None),
        ("127.0.0.1:4566", None),
        ("evil.example/123456789012.dkr.ecr.eu-west-1.amazonaws.com", None),
    ],
)
def test_hosts_name_registries(host: str, place: str | None) -> None:
    found = names.registry_of_host(host)
    assert (None if found is None else found.place) == place


def test_the_longest_name_that_fits_a_path_is_the_repository() -> None:
    assert paths.read("/v2/a/blobs/uploads/b/manifests/c") == paths.Place("manifest", "a/blobs/uploads/b", "c")
    assert paths.read("/v2/a%2fb/tags/list") == paths.Place("tags", "a/b")
    for wrong in ("/v2/a..b/tags/list", "/v2//tags/list", "/v2/a/b", "/v2/x/tags/list"):
        with pytest.raises(Refusal):
            paths.read(wrong)


DIGEST = f"sha256:{'0' * 64}"


def manifest(**changes: Any) -> bytes:
    layer = {"digest": DIGEST, "size": 7, "mediaType": "application/vnd.oci.image.layer.v1.tar"}
    config = {"digest": DIGEST.replace("0", "1"), "size": 1, "mediaType": "c"}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [layer], **changes}).encode()


def test_what_a_manifest_says() -> None:
    image, named = manifests.read(manifest(), None, 5.0)
    assert (image.media_type, image.artifact_type, image.size, image.pushed) == (manifests.OCI, "c", 7, 5.0)
    assert named.layers == {DIGEST, DIGEST.replace("0", "1")}
    elsewhere = {"digest": DIGEST, "size": 7, "urls": ["https://example.com/layer"]}
    _, named = manifests.read(manifest(layers=[elsewhere]), manifests.OCI, 5.0)
    assert DIGEST not in named.layers
    listed = json.dumps({"schemaVersion": 2, "manifests": [{"digest": DIGEST, "size": 1}]}).encode()
    image, named = manifests.read(listed, "application/json; charset=utf-8", 5.0)
    assert image.media_type == manifests.OCI_INDEX
    assert named.images == {DIGEST}
    assert dataclasses.replace(image, tags=("a",)).tags == ("a",)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        manifest(schemaVersion=1),
        manifest(config=None),
        manifest(layers={}),
        manifest(layers=[1]),
        manifest(layers=[{"digest": "sha256:x", "size": 1}]),
        manifest(layers=[{"digest": DIGEST, "size": True}]),
        manifest(layers=[{"digest": DIGEST, "size": 2**63}]),
        manifest(mediaType=5),
        manifest(mediaType="text/html"),
        manifest(subject="x"),
        manifest(artifactType="\ud800"),
        b" " * (manifests.MOST_BYTES + 1),
    ],
)
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(manifests.Malformed):
        manifests.read(data, None, 0.0)
