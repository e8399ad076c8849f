"""Delivery policies of HTTP subscriptions. Pure.

Source: SNS Developer Guide, "Amazon SNS message delivery retries", "Creating an HTTP/S delivery policy".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from wildsage.services.sns import names

DEFAULT: Mapping[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
_MOST_RETRIES = 100
_MOST_DELAY = 3600
# How far the delay has grown from the least to the most, at a part ``x`` of the way.
_GROWTH: Mapping[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "arithmetic": lambda x: x * (1 + x) / 2,
    "geometric": lambda x: x**2,
    "exponential": lambda x: (2 ** (10 * x) - 1) / 1023,
}


def effective(*policies: str | None) -> dict[str, Any]:
    """The retry policy of a subscription: the default, then its topic's, then its own. Raises InvalidParameter."""
    merged = dict(DEFAULT)
    for text in policies:
        if text:
            merged |= _read(text)
    whole = all(type(merged[name]) is int and merged[name] >= 0 for name in DEFAULT if name != "backoffFunction")
    if not whole or str(merged["backoffFunction"]) not in _GROWTH:
        raise names.invalid("DeliveryPolicy: numbers must be whole and backoffFunction one of " + ", ".join(_GROWTH))
    if merged["numRetries"] > _MOST_RETRIES or merged["maxDelayTarget"] > _MOST_DELAY:
        raise names.invalid("DeliveryPolicy: at most 100 retries, and at most 3600 seconds between them")
    if merged["minDelayTarget"] > merged["maxDelayTarget"]:
        raise names.invalid("DeliveryPolicy: minDelayTarget must be less than or equal to maxDelayTarget")
    return merged


def _read(text: str) -> Mapping[str, Any]:
    """A subscription has ``healthyRetryPolicy``, a topic the same below ``http`` as ``defaultHealthyRetryPolicy``."""
    try:
        policy = json.loads(text)
        of_topic = policy.get("http")
        found = policy.get("healthyRetryPolicy") if of_topic is None else of_topic.get("defaultHealthyRetryPolicy")
        return {name: value for name, value in (found or {}).items() if name in DEFAULT}
    except (ValueError, AttributeError, RecursionError):
        raise names.invalid("DeliveryPolicy: it must be a JSON object") from None


def pause(policy: Mapping[str, Any], failed: int) -> float | None:
    """Seconds before the next attempt when ``failed`` have failed; None if that was the last."""
    retry = failed - 1
    if retry >= policy["numRetries"]:
        return None
    if retry < policy["numNoDelayRetries"]:
        return 0.0
    least, most = float(policy["minDelayTarget"]), float(policy["maxDelayTarget"])
    retry -= policy["numNoDelayRetries"]
    if retry < policy["numMinDelayRetries"]:
        return least
    retry -= policy["numMinDelayRetries"]
    steady = policy["numNoDelayRetries"] + policy["numMinDelayRetries"] + policy["numMaxDelayRetries"]
    growing = policy["numRetries"] - steady
    if retry >= growing:
        return most
    part = retry / (growing - 1) if growing > 1 else 0.0
    return least + (most - least) * _GROWTH[policy["backoffFunction"]](part)
