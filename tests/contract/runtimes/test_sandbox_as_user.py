"""The sandbox's whole suite once more, as an ordinary user, where the tests themselves run as root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.runtimes.ordinary import a_home, run_tests

_SUITES = ("test_sandbox.py", "test_sandbox_networks.py")


@pytest.fixture
def home() -> Iterator[Path]:
    yield from a_home()


@pytest.mark.timeout(900)
async def test_the_suite_as_an_ordinary_user(home: Path) -> None:
    await run_tests(home, *(str(Path(__file__).with_name(each)) for each in _SUITES))
