"""Where, in what an engine has kept of a container's words, the log ends that somebody wrote before. Pure."""

from __future__ import annotations

from collections.abc import Iterable

SEEN = 1024
"""Bytes of the log's end that are looked for."""


def heard(held: Iterable[bytes], written: int, last: bytes) -> int:
    """How many of the bytes that the engine holds the log has already.

    ``held``: these bytes, oldest first. ``written``: how many the container's log has; ``last``: the end of them. An
    engine that holds fewer has forgotten the beginning: the log ends where ``last`` stands, or, if that is gone as
    well, before all of it.
    """
    seen, found, before = 0, 0, b""
    for piece in held:
        window = before + piece
        at = window.rfind(last)
        if at >= 0:
            found = seen - len(before) + at + len(last)
        seen += len(piece)
        before = window[max(0, len(window) - len(last) + 1) :]
        if seen >= written:
            return written
    return found
