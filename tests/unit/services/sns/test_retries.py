"""When a message is tried again."""

from __future__ import annotations

import json

import pytest

from wildsage.core.errors import ApiError
from wildsage.services.sns import retries


def pauses(**chosen: object) -> list[float]:
    policy = retries.effective(json.dumps({"healthyRetryPolicy": chosen}))
    found: list[float] = []
    while (after := retries.pause(policy, len(found) + 1)) is not None:
        found.append(after)
    return found


def test_the_default_is_three_retries_twenty_seconds_apart() -> None:
    assert pauses() == [20.0, 20.0, 20.0]


def test_phases_come_one_after_the_other() -> None:
    chosen = {"numNoDelayRetries": 2, "numMinDelayRetries": 1, "numMaxDelayRetries": 1, "numRetries": 7}
    assert pauses(minDelayTarget=1, maxDelayTarget=5, **chosen) == [0.0, 0.0, 1.0, 1.0, 3.0, 5.0, 5.0]


@pytest.mark.parametrize("growth", ["linear", "arithmetic", "geometric", "exponential"])
def test_delays_grow_from_the_least_to_the_most(growth: str) -> None:
    found = pauses(minDelayTarget=1, maxDelayTarget=60, numRetries=10, backoffFunction=growth)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (1.0, 60.0)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        '{"http": 5}',
        '{"healthyRetryPolicy": {"numRetries": true, "backoffFunction": []}}',
        '{"healthyRetryPolicy": {"numRetries": 101}}',
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="DeliveryPolicy"):
        retries.effective(text)
