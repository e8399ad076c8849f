"""What is said of engines that cannot be asked."""

from __future__ import annotations

import pytest

from wildsage.images.choice import Preference, Where
from wildsage.images.seeking import Seeker
from wildsage.runtimes.containers.engine import Engine


@pytest.mark.parametrize("named", ["tcp://other:2375", "ssh://me@other"])
async def test_an_engine_of_another_machine(named: str) -> None:
    found = await Seeker(Engine({"DOCKER_HOST": named}), Preference.NONE).look("mine:1")
    assert found.choice.where is Where.NOWHERE
    assert f"DOCKER_HOST is {named}, and only an engine of this machine" in found.choice.why
