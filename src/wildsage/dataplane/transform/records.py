"""Takes objects apart into records: lines, RecordIO, TFRecord, or the whole. Pure.

Sources: API reference, TransformInput.SplitType; dmlc-core ``recordio.h``; TensorFlow, "TFRecord and tf.train.Example".
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple, Protocol

_MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
_LENGTH_BITS = 29
_WHOLE, _BEGIN, _MIDDLE, _END = range(4)
_MASK_DELTA = 0xA282EAD8

SHOWN = 200
"""Bytes of a record that is too large, for words about it."""


class Malformed(Exception):
    """The data is not of the kind that SplitType says; the text says why."""


class TooLarge(Exception):
    """A record of more than ``limit`` bytes. ``first``: those that it begins with."""

    def __init__(self, first: bytes, limit: int) -> None:
        super().__init__("a record is too large")
        self.first = first
        self.limit = limit


class Record(NamedTuple):
    """``data``: the record itself. ``framed``: with what is around it in its object."""

    data: bytes
    framed: bytes


class Splitter(Protocol):
    """Fed with an object's bytes as they come. ``limit``: bytes of the largest record.

    Both raise Malformed and TooLarge.
    """

    def feed(self, data: bytes) -> Iterator[Record]: ...

    def finish(self) -> Iterator[Record]:
        """What is left at the object's end."""
        ...


class Lines:
    """A line has its line end with it, which the last may lack. Empty lines are no records."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Record]:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            yield from self._record(line + b"\n")
        if len(self._rest) > self._limit:
            raise TooLarge(self._rest[:SHOWN], self._limit)

    def finish(self) -> Iterator[Record]:
        rest, self._rest = self._rest, b""
        yield from self._record(rest)

    def _record(self, line: bytes) -> Iterator[Record]:
        if len(line) > self._limit:
            raise TooLarge(line[:SHOWN], self._limit)
        if line.rstrip(b"\r\n"):
            yield Record(line, line)


class Whole:
    """The object is the record."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Record]:
        self._data += data
        if len(self._data) > self._limit:
            raise TooLarge(bytes(self._data[:SHOWN]), self._limit)
        yield from ()

    def finish(self) -> Iterator[Record]:
        if self._data:
            data = bytes(self._data)
            yield Record(data, data)


class _Framed(ABC):
    """Records that say how long they are."""

    name = ""
    head = 0

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Record]:
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= self.head:
            size, whole = self._size(self._buffer, at)
            if size > self._limit:
                raise TooLarge(bytes(self._buffer[at + self.head : at + self.head + SHOWN]), self._limit)
            if len(self._buffer) - at < whole:
                break
            record = self._record(bytes(self._buffer[at : at + whole]), size)
            at += whole
            if record is not None:
                yield record
        del self._buffer[:at]

    def finish(self) -> Iterator[Record]:
        if self._buffer:
            raise Malformed(f"it ends within a {self.name} record")
        yield from ()

    @abstractmethod
    def _size(self, buffer: bytearray, at: int) -> tuple[int, int]:
        """Of the record at ``at``: its bytes, and those with all that is around it."""

    @abstractmethod
    def _record(self, framed: bytes, size: int) -> Record | None:
        """What is in it; None where more belongs to it."""


class RecordIO(_Framed):
    """A record that holds the magic number is in several pieces, between which the number belongs."""

    name = "RecordIO"
    head = 8

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._pieces: list[Record] = []

    def finish(self) -> Iterator[Record]:
        if self._pieces:
            raise Malformed("it ends within a RecordIO record of several pieces")
        yield from super().finish()

    def _size(self, buffer: bytearray, at: int) -> tuple[int, int]:
        magic, word = struct.unpack_from("<II", buffer, at)
        if magic != _MAGIC:
            raise Malformed("it is not in RecordIO format: there is no magic number where a record should begin")
        size = word & ((1 << _LENGTH_BITS) - 1)
        return size, self.head + size + (-size % 4)

    def _record(self, framed: bytes, size: int) -> Record | None:
        kind = struct.unpack_from("<I", framed, 4)[0] >> _LENGTH_BITS
        piece = Record(framed[self.head : self.head + size], framed)
        if kind not in (_WHOLE, _BEGIN, _MIDDLE, _END) or (kind in (_WHOLE, _BEGIN)) is bool(self._pieces):
            raise Malformed("it is not in RecordIO format: the pieces of a record are out of order")
        if kind == _WHOLE:
            return piece
        self._pieces.append(piece)
        if sum(len(each.data) for each in self._pieces) > self._limit:
            raise TooLarge(self._pieces[0].data[:SHOWN], self._limit)
        if kind != _END:
            return None
        pieces, self._pieces = self._pieces, []
        return Record(_MAGIC_BYTES.join(each.data for each in pieces), b"".join(each.framed for each in pieces))


class TFRecord(_Framed):
    """Length, its checksum, data, their checksum. The length's is looked at, so that no other file passes for one."""

    name = "TFRecord"
    head = 12

    def _size(self, buffer: bytearray, at: int) -> tuple[int, int]:
        size, checksum = struct.unpack_from("<QI", buffer, at)
        if checksum != masked_crc(bytes(buffer[at : at + 8])):
            raise Malformed("it is not in TFRecord format: the checksum of a record's length is wrong")
        return size, self.head + size + 4

    def _record(self, framed: bytes, size: int) -> Record | None:
        return Record(framed[self.head : self.head + size], framed)


def _crc_table() -> tuple[int, ...]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return tuple(table)


_CRC = _crc_table()


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord: CRC-32C, rotated and moved."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


SPLITTERS: dict[str, type[Lines | Whole | RecordIO | TFRecord]] = {
    "None": Whole,
    "Line": Lines,
    "RecordIO": RecordIO,
    "TFRecord": TFRecord,
}
