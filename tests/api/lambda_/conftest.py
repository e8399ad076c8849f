"""Functions on the session's server; they are gone after each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.lambda_.functions import Functions
from tests.conftest import Server


@pytest.fixture(scope="module")
def functions(server: Server) -> Iterator[Functions]:
    made = Functions(server)
    yield made
    made.clear()
