"""Latencies counted in buckets at most 1.6 percent wide: what a router tells control of them. Pure, and quick."""

from __future__ import annotations

_EXACT = 128
_EACH = 64  # buckets from one power of two to the next


def bucket(microseconds: int) -> int:
    """The number of the bucket; up to 127 microseconds each has its own."""
    if microseconds < _EXACT:
        return max(microseconds, 0)
    shift = microseconds.bit_length() - 7
    return shift * _EACH + (microseconds >> shift)


def bounds(number: int) -> tuple[int, int]:
    """The least and the greatest latency in a bucket."""
    if number < _EXACT:
        return number, number
    shift = number // _EACH - 1
    least = (number - shift * _EACH) << shift
    return least, least + (1 << shift) - 1


def middle(number: int) -> float:
    """What stands for all in a bucket."""
    return sum(bounds(number)) / 2
