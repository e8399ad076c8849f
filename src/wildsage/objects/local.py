"""The bytes of S3 objects as plain files of this machine.

Disk and hashing happen in threads side by side, where both release the interpreter, so the event loop only ever moves
chunks; at most four pieces of 512 KiB of one transfer are in memory.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from wildsage.objects import files
from wildsage.objects.base import Blob
from wildsage.objects.sealing import Sealed, Sealer, unseal
from wildsage.objects.strands import Strands

P = ParamSpec("P")
T = TypeVar("T")
PIECE = 512 * 1024
_READ = 1024 * 1024
_MOST_PIECES = 3  # of one body, given to threads
_THREADS = 16  # most of them wait for the disk


class LocalObjects:
    """``base.Objects`` over a folder. ``incoming``: its folder for first names, which no other process may have."""

    def __init__(self, root: Path, incoming: str = files.INCOMING) -> None:
        self._root = root
        self._incoming = root / incoming
        self._restoring = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")
        self.prepare()

    def prepare(self) -> None:
        """Makes the folder of first names, if it is not there."""
        files.ensure_directory(self._incoming)

    def close(self) -> None:
        """Waits for what is under way."""
        self._threads.shutdown()

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
        name = files.new_name(bucket, label)
        sealer = None if key is None else Sealer(key, name)
        draft = files.Draft(self._root, self._incoming, name, algorithms, sealer, md5)
        strands: Strands | None = None
        chunks: list[bytes] = []
        held = 0
        try:
            async for chunk in body:
                chunks.append(chunk)
                held += len(chunk)
                if held >= PIECE:
                    strands = strands or Strands(self._threads, (draft.absorb, *draft.digests), _MOST_PIECES)
                    await strands.give(chunks)
                    chunks, held = [], 0
            if strands is None:
                finish = draft.finish_small if sealer is None and held <= small else draft.finish
                return await self._run(finish, chunks)
            await strands.give(chunks)
            await strands.finish()
            return await self._run(draft.finish)
        except BaseException:
            if strands is not None:
                strands.stop()
            await self._abandon(draft)
            raise

    async def join(self, bucket: str, label: str, names: Sequence[str]) -> Blob:
        if len(names) == 1:
            return await self.duplicate(bucket, label, names[0])
        sources = [self.path(name) for name in names]

        def work(draft: files.Draft) -> Blob:
            for source in sources:
                draft.append(source)
            return draft.finish()

        return await self._make(bucket, label, work)

    async def duplicate(self, bucket: str, label: str, name: str) -> Blob:
        source = self.path(name)

        def work(draft: files.Draft) -> Blob:
            draft.adopt(source)
            return draft.finish()

        return await self._make(bucket, label, work)

    def read(self, name: str, offset: int, length: int, sealed: Sealed | None = None) -> AsyncIterator[bytes]:
        if sealed is None:
            return self._read(name, offset, length)
        return unseal(partial(self._read, name), sealed, offset, length)

    async def _read(self, name: str, offset: int, length: int) -> AsyncIterator[bytes]:
        file = await self._run(self.path(name).open, "rb", 0)
        try:
            end = offset + length
            while offset < end:
                chunk = await self._run(os.pread, file.fileno(), min(_READ, end - offset), offset)
                if not chunk:
                    raise OSError(f"{name} is shorter than its index says")
                offset += len(chunk)
                yield chunk
        finally:
            file.close()

    def path(self, name: str) -> Path:
        return self._root / files.checked(name)

    def is_whole(self, name: str, size: int) -> bool:
        try:
            return self.path(name).stat().st_size >= size
        except FileNotFoundError:
            return False

    async def sync(self) -> None:
        await self._run(files.sync_all, self._root)

    async def restore(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        def work() -> None:
            for name, data in blobs:
                with self._restoring:  # many readers may miss the same file at once, and its draft has but one name
                    files.restore(self.path(name), files.incoming_of(self._incoming, name), data)

        await self._run(work)

    async def keep(self, name: str) -> None:
        await self._run(files.remove, [files.incoming_of(self._incoming, name)])

    async def discard(self, names: Sequence[str]) -> None:
        await self._run(files.discard, self._root, self._incoming, names)

    async def forget(self, bucket: str) -> None:
        await self._run(_remove_empty, self._root / bucket)

    async def unsettled(self) -> list[str]:
        listed = await self._run(os.listdir, self._incoming)
        return [files.name_of(each) for each in listed]

    async def _make(self, bucket: str, label: str, work: Callable[[files.Draft], Blob]) -> Blob:
        """Runs ``work`` over a new draft in a thread; a cancelled caller leaves nothing behind."""
        draft = files.Draft(self._root, self._incoming, files.new_name(bucket, label), ())
        try:
            return await self._run(work, draft)
        except BaseException:
            await self._abandon(draft)
            raise

    async def _abandon(self, draft: files.Draft) -> None:
        # The draft's lock puts this behind whatever a thread still does to it, and a cancelled caller does not stop it.
        await asyncio.shield(self._run(draft.abandon))

    def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))


def _remove_empty(folder: Path) -> None:
    """Removes a bucket's folder if no blob is left in it."""
    if not folder.is_dir():
        return
    for shard in [*folder.iterdir(), folder]:
        try:
            shard.rmdir()
        except OSError:
            continue  # not empty: the bucket's name is in use again
