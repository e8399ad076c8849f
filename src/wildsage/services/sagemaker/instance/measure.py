"""Looks for metrics in lines of a container's log: a program of its own, with the standard library alone.

A regular expression is the caller's, and one such as ``(a+)+$`` can take longer than the universe has; here it holds
up nobody.  Each has BUDGET seconds of processor time for the lines of one question; one that needs more is given up.

Frames (four bytes of length, then JSON) on stdin and stdout.  The first one in is the list of expressions; every other
is a list of texts, answered by ``[[[text, expression, value], …], [expression given up, …]]`` with positions in them.
"""

from __future__ import annotations

import json
import math
import re
import signal
import struct
import sys
from typing import Any, BinaryIO

BUDGET = 1.0
LENGTH = struct.Struct("!I")
Found = tuple[int, int, float]


class _TooSlow(Exception):
    """The budget is used up."""


def _stop(_number: int, _frame: object) -> None:
    raise _TooSlow


def search(pattern: re.Pattern[str], texts: list[str]) -> list[tuple[int, float]]:
    """The positions of the texts that have the metric, and its values: the first group, else the whole match."""
    found = []
    for position, text in enumerate(texts):
        match = pattern.search(text)
        if match is None:
            continue
        try:
            value = float(match[1] if pattern.groups else match[0])
        except (TypeError, ValueError):
            continue  # as in AWS, what is not a number is not a data point
        if math.isfinite(value):  # CloudWatch takes neither NaN nor infinity (PutMetricData)
            found.append((position, value))
    return found


def answer(patterns: dict[int, re.Pattern[str]], texts: list[str]) -> tuple[list[Found], list[int]]:
    """What there is in the texts; expressions that take too long are taken out of ``patterns``."""
    found: list[Found] = []
    given_up = []
    for number, pattern in list(patterns.items()):
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, BUDGET)
            values = search(pattern, texts)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except _TooSlow:
            del patterns[number]
            given_up.append(number)
        else:
            found += [(position, number, value) for position, value in values]
    return sorted(found), given_up


def _read(stream: BinaryIO) -> Any:
    head = stream.read(LENGTH.size)
    return json.loads(stream.read(*LENGTH.unpack(head))) if len(head) == LENGTH.size else None


def main() -> None:
    """Until stdin ends."""
    signal.signal(signal.SIGVTALRM, _stop)
    patterns = {number: re.compile(text) for number, text in enumerate(_read(sys.stdin.buffer) or ())}
    while (texts := _read(sys.stdin.buffer)) is not None:
        data = json.dumps(answer(patterns, texts)).encode()
        sys.stdout.buffer.write(LENGTH.pack(len(data)) + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
