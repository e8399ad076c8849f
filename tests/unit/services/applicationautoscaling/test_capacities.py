"""How few instances a variant may have, and in which words more are asked for."""

from __future__ import annotations

import pytest

from wildsage.core.errors import ValidationError
from wildsage.services.applicationautoscaling.scheduledactions import _check
from wildsage.services.applicationautoscaling.target import check_bounds


@pytest.mark.parametrize(
    ("fewest", "asked", "words"),
    [
        (1, 0, "a variant of a real-time endpoint must be at least 1"),
        (0, -1, "a variant of an asynchronous endpoint must be at least 0"),
    ],
)
def test_too_few(fewest: int, asked: int, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        check_bounds({"MinCapacity": asked, "MaxCapacity": 5}, fewest)
    with pytest.raises(ValidationError, match=words):
        _check({"Schedule": "rate(1 hour)", "ScalableTargetAction": {"MinCapacity": asked}}, fewest)
