"""What is said of engines that cannot be asked."""

from __future__ import annotations

import pytest

from wildsage.images.choice import Preference, Where
from wildsage.images.seeking import NO_PULL, Pull, Seeker, by_digest
from wildsage.runtimes.containers.engine import Engine, ImageInfo


@pytest.mark.parametrize("named", ["tcp://other:2375", "ssh://me@other"])
async def test_an_engine_of_another_machine(named: str) -> None:
    found = await Seeker(Engine({"DOCKER_HOST": named}), Preference.NONE).look("mine:1")
    assert found.choice.where is Where.NOWHERE
    assert f"DOCKER_HOST is {named}, and only an engine of this machine" in found.choice.why


ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
ECR = "000000000000.dkr.ecr.us-east-1.amazonaws.com/mine"


@pytest.mark.parametrize(
    ("uri", "digests", "pull", "resolved"),
    [
        (f"{ECR}:7", (), Pull(True, f"127.0.0.1:4566/mine@{ONE}", ("AWS", "token")), f"{ECR}@{ONE}"),
        (ECR, (), Pull(True, f"127.0.0.1:4566/mine@{ONE}", ("AWS", "token")), f"{ECR}@{ONE}"),
        ("ghcr.io:443/a/b:1", (f"other@{TWO}", f"ghcr.io:443/a/b@{ONE}"), NO_PULL, f"ghcr.io:443/a/b@{ONE}"),
        ("python:3.11", (f"docker.io/library/python@{ONE}",), NO_PULL, f"python@{ONE}"),
        (f"python@{TWO}", (f"python@{ONE}",), NO_PULL, f"python@{TWO}"),
        ("built-here:1", (f"other@{TWO}",), NO_PULL, ""),
        ("mirrored:1", (), Pull(credentials=("me", "secret")), ""),
    ],
)
def test_what_a_registry_calls_an_image(uri: str, digests: tuple[str, ...], pull: Pull, resolved: str) -> None:
    info = ImageInfo("sha256:id", "", {}, (), 0, digests)
    assert by_digest(uri, info, pull) == resolved
