"""Blobs that no row names leave the disk: after a crash at once, otherwise when readers have had time to open them."""

from __future__ import annotations

import logging

from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.services.s3.access import GARBAGE, UNSYNCED
from wildsage.store.buckets import Buckets
from wildsage.store.objecttables import Garbage, NoBucket
from wildsage.store.unsynced import Unsynced

log = logging.getLogger(__name__)

GRACE_SECONDS = 30.0
"""A reader was told a file's name and may not have opened it yet."""
_BATCH = 500
_FLUSH_SECONDS = 1.0


async def recover(platform: Platform) -> None:
    """At the start, before anyone is served: settles what a crash interrupted. Costs what was under way then."""
    unsettled = await platform.objects.unsettled()
    named = await Garbage(platform.database).referenced(unsettled) if unsettled else set()
    for name in unsettled:
        if name in named:
            await platform.objects.keep(name)
    await platform.objects.discard([name for name in unsettled if name not in named])
    await _restore(platform)
    await collect(platform, platform.clock.now())


async def _restore(platform: Platform) -> None:
    """Small objects whose files a power failure may have taken get them back from the database."""
    unsynced, garbage = Unsynced(platform.database), Garbage(platform.database)
    newest = await unsynced.newest()
    async for page in unsynced.pages(newest):
        named = await garbage.referenced([name for name, _ in page])
        await platform.objects.restore([(name, data) for name, data in page if name in named])
    if any(newest):
        await platform.objects.sync()
        await unsynced.forget(newest)


async def mend(platform: Platform, blob: str, size: int) -> None:
    """Gives a small object its file back, should it be missing. Raises ApiError if its bytes are not to be had.

    Nobody is served before ``recover`` did that for all; this is for what happens to the files afterwards.
    """
    if platform.objects.is_whole(blob, size):
        return
    data = await Unsynced(platform.database).find(blob)
    if data is None:
        log.error("the file of an object is gone or too short: %s", platform.objects.path(blob))
        raise ApiError("InternalError", "The file of this object is missing in the data directory, or too short.", 500)
    await platform.objects.restore([(blob, data)])


class Flushing:
    """Brings files to the disk whose bytes the database has, and has it forget them.

    Only the files that this process wrote: the objects process writes its own, after their rows.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._unsynced = Unsynced(platform.database)
        self._names: set[str] = set()
        platform.hints.listen(UNSYNCED, self._names.add)

    async def run(self) -> None:
        """Until cancelled."""
        platform = self._platform
        while True:
            if not self._names:
                await platform.hints.wait(UNSYNCED, GRACE_SECONDS)
                await platform.clock.sleep(_FLUSH_SECONDS)
                continue
            written = frozenset(self._names)
            try:
                await platform.objects.sync()
                await self._unsynced.forget_all(written)
                self._names -= written
            except OSError:
                log.exception("files of small objects are not on the disk yet; their bytes are kept")
                await platform.clock.sleep(GRACE_SECONDS)


async def run(platform: Platform) -> None:
    """Until cancelled."""
    garbage = Garbage(platform.database)
    while True:
        oldest = await garbage.next()
        if oldest is None:
            await platform.hints.wait(GARBAGE, GRACE_SECONDS)
            continue
        await platform.clock.sleep(max(oldest + GRACE_SECONDS - platform.clock.now(), 0.0))
        try:
            await collect(platform, platform.clock.now() - GRACE_SECONDS)
        except OSError:
            log.exception("removing deleted objects failed; again in %s s", GRACE_SECONDS)
            await platform.clock.sleep(GRACE_SECONDS)


async def collect(platform: Platform, before: float) -> None:
    """Takes off the disk what became garbage at or before ``before`` (epoch seconds)."""
    garbage = Garbage(platform.database)
    while names := await garbage.since(before, _BATCH):
        await platform.objects.discard([name for name in names if not name.endswith("/")])
        for name in names:
            if name.endswith("/"):
                await _forget(platform, name.rstrip("/"))
        await garbage.forget(names)


async def _forget(platform: Platform, bucket: str) -> None:
    """Removes a deleted bucket's folder, unless the name is in use again."""
    try:
        await Buckets(platform.database).get(bucket)
    except NoBucket:
        await platform.objects.forget(bucket)
