"""Lifecycle rules at work: everything whose time is over goes, as if its owner had deleted it.

Soon after the start, then once an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from wildsage.core.errors import ApiError
from wildsage.core.ids import request_id
from wildsage.kit.context import Platform
from wildsage.services.s3 import lifecycle, locking, names
from wildsage.services.s3.access import GARBAGE
from wildsage.services.s3.lifecycle import Rule
from wildsage.services.s3.notifications import events
from wildsage.services.s3.notifications.events import TellRemoved
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.objectindex import ObjectIndex, ObjectVersion, Removal
from wildsage.store.objectlisting import Listing
from wildsage.store.objecttables import NoBucket
from wildsage.store.objectwalk import Walk
from wildsage.store.uploads import NoUpload, Upload, Uploads

log = logging.getLogger(__name__)

_FIRST = 60.0  # a server that never runs for an hour expires objects, too
_PERIOD = 3600.0
_BATCH = 500
_PAGE = 100  # versions that are read, and looked at, before others have their turn: a bucket may have a million


async def run(platform: Platform) -> None:
    """Until cancelled."""
    wait = _FIRST
    while True:
        await platform.clock.sleep(wait)
        wait = _PERIOD
        try:
            await expire(platform)
        except OSError:
            log.exception("a lifecycle run failed; again in %s s", _PERIOD)


async def expire(platform: Platform) -> int:
    """One run over every bucket that has rules; how many objects, versions and uploads went."""
    gone = 0
    for account in platform.credentials.roots:
        after = ""
        while found := await Buckets(platform.database).page(account, "", "", after, _BATCH):
            after = found[-1].name
            for bucket in found:
                with contextlib.suppress(NoBucket):  # deleted meanwhile
                    for rule in lifecycle.rules_of(bucket):
                        gone += await _apply(platform, bucket, rule)
    if gone:
        platform.hints.notify(GARBAGE)
        events.hint(platform)
    return gone


async def _apply(platform: Platform, bucket: Bucket, rule: Rule) -> int:
    removals: list[Removal] = []
    gone = 0
    async for key in _keys(platform, bucket, rule.prefix):
        removals += _due(platform, bucket, rule, key)
        if len(removals) >= _BATCH:
            gone += await _remove(platform, bucket, removals)
            removals = []
    gone += await _remove(platform, bucket, removals)
    return gone + await _abort(platform, bucket, rule)


async def _keys(platform: Platform, bucket: Bucket, prefix: str) -> AsyncIterator[list[ObjectVersion]]:
    """The versions of each key, newest first."""
    listing = Listing(platform.database)
    versions: list[ObjectVersion] = []
    after, mark = "", None
    while True:
        page = await listing.versions(Walk(bucket.name, prefix, "", after, mark, limit=_PAGE))
        for entry in page.entries:
            if entry.item is None:
                continue
            if versions and versions[0].key != entry.item.key:
                yield versions
                versions = []
            versions.append(entry.item)
        if not page.truncated:
            break
        after, mark = versions[-1].key, versions[-1].rank
    if versions:
        yield versions


def _due(platform: Platform, bucket: Bucket, rule: Rule, versions: list[ObjectVersion]) -> list[Removal]:
    """What of one key goes now."""
    now, current = platform.clock.now(), versions[0]
    due: list[Removal] = []
    expiration = rule.raw.get("Expiration") or {}
    if current.marker:
        if expiration.get("ExpiredObjectDeleteMarker") and len(versions) == 1 and current.key.startswith(rule.prefix):
            due.append(Removal(current.key, current.version, "", tell=_told(now)))
    elif rule.covers(current):
        when = rule.expires(current)
        if when is not None and when <= now:
            due.append(Removal(current.key, None, names.new_version(), _unchanged(current), _told(now)))
    noncurrent = rule.raw.get("NoncurrentVersionExpiration") or {}
    days, kept = noncurrent.get("NoncurrentDays"), noncurrent.get("NewerNoncurrentVersions") or 0
    if days is None or not bucket.versioning:
        return due
    for newer, item in list(itertools.pairwise(versions))[kept:]:
        # A version became noncurrent when the next one was written.
        over = lifecycle.midnight_after(newer.modified, days) <= now
        if over and (item.marker or rule.covers(item)) and not _locked(item, now):
            due.append(Removal(item.key, item.version, "", tell=_told(now)))
    return due


def _told(now: float) -> TellRemoved:
    """What others hear of one that went."""
    cause = events.Cause(now, "s3.amazonaws.com", "s3.amazonaws.com", request_id())
    return events.removed(cause, "LifecycleExpiration")


def _locked(item: ObjectVersion, now: float) -> bool:
    try:
        locking.check_delete(item.document, now, bypass=False)
    except ApiError:
        return True
    return False


def _unchanged(seen: ObjectVersion) -> Callable[[ObjectVersion | None], None]:
    """A removal's check: the object is still the one that was looked at."""

    def check(current: ObjectVersion | None) -> None:
        if current is None or current.rank != seen.rank:
            raise ApiError("PreconditionFailed", "the object is another by now", 412)

    return check


async def _remove(platform: Platform, bucket: Bucket, removals: list[Removal]) -> int:
    if not removals:
        return 0
    outcomes = await ObjectIndex(platform.database).remove(bucket.name, removals, platform.clock.now())
    return sum(not isinstance(each, ApiError) for each in outcomes)


async def _abort(platform: Platform, bucket: Bucket, rule: Rule) -> int:
    """Uploads that nobody finished in time."""
    days = (rule.raw.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation")
    if days is None:
        return 0
    gone, now = 0, platform.clock.now()
    listing, walk = Listing(platform.database), Walk(bucket.name, rule.prefix)
    while True:
        page = await listing.uploads(walk)
        found = [entry.item for entry in page.entries if entry.item is not None]
        due = [each for each in found if lifecycle.midnight_after(each.initiated, days) <= now]
        gone += sum(await asyncio.gather(*(_end(platform, upload, now) for upload in due)))
        if not page.truncated:
            return gone
        walk = replace(walk, after=found[-1].key, mark=found[-1].id)


async def _end(platform: Platform, upload: Upload, now: float) -> bool:
    """Aborts the upload; False if it was finished meanwhile."""
    try:
        await Uploads(platform.database).abort(upload.bucket, upload.key, upload.id, now)
    except NoUpload:
        return False
    return True
