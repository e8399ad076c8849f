"""What a section found: one line each, with its bar."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """``bar``: what was asked for, in words; empty for a figure that only informs. ``met``: whether it was reached."""

    what: str
    figure: str
    bar: str = ""
    met: bool = True

    def __str__(self) -> str:
        verdict = "" if not self.bar else f"bar {self.bar}: {'met' if self.met else 'MISSED'}"
        return f"{self.what:<56} {self.figure:<44} {verdict}".rstrip()


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Median, and the extremes."""
    low, middle, high = (format(value, form) for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"
