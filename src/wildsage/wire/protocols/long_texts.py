"""JSON with strings of megabytes, read so that nobody else has to wait for it.

Python's reader goes through a string in one go, and no other thread runs until it is through: a tenth of a second for
an archive of 50 MiB in base64. So long strings are taken out first, piece by piece, and put back into what was read of
the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from wildsage.wire.bounds import Bound, check_json
from wildsage.wire.protocols.json_values import loads
from wildsage.wire.timestamps import Malformed

_WINDOW = 512 * 1024  # bytes without a quotation mark that make a string a long one
_PIECE = 1024 * 1024  # bytes that are looked at in one go
_NOT_PLAIN = bytes(range(32)) + b"\\"  # what a string may not hold, and what stands for something else


def read_bounded_json(data: bytes, bound: Bound) -> Any:
    """The tree of a request's body; raises Malformed, of one that holds too much, too."""
    short, texts = _cut(data)
    if texts:
        try:
            check_json(short, bound)
            tree = [loads(short)]
        except Malformed:
            tree = []
        if _put_back(tree, texts) == len(texts):
            return tree[0]
    check_json(data, bound)  # what was cut out was not just strings, or there was nothing
    return loads(data)


def _cut(data: bytes) -> tuple[bytes, Mapping[str, str]]:
    """``data`` with a mark in the place of each long string, and the strings by their marks, which nobody can guess."""
    texts: dict[str, str] = {}
    pieces: list[bytes] = []
    secret, done, at = "", 0, 0
    while at + _WINDOW <= len(data):
        if data.find(b'"', at, at + _WINDOW) >= 0:
            at += _WINDOW
            continue
        first, last = data.rfind(b'"', done, at) + 1, _quote(data, at + _WINDOW)
        if not first or last < 0:
            break
        text = _plain(data, first, last)
        if text is not None:
            secret = secret or os.urandom(16).hex()
            mark = f"{secret}-{len(texts)}"
            texts[mark] = text
            pieces += [data[done:first], mark.encode()]
            done = last
        at = last + 1
    return (b"".join([*pieces, data[done:]]) if texts else data), texts


def _quote(data: bytes, at: int) -> int:
    """Where the next quotation mark is, -1 if there is none."""
    for start in range(at, len(data), _PIECE):
        found = data.find(b'"', start, start + _PIECE)
        if found >= 0:
            return found
    return -1


def _plain(data: bytes, first: int, last: int) -> str | None:
    """That part as text, if it stands for itself: ASCII without escapes."""
    text = ""
    for start in range(first, last, _PIECE):
        piece = data[start : min(start + _PIECE, last)]
        if not piece.isascii() or len(piece.translate(None, _NOT_PLAIN)) < len(piece):
            return None
        text += piece.decode("ascii")  # grows in place, where joining would copy all of it in one go
    return text


def _put_back(tree: list[Any], texts: Mapping[str, str]) -> int:
    """Puts the strings where their marks are in ``tree``; how many there were."""
    found, groups = 0, list[Any]([tree])
    while groups:
        group = groups.pop()
        for place, value in list(group.items() if isinstance(group, dict) else enumerate(group)):
            if isinstance(value, dict | list):
                groups.append(value)
            elif isinstance(value, str) and value in texts:
                group[place] = texts[value]
                found += 1
    return found
