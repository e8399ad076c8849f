"""The contract suite over a container engine, and what is its runtime's alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.runtimes.networks import NetworkSuite
from tests.contract.runtimes.suite import Suite

from wildsage.runtimes.base import LaunchSpec
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.runtime import Containers


class InEngine:
    """Binds the runtime of the machine's engine, or of the tests'."""

    @pytest.fixture
    def runtime(self, engine: str) -> Containers:
        return Containers(Engine({"DOCKER_HOST": engine}))

    @pytest.fixture
    def other(self, engine: str) -> Containers:
        return Containers(Engine({"DOCKER_HOST": engine}))

    @pytest.fixture
    def lenient(self, engine: str) -> Containers:
        return Containers(Engine({"DOCKER_HOST": engine}), metadata=True)

    @pytest.fixture
    def plain(self, debian: str) -> LaunchSpec:
        return LaunchSpec("", Path(), ("python3",), {}, image=debian)


class TestContainers(InEngine, Suite):
    """One container by itself."""

    @pytest.mark.parametrize("name", ["../info", "../../version?", "images/../../info", "a//b", "/info", "."])
    async def test_names_lead_to_nothing_else_of_the_engine(self, runtime: Containers, name: str) -> None:
        assert await runtime.engine.find(name) is None


class TestContainerNetworks(InEngine, NetworkSuite):
    """Several on a network."""
