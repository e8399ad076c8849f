"""The checksums S3 computes while bytes pass through.

Source of names and rules: Amazon S3 User Guide, "Checking object integrity". CRCs are written big-endian. CRC32C and
CRC64NVME come from anycrc, because the standard library has only CRC32 and a table in Python reaches some 10 MB/s.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import anycrc

CRC32: Final = "CRC32"
CRC32C: Final = "CRC32C"
CRC64NVME: Final = "CRC64NVME"
_CRC_BYTES: Final = {CRC32: 4, CRC32C: 4, CRC64NVME: 8}
_CRC_MODELS: Final = {
    CRC32: anycrc.Model("CRC32-ISO-HDLC"),
    CRC32C: anycrc.Model("CRC32-ISCSI"),
    CRC64NVME: anycrc.Model("CRC64-NVME"),
}
_CRCS: Final[dict[str, Callable[[bytes, int], int]]] = {
    name: zlib.crc32 if name == CRC32 else model.calc for name, model in _CRC_MODELS.items()
}
_HASHES: Final = {
    "SHA1": hashlib.sha1,
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": hashlib.md5,
}
ALGORITHMS: Final = frozenset(_CRC_BYTES) | frozenset(_HASHES)
LINEAR: Final = frozenset(_CRC_BYTES)
"""Algorithms whose digest of a whole follows from the digests of its parts (see ``combine``)."""


class _Running(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """One running CRC with hashlib's interface."""

    __slots__ = ("_advance", "_size", "_value")

    def __init__(self, algorithm: str) -> None:
        self._size = _CRC_BYTES[algorithm]
        self._advance = _CRCS[algorithm]
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._advance(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _running(algorithm: str) -> _Running:
    if algorithm in _CRC_BYTES:
        return _Crc(algorithm)
    return _HASHES[algorithm](usedforsecurity=False)


class Digests:
    """MD5, which every object of S3 has for its ETag, and whichever checksums were asked for."""

    def __init__(self, algorithms: Iterable[str], md5: bool = True) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._running = {algorithm: _running(algorithm) for algorithm in algorithms}

    @property
    def updates(self) -> Sequence[Callable[[bytes], None]]:
        """Each of them must get all data in order; they may run beside each other."""
        first = () if self._md5 is None else (self._md5.update,)
        return [*first, *(each.update for each in self._running.values())]

    def md5(self) -> bytes:
        """Empty if it was not wanted."""
        return b"" if self._md5 is None else self._md5.digest()

    def checksums(self) -> dict[str, bytes]:
        """Algorithm → digest."""
        return {algorithm: each.digest() for algorithm, each in self._running.items()}


def digest(algorithm: str, data: bytes) -> bytes:
    """The digest of ``data``; ``algorithm`` is one of ALGORITHMS."""
    advance = _CRCS.get(algorithm)
    if advance is not None:
        return advance(data, 0).to_bytes(_CRC_BYTES[algorithm], "big")
    return _HASHES[algorithm](data, usedforsecurity=False).digest()


def combine(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The digest of the concatenation of parts, each given by its digest and size in bytes; LINEAR ones only."""
    model = _CRC_MODELS[algorithm]
    whole = 0
    for part, size in parts:
        whole = model.combine(whole, int.from_bytes(part, "big"), size)
    return whole.to_bytes(_CRC_BYTES[algorithm], "big")
