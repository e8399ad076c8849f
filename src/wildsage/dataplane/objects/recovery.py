"""What a crash of the objects process left on disk: files of writes that were under way."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wildsage.objects import files
from wildsage.objects.local import LocalObjects
from wildsage.store.directwrites import DirectWrites

log = logging.getLogger(__name__)

INCOMING: Final = ".incoming-objects"


async def recover(writes: DirectWrites, objects: LocalObjects, journal: Path) -> None:
    """Keeps what the index names, takes the rest away. Without an index nothing is touched: then at the next start."""
    long = await objects.unsettled()
    small = await asyncio.to_thread(_noted, journal)
    if not long and not small:
        return
    try:
        named = await asyncio.to_thread(_referenced, writes, [*long, *small])
    except sqlite3.Error as error:
        log.warning("the index cannot be read, so files of unfinished writes stay for now: %s", error)
        return
    for name in long:
        if name in named:
            await objects.keep(name)
    await objects.discard([name for name in (*long, *small) if name not in named])


def _noted(journal: Path) -> list[str]:
    """The names in the journal; what a power failure made of it may be anything."""
    try:
        return [name for name in journal.read_text(errors="replace").split() if files.is_name(name)]
    except FileNotFoundError:
        return []


def _referenced(writes: DirectWrites, names: Sequence[str]) -> set[str]:
    with writes.turn:
        writes.begin()
        try:
            return {name for name in names if writes.is_referenced(name)}
        finally:
            writes.undo()
