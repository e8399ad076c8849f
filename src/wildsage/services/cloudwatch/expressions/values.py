"""What expressions are about: numbers and series of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wildsage.services.cloudwatch import names


@dataclass(frozen=True, slots=True)
class Series:
    """``values``: beginning of a period (epoch seconds) → value, in order of time. Moments may be missing."""

    values: Mapping[int, float]
    period: int
    label: str = ""

    def mapped(self, change: Callable[[float], float | None]) -> Series:
        """Each value changed; those that become None are missing."""
        changed = {at: new for at, old in self.values.items() if (new := change(old)) is not None}
        return Series(changed, self.period, self.label)


Value = float | str | Series | list[Series]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that was asked for, epoch seconds; the end is not part of it. Periods are counted from ``origin``."""

    start: int
    end: int
    origin: int = 0

    def moments(self, period: int) -> range:
        """Where its periods begin."""
        first = self.origin + (self.start - self.origin) // period * period
        return range(first, self.end, period)


def as_series(value: Value, what: str) -> Series:
    """Raises ValidationError."""
    if isinstance(value, Series):
        return value
    raise names.refused(f"Error in expression: {what} takes a time series.")


def as_array(value: Value, what: str) -> list[Series]:
    """Raises ValidationError."""
    if isinstance(value, list):
        return value
    if isinstance(value, Series):
        return [value]
    raise names.refused(f"Error in expression: {what} takes an array of time series.")


def as_number(value: Value, what: str) -> float:
    """Raises ValidationError."""
    if isinstance(value, float):
        return value
    raise names.refused(f"Error in expression: {what} takes a number there.")
