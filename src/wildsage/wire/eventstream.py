"""``application/vnd.amazon.eventstream``: messages with typed headers, a payload and two checksums.

Layout (big-endian; Smithy 2.0, "Amazon Event Stream Specification"): total length, headers length, CRC-32 of these
eight bytes, headers, payload, CRC-32 of all before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

Value = bool | int | str | bytes | datetime | UUID

MAX_MESSAGE = 24 * 1024 * 1024  # bytes; the specification allows 24 MiB of payload
_PRELUDE = struct.Struct(">III")
_LENGTHS = struct.Struct(">II")
_CRC = struct.Struct(">I")
_INTEGERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q")}
_OVERHEAD = _PRELUDE.size + _CRC.size


class BadFrame(ValueError):
    """Bytes that are not an event stream, or were damaged on the way."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Header values: bool, int, str, bytes, an aware datetime (milliseconds) or a UUID."""

    headers: Mapping[str, Value] = field(default_factory=dict)
    payload: bytes = b""


def encode(message: Message) -> bytes:
    """The frame of one message."""
    return framed(encode_headers(message.headers), message.payload)


def encode_headers(headers: Mapping[str, Value]) -> bytes:
    """The headers as they stand in a frame."""
    return b"".join(_encode_header(name, value) for name, value in headers.items())


def framed(headers: bytes, payload: bytes) -> bytes:
    """The frame of a message whose headers were encoded before."""
    lengths = _LENGTHS.pack(_OVERHEAD + len(headers) + len(payload), len(headers))
    frame = b"".join((lengths, _CRC.pack(zlib.crc32(lengths)), headers, payload))
    return frame + _CRC.pack(zlib.crc32(frame))


class Decoder:
    """Gathers bytes as they arrive and gives whole messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are now complete; raises BadFrame."""
        self._pending += data
        while len(self._pending) >= _PRELUDE.size:
            total, headers_length, crc = _PRELUDE.unpack_from(self._pending)
            if zlib.crc32(self._pending[:8]) != crc:
                raise BadFrame("the checksum of a message's prelude does not match")
            if not _OVERHEAD + headers_length <= total <= MAX_MESSAGE:
                raise BadFrame(f"a message claims {total} bytes with {headers_length} of headers")
            if len(self._pending) < total:
                return
            frame = bytes(self._pending[:total])
            del self._pending[:total]
            yield _decode(frame, headers_length)

    def close(self) -> None:
        """Raises BadFrame if the stream ended within a message."""
        if self._pending:
            raise BadFrame("the stream ended within a message")


def _decode(frame: bytes, headers_length: int) -> Message:
    if zlib.crc32(frame[:-4]) != _CRC.unpack_from(frame, len(frame) - 4)[0]:
        raise BadFrame("the checksum of a message does not match")
    end = _PRELUDE.size + headers_length
    try:
        headers = dict(_decode_headers(frame[_PRELUDE.size : end]))
    except (struct.error, IndexError, UnicodeDecodeError, ValueError, OverflowError, OSError) as error:
        raise BadFrame(f"a message's headers cannot be read: {error}") from error
    return Message(headers, frame[end:-4])


def _encode_header(name: str, value: Value) -> bytes:
    raw = name.encode()
    return bytes((len(raw),)) + raw + _encode_value(value)


def _encode_value(value: Value) -> bytes:
    if isinstance(value, bool):
        return b"\0" if value else b"\1"
    if isinstance(value, int):
        kind = 4 if -(1 << 31) <= value < 1 << 31 else 5
        return bytes((kind,)) + _INTEGERS[kind].pack(value)
    if isinstance(value, datetime):
        return b"\10" + struct.pack(">q", round(value.timestamp() * 1000))
    if isinstance(value, UUID):
        return b"\11" + value.bytes
    kind, raw = (6, value) if isinstance(value, bytes) else (7, value.encode())
    return bytes((kind,)) + struct.pack(">H", len(raw)) + raw


def _decode_headers(data: bytes) -> Iterator[tuple[str, Value]]:
    at = 0
    while at < len(data):
        length = data[at]
        name = _take(data, at + 1, length).decode()
        kind = data[at + 1 + length]
        value, at = _decode_value(kind, data, at + 2 + length)
        yield name, value


def _decode_value(kind: int, data: bytes, at: int) -> tuple[Value, int]:
    if kind in (0, 1):
        return kind == 0, at
    if kind in _INTEGERS:
        return _INTEGERS[kind].unpack_from(data, at)[0], at + _INTEGERS[kind].size
    if kind in (6, 7):
        length = struct.unpack_from(">H", data, at)[0]
        raw = _take(data, at + 2, length)
        return (raw if kind == 6 else raw.decode()), at + 2 + length
    if kind == 8:
        milliseconds = struct.unpack_from(">q", data, at)[0]
        return datetime.fromtimestamp(milliseconds / 1000, UTC), at + 8
    if kind == 9:
        return UUID(bytes=_take(data, at, 16)), at + 16
    raise BadFrame(f"a header has the unknown type {kind}")


def _take(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise BadFrame("a header is longer than the headers")
    return data[at : at + length]
