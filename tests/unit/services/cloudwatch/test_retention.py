"""What has grown old goes, on a clock of its own."""

from __future__ import annotations

import asyncio

from tests.unit.services.conftest import REGION, Api

from wildsage.core.clock import ManualClock
from wildsage.kit.context import Platform
from wildsage.services.cloudwatch import retention
from wildsage.services.cloudwatch.alarms.changes import history_topic
from wildsage.store.facts import Window
from wildsage.store.metrics import Metric, Metrics


async def until_slept(clock: ManualClock) -> None:
    """The work of an hour is over when it waits for the next."""
    async with asyncio.timeout(60):
        while not clock._sleepers:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.001)


async def test_a_server_that_lives_for_minutes_forgets_too(api: Api, platform: Platform, clock: ManualClock) -> None:
    data = [{"MetricName": "Heat", "Value": 1.0}]
    alarm = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "LessThanThreshold", "Statistic": "Sum"}
    await api.cloudwatch("PutMetricData", Namespace="Tests", MetricData=data)
    await api.cloudwatch("PutMetricAlarm", AlarmName="a", Namespace="Tests", MetricName="Heat", Period=60, **alarm)
    account = platform.credentials.account
    begun = clock.now()
    await clock.advance(16 * 86400)
    running = asyncio.create_task(retention.run(platform))
    for waits, history, step in (((60,), 1, 300), ((15 * 86400, 3600), 0, 300), ((40 * 86400, 3600), 0, 3600)):
        for wait in waits:
            await until_slept(clock)
            await clock.advance(wait)
        await until_slept(clock)
        assert len(await platform.facts.read(Window(history_topic(account, REGION)))) == history
        (point,) = await Metrics(platform.database).read(
            Metric(account, REGION, "Tests", "Heat"), begun - 3600, begun + 3600
        )
        assert point.step == step
    running.cancel()
