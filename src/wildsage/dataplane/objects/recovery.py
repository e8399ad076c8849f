"""What a crash of the objects process left: files that nobody names, and small objects that have no file yet."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from typing import Final

from wildsage.objects.local import LocalObjects
from wildsage.store.directwrites import DirectWrites

log = logging.getLogger(__name__)

INCOMING: Final = ".incoming-objects"
_PACKS: Final = 4  # each has at most 8 MiB


async def recover(writes: DirectWrites, objects: LocalObjects) -> list[int]:
    """Keeps what the index names, takes the rest away. Without an index nothing is touched: then at the next start.

    The packs whose blobs all have files now; none if there may be small objects without: until the next start the
    database must keep what it has of their bytes.
    """
    try:
        await _settle(writes, objects)
        return await _restore(writes, objects)
    except sqlite3.Error as error:
        log.warning("the index cannot be read, so what an unfinished write left stays for now: %s", error)
    except OSError as error:
        log.warning("files of small objects cannot be written; the database keeps their bytes: %s", error)
    return []


async def _settle(writes: DirectWrites, objects: LocalObjects) -> None:
    long = await objects.unsettled()
    if not long:
        return
    named = await asyncio.to_thread(_referenced, writes, long)
    for name in long:
        if name in named:
            await objects.keep(name)
    await objects.discard([name for name in long if name not in named])


async def _restore(writes: DirectWrites, objects: LocalObjects) -> list[int]:
    numbers = [0]
    while page := await asyncio.to_thread(_packs, writes, numbers[-1]):
        lost = [(name, data) for _, blobs in page for name, data in blobs if not objects.is_whole(name, len(data))]
        if lost:
            named = await asyncio.to_thread(_referenced, writes, [name for name, _ in lost])
            await objects.restore([(name, data) for name, data in lost if name in named])
        numbers += [number for number, _ in page]
    return numbers[1:]


def _packs(writes: DirectWrites, after: int) -> list[tuple[int, list[tuple[str, bytes]]]]:
    with writes.turn:
        writes.begin()
        try:
            return writes.packs(after, _PACKS)
        finally:
            writes.undo()


def _referenced(writes: DirectWrites, names: Sequence[str]) -> set[str]:
    with writes.turn:
        writes.begin()
        try:
            return {name for name in names if writes.is_referenced(name)}
        finally:
            writes.undo()
