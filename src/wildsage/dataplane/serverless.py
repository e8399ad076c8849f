"""Serverless variants as a router sees them: how many requests they take, and how long a cold start took. Pure."""

from __future__ import annotations

from wildsage.core.errors import ApiError
from wildsage.core.serverless import PAYLOAD, SETUP_HEADER
from wildsage.dataplane import answers
from wildsage.dataplane.table import LiveVariant
from wildsage.wire.http.messages import Headers

_DIGITS = 12


def admit(live: LiveVariant, size: int) -> None:
    """Raises ThrottlingException beyond MaxConcurrency, ValidationError for a body of more than 4 MB.

    AWS counts what is under way in all; a router counts what it has sent itself, so that with several routers each lets
    MaxConcurrency pass.
    """
    if size > PAYLOAD:
        raise answers.oversize()
    under_way = sum(slot.outstanding for slot in live.slots)
    if under_way >= live.variant.concurrency:
        raise ApiError(
            "ThrottlingException",
            f"Rate exceeded: {under_way} requests are under way, and MaxConcurrency of serverless variant "
            f"{live.variant.name} is {live.variant.concurrency}. Try your call again.",
            429,
        )


def setup_us(headers: Headers) -> int:
    """Microseconds for which the answer was late because a worker had to be started first; 0 if there was one."""
    said = next((value for name, value in headers if name == SETUP_HEADER), "")
    return int(said) if said.isdecimal() and len(said) < _DIGITS else 0  # a container may say anything
