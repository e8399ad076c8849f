"""Once an hour: images that a lifecycle policy expires go, and layers that no image names any more leave the disk."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from wildsage.kit.context import Platform
from wildsage.services.ecr import lifecycle, names
from wildsage.store.imageindex import Images, InUse
from wildsage.store.layers import Layers
from wildsage.store.resources import Missing, Resource

log = logging.getLogger(__name__)

PUT: Final = "ecr lifecycle"
"""The hint that a policy was put."""
RULES, EVALUATED = "lifecycle", "lifecycleEvaluated"
_PERIOD: Final = 3600.0
_FIRST: Final = 60.0  # a server that never runs for an hour expires images, too
# A layer is uploaded long before the manifest that names it; whoever was told that it is there need not upload it.
_UNUSED_SECONDS: Final = 24 * 3600.0
_IDLE_SECONDS: Final = 24 * 3600.0


async def run(platform: Platform) -> None:
    """Until cancelled."""
    put = asyncio.ensure_future(platform.hints.wait(PUT, _FIRST))
    try:
        while True:
            await put
            put = asyncio.ensure_future(platform.hints.wait(PUT, _PERIOD))  # one that comes amid a run is not missed
            try:
                await expire(platform)
                await collect(platform)
            except OSError:
                log.exception("expiring images failed; again in %s s", _PERIOD)
    finally:
        put.cancel()


async def expire(platform: Platform) -> int:
    """One run over every repository that has a policy; how many images went."""
    gone = 0
    for repository in await platform.resources.all_of(names.KIND):
        if RULES in repository.state:
            gone += await _apply(platform, repository)
    return gone


async def collect(platform: Platform) -> int:
    """Layers that no manifest names and nobody asked for since a day, and uploads that nobody goes on with."""
    now = platform.clock.now()
    return await Layers(platform.database).collect(now - _UNUSED_SECONDS, now - _IDLE_SECONDS, now)


async def _apply(platform: Platform, repository: Resource) -> int:
    images, now = Images(platform.database), platform.clock.now()
    rules = lifecycle.parse(repository.state[RULES])
    waiting = [each.image.digest for each in lifecycle.expiring(rules, await images.all_of(repository.uid), now)]
    gone = 0
    while waiting:
        held: list[str] = []
        for digest in waiting:
            try:
                gone += await images.delete(repository.uid, digest) is not None
            except InUse:  # until the list that names it has gone
                held.append(digest)
        if len(held) == len(waiting):
            break
        waiting = held

    def note(found: Resource) -> None:
        found.state[EVALUATED] = now

    with suppress(Missing):  # deleted meanwhile
        await platform.resources.edit(repository.key, note)
    return gone
