"""The protocol buffer message ``aialgs.data.Record``, read and written by hand.

Source: ``record.proto`` of the SageMaker Python SDK.  Unknown fields are skipped, as protocol buffers ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FEATURES, _LABEL = 1, 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3
# Value's field for each tensor type → its numpy type.
_TENSORS: dict[int, np.dtype[Any]] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}
_FLOAT32 = 2


class Malformed(ValueError):
    """Bytes that are no Record."""


class Tensor(NamedTuple):
    """``keys`` empty: dense. Else ``values[i]`` stands at ``keys[i]`` of a vector with ``shape`` entries."""

    values: Array
    keys: Sequence[int]
    shape: Sequence[int]

    def dense(self, width: int = 0) -> Array:
        """As a vector, of ``width`` where the tensor itself does not say."""
        if not len(self.keys):
            return self.values
        size = int(np.prod(self.shape)) if len(self.shape) else max(width, max(self.keys) + 1)
        if max(self.keys) >= size or len(self.keys) != len(self.values):
            raise Malformed(f"a sparse tensor of shape {list(self.shape)} cannot hold the key {max(self.keys)}")
        vector = np.zeros(size, self.values.dtype)
        vector[list(self.keys)] = self.values
        return vector


class Record(NamedTuple):
    """Name → tensor; vectors and labels are called ``values``."""

    features: Mapping[str, Tensor]
    label: Mapping[str, Tensor]


def decode(data: bytes) -> Record:
    """Raises Malformed."""
    features: dict[str, Tensor] = {}
    label: dict[str, Tensor] = {}
    for field, content in _fields(data):
        if field in (_FEATURES, _LABEL) and isinstance(content, bytes):
            name, tensor = _entry(content)
            if tensor is not None:
                (features if field == _FEATURES else label)[name] = tensor
    return Record(features, label)


def _entry(data: bytes) -> tuple[str, Tensor | None]:
    name, tensor = "", None
    for field, content in _fields(data):
        if not isinstance(content, bytes):
            continue
        if field == 1:
            name = content.decode("utf-8", "replace")
        elif field == 2:
            for kind, inner in _fields(content):
                if kind in _TENSORS and isinstance(inner, bytes):
                    tensor = _tensor(inner, _TENSORS[kind])
    return name, tensor


def _tensor(data: bytes, kind: np.dtype[Any]) -> Tensor:
    values: list[Array] = []
    keys: list[int] = []
    shape: list[int] = []
    for field, content in _fields(data):
        if field == _VALUES:
            values.append(_values(content, kind))
        elif field in (_KEYS, _SHAPE):
            (keys if field == _KEYS else shape).extend(_integers(content))
    return Tensor(np.concatenate(values) if values else np.empty(0, kind), keys, shape)


def _values(content: bytes | int, kind: np.dtype[Any]) -> Array:
    """Packed or not: a field that is not packed comes once for each value."""
    if kind.kind == "i":
        return np.array([each if each < 1 << 31 else each - (1 << 64) for each in _integers(content)], kind)
    raw = content if isinstance(content, bytes) else content.to_bytes(kind.itemsize, "little")
    if len(raw) % kind.itemsize:
        raise Malformed("a tensor ends within a number")
    return np.frombuffer(raw, kind)


def _integers(content: bytes | int) -> list[int]:
    if isinstance(content, int):
        return [content]
    found, position = [], 0
    while position < len(content):
        value, position = _varint(content, position)
        found.append(value)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        wire = key & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise Malformed(f"wire type {wire} is not known")
        content = data[position : position + size]
        if len(content) < size:
            raise Malformed("a field is longer than the message")
        position += size
        yield key >> 3, content if wire == _BYTES else int.from_bytes(content, "little")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise Malformed("a number does not end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def encode(features: Mapping[str, Any], label: Mapping[str, Any]) -> bytes:
    """A Record of dense float32 tensors from numbers or sequences of numbers."""
    parts = []
    for field, tensors in ((_FEATURES, features), (_LABEL, label)):
        for name, values in tensors.items():
            raw = np.atleast_1d(np.asarray(values, "<f4")).tobytes()
            value = _field(_FLOAT32, _field(_VALUES, raw))
            parts.append(_field(field, _field(1, name.encode()) + _field(2, value)))
    return b"".join(parts)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + _written(len(content)) + content


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
