"""CBOR (RFC 8949), as much of it as Smithy's RPC v2 uses: no tags but 1, which is a time in epoch seconds."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 128
_GROUP = 7  # items that an array or a map is counted for besides itself, for it takes the time of so many numbers
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE = 31
_BREAK = 0xFF
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE_VALUES = {20: False, 21: True, 22: None, 23: None}


class BadCbor(ValueError):
    """Bytes that are not CBOR, or use a part of it that Smithy forbids."""


@dataclass(frozen=True, slots=True)
class EpochTime:
    """A timestamp: tag 1 over seconds since the epoch."""

    seconds: float


def dumps(value: Any) -> bytes:
    """None, bool, int, float, str, bytes, list, Mapping with text keys, or EpochTime, as CBOR."""
    out = bytearray()
    _write(value, out)
    return bytes(out)


def loads(data: bytes, most: int = sys.maxsize) -> Any:
    """One item that fills ``data``, with no more than ``most`` within it; raises BadCbor."""
    reader = _Reader(data, most)
    try:
        value = reader.item(0)
    except (IndexError, struct.error) as error:
        raise BadCbor("the data ends within an item") from error
    except UnicodeDecodeError as error:
        raise BadCbor("a text string is not UTF-8") from error
    if reader.at != len(data):
        raise BadCbor("there is more after the first item")
    return value


def _write(value: Any, out: bytearray) -> None:
    if value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _write_head(_UNSIGNED if value >= 0 else _NEGATIVE, value if value >= 0 else -1 - value, out)
    elif isinstance(value, float):
        out += b"\xfb" + _FLOATS[27].pack(value)
    elif isinstance(value, str):
        raw = value.encode()
        _write_head(_TEXT, len(raw), out)
        out += raw
    elif isinstance(value, bytes):
        _write_head(_BYTES, len(value), out)
        out += value
    elif isinstance(value, Mapping):
        _write_head(_MAP, len(value), out)
        for key, item in value.items():
            _write(key, out)
            _write(item, out)
    elif isinstance(value, EpochTime):
        _write_head(_TAG, 1, out)
        _write(int(value.seconds) if value.seconds == int(value.seconds) else value.seconds, out)
    else:
        _write_head(_ARRAY, len(value), out)
        for item in value:
            _write(item, out)


def _write_head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for info, size in _SIZES.items():
        if number < 1 << (8 * size):
            out.append(major << 5 | info)
            out += number.to_bytes(size, "big")
            return
    raise BadCbor(f"{number} does not fit into 64 bits")


class _Reader:
    """``at``: how far it has read; ``left``: how many items more it takes."""

    def __init__(self, data: bytes, most: int) -> None:
        self.data = data
        self.at = 0
        self.left = most

    def item(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise BadCbor(f"items are nested more than {MAX_DEPTH} deep")
        self.left -= 1
        if self.left < 0:
            raise BadCbor("there are too many items")
        first = self._byte()
        major, info = first >> 5, first & 31
        if major == _SIMPLE:
            return self._simple(info)
        if major in (_ARRAY, _MAP):
            self.left -= _GROUP
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        number = self._number(info)
        if major == _UNSIGNED:
            return number
        if major == _NEGATIVE:
            return -1 - number
        if major in (_BYTES, _TEXT):
            return self._string(major, number)
        if major == _TAG:
            return self._tagged(number, depth)
        if number > len(self.data) - self.at:
            raise BadCbor("an array or map claims more items than there are bytes")
        if major == _ARRAY:
            return [self.item(depth + 1) for _ in range(number)]
        return dict(self._pair(depth) for _ in range(number))

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _take(self, length: int) -> bytes:
        if length > len(self.data) - self.at:
            raise BadCbor("the data ends within an item")
        self.at += length
        return self.data[self.at - length : self.at]

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info not in _SIZES:
            raise BadCbor(f"{info} is not a length")
        return int.from_bytes(self._take(_SIZES[info]), "big")

    def _string(self, major: int, length: int) -> Any:
        raw = self._take(length)
        return raw if major == _BYTES else raw.decode()

    def _simple(self, info: int) -> Any:
        if info in _SIMPLE_VALUES:
            return _SIMPLE_VALUES[info]
        if info in _FLOATS:
            return _FLOATS[info].unpack(self._take(_SIZES[info]))[0]
        raise BadCbor(f"{info} is not a simple value that is used here")

    def _indefinite(self, major: int, depth: int) -> Any:
        if major in (_BYTES, _TEXT):
            parts: list[Any] = []
            while not self._ended():
                head = self._byte()
                if head >> 5 != major or head & 31 == _INDEFINITE:
                    raise BadCbor("a string has a part of another type")
                parts.append(self._string(major, self._number(head & 31)))
            return b"".join(parts) if major == _BYTES else "".join(parts)
        if major == _ARRAY:
            items: list[Any] = []
            while not self._ended():
                items.append(self.item(depth + 1))
            return items
        if major != _MAP:
            raise BadCbor("only strings, arrays and maps can be of indefinite length")
        pairs: dict[str, Any] = {}
        while not self._ended():
            key, value = self._pair(depth)
            pairs[key] = value
        return pairs

    def _ended(self) -> bool:
        if self.data[self.at] != _BREAK:
            return False
        self.at += 1
        return True

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self.item(depth + 1)
        if not isinstance(key, str):
            raise BadCbor("the keys of maps must be text")
        return key, self.item(depth + 1)

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self.item(depth + 1)
        if tag != 1 or isinstance(value, bool) or not isinstance(value, int | float):
            raise BadCbor(f"tag {tag} is not understood here")
        return EpochTime(value)
