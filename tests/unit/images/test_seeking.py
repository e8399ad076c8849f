"""What is said of engines that cannot be asked."""

from __future__ import annotations

import pytest

from wildsage.images import seeking
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
        ("docker.io/team/app:3", (f"team/app@{ONE}",), NO_PULL, f"docker.io/team/app@{ONE}"),
        (f"python@{TWO}", (f"python@{ONE}",), NO_PULL, f"python@{TWO}"),
        ("built-here:1", (f"other@{TWO}",), NO_PULL, ""),
        ("mirrored:1", (), Pull(credentials=("me", "secret")), ""),
    ],
)
def test_what_a_registry_calls_an_image(uri: str, digests: tuple[str, ...], pull: Pull, resolved: str) -> None:
    info = ImageInfo("sha256:id", "", {}, (), 0, digests)
    assert by_digest(uri, info, pull) == resolved


@pytest.mark.parametrize(
    ("digests", "pull", "only"),
    [
        ((), Pull(guarded=True), True),
        ((f"other@{ONE}",), Pull(guarded=True), True),
        ((f"r:5000/a@{ONE}",), Pull(guarded=True), False),
        ((), Pull(credentials=("me", "secret")), False),
    ],
)
def test_an_image_that_never_was_in_a_registry_needs_none(digests: tuple[str, ...], pull: Pull, only: bool) -> None:
    """Somebody's credentials for its name change nothing for those who built it here."""
    assert seeking._only_here("r:5000/a:1", ImageInfo("sha256:id", "", {}, (), 0, digests), pull) is only
