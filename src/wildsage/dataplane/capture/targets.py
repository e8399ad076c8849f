"""What of a variant's requests is captured, compiled for the hot path."""

from __future__ import annotations

from dataclasses import dataclass

from wildsage.core.captures import Origin
from wildsage.core.routes import Endpoint, Variant
from wildsage.dataplane.capture.records import Encodings


@dataclass(frozen=True, slots=True)
class Target:
    """``share``: of the requests, from 0 to 1. ``origin``: the first line of its files, which tells them apart."""

    share: float
    input: bool
    output: bool
    encodings: Encodings
    origin: bytes


def target_of(account: str, endpoint: Endpoint, variant: Variant) -> Target | None:
    """None where nothing is captured."""
    capture = variant.capture
    if capture is None or capture.percent <= 0:
        return None
    origin = Origin(
        account,
        endpoint.region,
        endpoint.name,
        variant.name,
        capture.destination,
        capture.role,
        capture.kms_key,
    )
    encodings = Encodings(*(frozenset(map(str.lower, names)) for names in (capture.csv, capture.json)))
    return Target(capture.percent / 100, capture.input, capture.output, encodings, origin.to_line())
