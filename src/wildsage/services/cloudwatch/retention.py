"""Old metrics move into longer steps, and old history of alarms goes, once an hour."""

from __future__ import annotations

import logging

from wildsage.kit.context import Platform
from wildsage.services.cloudwatch.alarms.changes import history_topic
from wildsage.services.cloudwatch.alarms.kind import ALARM_KIND
from wildsage.store.metrics import Metrics

log = logging.getLogger(__name__)

_SECONDS = 3600.0
_HISTORY_SECONDS = 30 * 86400


async def run(platform: Platform) -> None:
    """Until cancelled."""
    while True:
        await platform.clock.sleep(_SECONDS)
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
