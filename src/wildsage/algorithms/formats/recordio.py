"""RecordIO as Apache MXNet frames it: magic, length, content, padded to four bytes.

Source: dmlc-core ``recordio.h``.  The three high bits of the length say whether a record is whole (0) or the first (1),
middle (2) or last (3) part of one that contained the magic number, which is put back between the parts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
_HEAD = struct.Struct("<II")
_LENGTH_BITS = 29
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


class Malformed(ValueError):
    """What was read is not RecordIO."""


def read(stream: BinaryIO) -> Iterator[bytes]:
    """The records of ``stream``, one at a time. Raises Malformed."""
    parts: list[bytes] = []
    position = 0
    while head := _exactly(stream, _HEAD.size, position, may_end=not parts):
        magic, length = _HEAD.unpack(head)
        if magic != _MAGIC:
            raise Malformed(
                f"The header of the MXNet RecordIO record at position {position} in the dataset does not start with a "
                "valid magic number."
            )
        kind, size = length >> _LENGTH_BITS, length & ((1 << _LENGTH_BITS) - 1)
        padded = (size + 3) & ~3
        content = _exactly(stream, padded, position, may_end=False)[:size]
        position += _HEAD.size + padded
        if kind == _WHOLE:
            yield content
            continue
        if (kind == _FIRST) == bool(parts):
            raise Malformed(f"The MXNet RecordIO record at position {position} continues none.")
        parts.append(content)
        if kind == _LAST:
            yield _MAGIC_BYTES.join(parts)
            parts = []


def _exactly(stream: BinaryIO, size: int, position: int, may_end: bool) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            if may_end and not data:
                return b""
            raise Malformed(f"The MXNet RecordIO record at position {position} in the dataset is cut off.")
        data += more
    return data


def frame(record: bytes) -> bytes:
    """``record`` as it stands in a stream."""
    parts = record.split(_MAGIC_BYTES)
    framed = []
    for number, part in enumerate(parts):
        if len(parts) == 1:
            kind = _WHOLE
        elif number == 0:
            kind = _FIRST
        else:
            kind = _LAST if number == len(parts) - 1 else _MIDDLE
        framed.append(_HEAD.pack(_MAGIC, kind << _LENGTH_BITS | len(part)) + part + b"\0" * (-len(part) % 4))
    return b"".join(framed)
