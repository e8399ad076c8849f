"""Documents and back, whatever their keys are called."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from wildsage.store.codec import dumps, loads


@pytest.mark.parametrize(
    "document",
    [
        {"Metadata": {"$time": "x"}},
        {"Environment": {"$bytes": "!"}},
        {"$time": 1.0},
        {"$$time": {"$$$bytes": ["$time"]}},
        {"a": [{"$bytes": b"x"}, {"$time": datetime(2026, 1, 1, tzinfo=UTC)}, {"$time": 1, "b": 2}]},
        {"a": b"x", "b": [datetime(2026, 1, 1, tzinfo=UTC), None, {"$": "$time"}]},
    ],
)
def test_what_was_kept_comes_back(document: Any) -> None:
    assert loads(dumps(document)) == document
