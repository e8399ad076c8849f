"""What keeps the bytes of S3 objects: a small interface over named, immutable blobs.

Who sees which blob under which key is the index's business (``store.objectindex``).  A write has three steps, so that
a crash at any moment leaves neither a half-visible object nor a stray file:

    blob = await objects.write(bucket, key, body)   durable, but known to nobody
    … the row that names the blob is committed …    the object exists from here on
    await objects.keep(blob.name)                   no longer a candidate of the start-up sweep

If the second step does not happen, ``discard`` takes the blob away, and after a crash ``unsettled`` names what to ask
the index about.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from wildsage.core.errors import WildsageError
from wildsage.objects.sealing import Sealed


class NoSpace(WildsageError):
    """The disk that holds the objects is full; nothing of the write was kept."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that will not change. ``md5`` and the checksums are raw digests; ``size`` in bytes.

    Of a sealed blob, size and digests are those of what was sealed.  ``unsynced``: its bytes, if its file may not be on
    the disk yet; they must go into the transaction of its row (``store.unsynced``).
    """

    name: str
    size: int
    md5: bytes = b""
    checksums: Mapping[str, bytes] = field(default_factory=dict)
    unsynced: bytes | None = None


class Objects(Protocol):
    """``label`` is the object's key, so that a backend can choose names that people recognise."""

    async def write(
        self,
        bucket: str,
        label: str,
        body: AsyncIterable[bytes],
        algorithms: Collection[str] = (),
        key: bytes | None = None,
        small: int = 0,
        md5: bool = True,
    ) -> Blob:
        """Stores what ``body`` yields, sealed under ``key`` (32 bytes) if there is one; returns once it is on disk.

        A body of up to ``small`` bytes that is not sealed is not waited for: ``unsynced`` of the blob has it.
        Takes its MD5, unless nobody wants that, and the digests of ``algorithms`` (``digests.ALGORITHMS``) on the way.
        Whatever ``body`` raises comes out again, with nothing kept. Raises NoSpace.
        """
        ...

    async def join(self, bucket: str, label: str, names: Sequence[str]) -> Blob:
        """A new blob of the bytes of others, in order; without digests. Raises NoSpace."""
        ...

    async def duplicate(self, bucket: str, label: str, name: str) -> Blob:
        """A new blob of the same bytes as ``name``, which may cost no copying; without digests. Raises NoSpace."""
        ...

    def read(self, name: str, offset: int, length: int, sealed: Sealed | None = None) -> AsyncIterator[bytes]:
        """A slice as chunks of at most 1 MiB; ``sealed``: how to open what is sealed."""
        ...

    def path(self, name: str) -> Path:
        """The blob as a file. It stays for as long as the object is not overwritten or deleted, and a while longer."""
        ...

    def is_whole(self, name: str, size: int) -> bool:
        """Whether there is a file of at least that many bytes."""
        ...

    async def sync(self) -> None:
        """Returns once every blob written so far is on the disk."""
        ...

    async def restore(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        """Gives blobs that a power failure took the bytes of theirs back; they are on the disk after ``sync``."""
        ...

    async def keep(self, name: str) -> None:
        """The row that names the blob is committed."""
        ...

    async def discard(self, names: Sequence[str]) -> None:
        """Takes blobs away; those already gone are no error. A reader that has one open goes on reading."""
        ...

    async def forget(self, bucket: str) -> None:
        """Takes away what an empty bucket left on disk."""
        ...

    async def unsettled(self) -> list[str]:
        """Names of blobs for which neither ``keep`` nor ``discard`` was done: after a crash, what it interrupted."""
        ...
