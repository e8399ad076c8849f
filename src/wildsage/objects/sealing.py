"""Bytes encrypted on disk under a key that is not kept here (SSE-C): AES-256-GCM over pieces of 64 KiB.

A sealed blob is a row of segments, one for each blob that was written (an object completed from parts has several).  A
segment is a row of pieces: the ciphertext of at most 64 KiB and its 16 bytes of tag.  The segment's own key is derived
from the customer's with the segment's name as salt, and a piece's number is its nonce, so that no pair of them is ever
used twice and any range can be read without what comes before it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import importlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

PIECE: Final = 64 * 1024
_TAG: Final = 16
_SEALED: Final = PIECE + _TAG
_BATCH: Final = 16  # pieces that are opened together, in a thread

Read = Callable[[int, int], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Segment:
    """``size``: bytes before sealing. ``salt``: the name of the blob that it was written as."""

    size: int
    salt: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """How a blob can be read: the customer's key (32 bytes) and the segments in order."""

    key: bytes
    segments: tuple[Segment, ...]


def fingerprint(key: bytes, salt: str) -> str:
    """What is kept of a key, to know it again."""
    return hmac.digest(key, f"known {salt}".encode(), "sha256").hex()


class Cipher(Protocol):
    """AES-256-GCM under one key. ``open`` raises OSError for what was not sealed with it."""

    def seal(self, nonce: bytes, data: bytes) -> bytes: ...

    def open(self, nonce: bytes, sealed: bytes) -> bytes: ...


@cache
def _ciphers() -> Callable[[bytes], Cipher]:
    # By name, at the first use: cryptography holds 9 MB in every process that has it, and most never seal anything.
    found: Callable[[bytes], Cipher] = importlib.import_module("wildsage.objects.cipher").Aes
    return found


def _cipher(key: bytes, salt: str) -> Cipher:
    return _ciphers()(hmac.digest(key, f"segment {salt}".encode(), hashlib.sha256))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def sealed_size(size: int) -> int:
    """Bytes on disk of a segment of ``size`` bytes."""
    return size + -(-size // PIECE) * _TAG


class Sealer:
    """Seals one segment while it is written."""

    def __init__(self, key: bytes, salt: str) -> None:
        self._cipher = _cipher(key, salt)
        self._number = 0
        self._held = bytearray()

    def seal(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """The pieces that are whole by now."""
        for chunk in chunks:
            self._held += chunk
        whole = len(self._held) // PIECE * PIECE
        ready = bytes(self._held[:whole])
        del self._held[:whole]
        return [self._piece(ready[at : at + PIECE]) for at in range(0, whole, PIECE)]

    def rest(self) -> bytes:
        """The last piece, which may be short or nothing."""
        held, self._held = bytes(self._held), bytearray()
        return self._piece(held) if held else b""

    def _piece(self, data: bytes) -> bytes:
        sealed = self._cipher.seal(_nonce(self._number), data)
        self._number += 1
        return sealed


async def unseal(read: Read, sealed: Sealed, offset: int, length: int) -> AsyncIterator[bytes]:
    """A slice of what was sealed; ``read(offset, length)`` gives a slice of the blob.

    Raises OSError where the blob is not what was written or the key is another.
    """
    place = 0
    for segment in sealed.segments:
        first, last = max(offset, 0), min(offset + length, segment.size)
        if first < last:
            async for chunk in _segment(read, _cipher(sealed.key, segment.salt), place, segment.size, first, last):
                yield chunk
        offset -= segment.size
        place += sealed_size(segment.size)


async def _segment(read: Read, cipher: Cipher, place: int, size: int, first: int, last: int) -> AsyncIterator[bytes]:
    """Bytes ``first`` to ``last`` (exclusive) of the segment at ``place``."""
    number, end = first // PIECE, -(-last // PIECE)
    skip = first - number * PIECE
    left = last - first
    while number < end:
        count = min(_BATCH, end - number)
        begin = number * _SEALED
        span = min(count * _SEALED, sealed_size(size) - begin)
        data = b"".join([chunk async for chunk in read(place + begin, span)])
        opened = await asyncio.to_thread(_open, cipher, number, data)
        for piece in opened:
            chunk = piece[skip : skip + left]
            skip, left = 0, left - len(chunk)
            yield chunk
        number += count


def _open(cipher: Cipher, number: int, data: bytes) -> Sequence[bytes]:
    return [
        cipher.open(_nonce(number + index), data[at : at + _SEALED])
        for index, at in enumerate(range(0, len(data), _SEALED))
    ]
