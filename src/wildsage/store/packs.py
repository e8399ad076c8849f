"""The bytes of small blobs that were committed together, as one row: a row each would change several times the pages.

``contents`` has a line for each, its length and its name, in the order of their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence


def pack(blobs: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """``contents`` and ``bytes`` of the row, from names and bytes."""
    return "\n".join([f"{len(data)} {name}" for name, data in blobs]), b"".join([data for _, data in blobs])


def unpack(contents: str, joined: bytes) -> list[tuple[str, bytes]]:
    """Names and bytes."""
    blobs, start = [], 0
    for line in contents.split("\n"):
        length, _, name = line.partition(" ")
        end = start + int(length)
        blobs.append((name, joined[start:end]))
        start = end
    return blobs
