"""Old metrics move into longer steps, once an hour."""

from __future__ import annotations

import logging

from wildsage.kit.context import Platform
from wildsage.store.metrics import Metrics

log = logging.getLogger(__name__)

_SECONDS = 3600.0


async def run(platform: Platform) -> None:
    """Until cancelled."""
    while True:
        await platform.clock.sleep(_SECONDS)
        try:
            await Metrics(platform.database).compact(platform.clock.now())
        except OSError as error:
            log.warning("old metrics could not be compacted: %s", error)
