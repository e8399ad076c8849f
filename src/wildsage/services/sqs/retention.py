"""What nobody received in time leaves queues that nobody asks, too."""

from __future__ import annotations

import logging

from wildsage.kit.context import Platform
from wildsage.services.sqs import queues
from wildsage.store.messages import Messages

log = logging.getLogger(__name__)

_PERIOD = 600.0


async def run(platform: Platform) -> None:
    """Until cancelled."""
    store = Messages(platform.database)
    while True:
        await platform.clock.sleep(_PERIOD)
        try:
            for queue in await platform.resources.all_of(queues.KIND):
                await store.expire(queue.uid, queues.oldest(queue, platform.clock.now()))
        except OSError:
            log.exception("messages whose time is over could not be removed; again in %s s", _PERIOD)
