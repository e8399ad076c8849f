"""Old metrics move into longer steps, and old history of alarms goes: soon after the start, then once an hour."""

from __future__ import annotations

import logging

from wildsage.kit.context import Platform
from wildsage.services.cloudwatch.alarms.changes import history_topic
from wildsage.services.cloudwatch.alarms.kind import ALARM_KIND
from wildsage.store.metrics import Metrics

log = logging.getLogger(__name__)

_FIRST_SECONDS = 60.0
"""Many a server does not live for an hour."""
_SECONDS = 3600.0
_HISTORY_SECONDS = 30 * 86400


async def run(platform: Platform) -> None:
    """Until cancelled."""
    wait = _FIRST_SECONDS
    while True:
        await platform.clock.sleep(wait)
        wait = _SECONDS
        try:
            await Metrics(platform.database).compact(platform.clock.now())
            await _forget_history(platform)
        except OSError as error:
            log.warning("old metrics could not be compacted: %s", error)


async def _forget_history(platform: Platform) -> None:
    """Of alarms, older than 30 days (API reference, DescribeAlarmHistory)."""
    alarms = await platform.resources.all_of(ALARM_KIND)
    before = round((platform.clock.now() - _HISTORY_SECONDS) * 1000)
    for account, region in {(each.key.account, each.key.region) for each in alarms}:
        await platform.facts.forget(history_topic(account, region), before=before)
