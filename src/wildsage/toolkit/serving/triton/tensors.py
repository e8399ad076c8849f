"""Datatypes of the V2 protocol, and values as JSON, as the bytes of the binary extension, and as arrays.

BYTES are a length of four bytes (little-endian) before each element. Arrays of these hold ``str``, as ONNX Runtime
wants them, so that they have to be UTF-8.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Sequence
from typing import Any

_np: Any = importlib.import_module("numpy")

Array = Any

DTYPES: dict[str, Any] = {
    "BOOL": _np.dtype("?"),
    "UINT8": _np.dtype("u1"),
    "UINT16": _np.dtype("<u2"),
    "UINT32": _np.dtype("<u4"),
    "UINT64": _np.dtype("<u8"),
    "INT8": _np.dtype("i1"),
    "INT16": _np.dtype("<i2"),
    "INT32": _np.dtype("<i4"),
    "INT64": _np.dtype("<i8"),
    "FP16": _np.dtype("<f2"),
    "FP32": _np.dtype("<f4"),
    "FP64": _np.dtype("<f8"),
    "BYTES": _np.dtype("O"),
}
# ONNX Runtime's names of these.
RUNTIME = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_KINDS = {"BOOL": "b", "FP32": "iuf", "FP64": "iuf"}


class TensorError(Exception):
    """In words for the client."""


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> Array:
    """An array that is read where the bytes are; raises TensorError."""
    count = _count(shape)
    dtype = DTYPES[datatype]
    if datatype == "BYTES":
        return _strings(name, data, count).reshape(shape)
    if len(data) != count * dtype.itemsize:
        raise TensorError(
            f"input byte size mismatch for input '{name}'. Expected {count * dtype.itemsize}, got {len(data)}"
        )
    return _np.frombuffer(data, dtype).reshape(shape)


def from_json(name: str, datatype: str, shape: Sequence[int], data: Any) -> Array:
    """An array of JSON's numbers, flat or nested; raises TensorError."""
    if datatype == "FP16":
        raise TensorError(
            f"sending FP16 data via JSON is not supported. Please use the binary data format for input '{name}'"
        )
    if not isinstance(data, list):
        raise TensorError(f"Unable to parse 'data': input '{name}' needs an array")
    array = _texts(name, data) if datatype == "BYTES" else _numbers(name, datatype, data)
    if array.size != _count(shape):
        raise TensorError(
            f"Unable to parse 'data': Shape does not match true shape of 'data' field for input '{name}': "
            f"{_count(shape)} elements expected, {array.size} found"
        )
    return array.reshape(shape)


def to_json(name: str, datatype: str, array: Array) -> list[Any]:
    """Flat; raises TensorError for what JSON has no form of."""
    if datatype == "FP16":
        raise TensorError(
            f"sending FP16 data via JSON is not supported. Please use the binary data format for output '{name}'"
        )
    found: list[Any] = array.ravel().tolist()
    return found


def to_bytes(datatype: str, array: Array) -> bytes:
    if datatype != "BYTES":
        data: bytes = array.tobytes()
        return data
    octets = [each.encode() for each in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(each)) + each for each in octets)


def _count(shape: Sequence[int]) -> int:
    count = 1
    for each in shape:
        count *= each
    return count


def _strings(name: str, data: memoryview, count: int) -> Array:
    if count * 4 > len(data):
        raise TensorError(f"unexpected number of string elements for inference input '{name}', expecting {count}")
    found, at = _np.empty(count, object), 0
    for number in range(count):
        if at + 4 > len(data):
            raise TensorError(
                f"incomplete string length indicator for inference input '{name}', expecting 4 bytes but only "
                f"{len(data) - at} bytes available."
            )
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > len(data):
            raise TensorError(
                f"incomplete string data for inference input '{name}', expecting string of length {length} but only "
                f"{len(data) - at} bytes available"
            )
        try:
            found[number] = str(data[at : at + length], "utf-8")
        except UnicodeDecodeError:
            raise TensorError(f"element {number} of input '{name}' is not UTF-8, as ONNX Runtime needs it") from None
        at += length
    if at != len(data):
        raise TensorError(f"unexpected number of string elements for inference input '{name}', expecting {count}")
    return found


def _texts(name: str, data: list[Any]) -> Array:
    found = _np.array(data, object)
    for each in found.ravel():
        if not isinstance(each, str):
            raise TensorError(f"Unable to parse 'data': input '{name}' of BYTES needs strings, not {each!r:.100}")
    return found


def _numbers(name: str, datatype: str, data: list[Any]) -> Array:
    """Nothing is rounded or wrapped around on the way."""
    dtype = DTYPES[datatype]
    try:
        array = _np.array(data)
        if array.size == 0:
            return array.astype(dtype)
        if array.dtype.kind not in _KINDS.get(datatype, "iu"):
            raise TensorError(f"Unable to parse 'data': input '{name}' of {datatype} has values of another type")
        if array.dtype.kind in "iu" and dtype.kind in "iu":
            limits = _np.iinfo(dtype)
            if int(array.min()) < limits.min or int(array.max()) > limits.max:
                raise TensorError(f"Unable to parse 'data': input '{name}' has values beyond {datatype}")
        with _np.errstate(over="raise"):
            return array.astype(dtype)
    except FloatingPointError:
        raise TensorError(f"Unable to parse 'data': input '{name}' has values beyond {datatype}") from None
    except ValueError:
        raise TensorError(f"Unable to parse 'data': the array of input '{name}' is not regular") from None
