"""Evaluates alarms: at every full minute, or ten seconds where a period is shorter, and soon after new data came.

Without alarms it sleeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.kit.metrics import PUBLISHED
from wildsage.services.cloudwatch import periods, queries, statistics
from wildsage.services.cloudwatch.alarms import composite, reasons
from wildsage.services.cloudwatch.alarms.changes import Change, enter
from wildsage.services.cloudwatch.alarms.decision import ALARM, BEYOND, OK, Rule, decide, few
from wildsage.services.cloudwatch.alarms.kind import ALARM_KIND, CHANGED, is_composite, rule_of
from wildsage.services.cloudwatch.alarms.rules import period_of
from wildsage.services.cloudwatch.expressions.values import Series, Span
from wildsage.services.cloudwatch.names import dimensions_of
from wildsage.store.metrics import Metric, Metrics
from wildsage.store.resources import Resource

log = logging.getLogger(__name__)

_SHORT, _LONG = 10, 60
_SETTLE_SECONDS = 1.0

Values = Mapping[int, float | None]


class Watch:
    """The evaluation of all alarms of one control process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._metrics = Metrics(platform.database)
        self._stirred: set[str] = set()
        self._seen: dict[str, tuple[int, float]] = {}
        platform.hints.listen(PUBLISHED, self._stirred.add)

    async def run(self) -> None:
        """Until cancelled."""
        clock = self._platform.clock
        while True:
            changed = asyncio.ensure_future(self._platform.hints.wait(CHANGED))
            stirred = asyncio.ensure_future(self._platform.hints.wait(PUBLISHED))
            wakes: set[asyncio.Future[Any]] = {changed, stirred}
            try:
                alarms = await self.round()
                if not alarms:
                    wakes = {changed}
                    await changed
                    continue
                step = min(map(_step, alarms))
                alarm_clock = asyncio.ensure_future(clock.sleep(step - clock.now() % step))
                wakes.add(alarm_clock)
                await asyncio.wait(wakes, return_when=asyncio.FIRST_COMPLETED)
                if not alarm_clock.done():
                    await clock.sleep(_SETTLE_SECONDS)  # what follows closely is taken in one go
            except OSError as error:
                log.warning("alarms could not be evaluated: %s", error)
                await clock.sleep(_LONG)
            finally:
                for each in (*wakes, changed, stirred):
                    each.cancel()

    async def round(self) -> Sequence[Resource]:
        """Evaluates what was not yet in this step of time, was changed, or watches what was published; all alarms."""
        alarms = await self._platform.resources.all_of(ALARM_KIND)
        stirred, now = set(self._stirred), self._platform.clock.now()
        self._stirred.clear()
        due = [each for each in alarms if not is_composite(each) and self._is_due(each, stirred, now)]
        if any(self._seen.get(each.uid) != _look(each, now) for each in due):
            await self._platform.meters.fresh()
        for alarm in due:
            await self._evaluate(alarm, now)
            self._seen[alarm.uid] = _look(alarm, now)
        self._seen = {each.uid: self._seen[each.uid] for each in alarms if each.uid in self._seen}
        if any(map(is_composite, alarms)):
            await self._combine()
        return alarms

    def _is_due(self, alarm: Resource, stirred: set[str], now: float) -> bool:
        if int(alarm.state.get("by_hand", 0) // _step(alarm)) == int(now // _step(alarm)):
            return False
        return self._seen.get(alarm.uid) != _look(alarm, now) or bool(stirred & _namespaces(alarm))

    async def _evaluate(self, alarm: Resource, now: float) -> None:
        rule = rule_of(alarm)
        try:
            values = await self.values(alarm, rule, now)
        except ApiError as error:
            log.warning("alarm %s cannot be evaluated: %s", alarm.key.name, error)
            return
        except Exception:  # a bug that one alarm brings to light must not end all others, and control with them
            log.exception("alarm %s cannot be evaluated", alarm.key.name)
            return
        if values is None:
            return
        state = decide(list(values.values()), rule)
        if state is not None and state != alarm.phase:
            change = Change(state, reasons.reason(values, rule, state), reasons.data(alarm.spec, values, rule, now))
            await enter(self._platform, alarm.key, change, alarm)

    async def values(self, alarm: Resource, rule: Rule, now: float) -> Values | None:
        """Beginning of each period → its value; None where a percentile of few samples is to be ignored."""
        account, region, spec = alarm.key.account, alarm.key.region, alarm.spec
        asked = queries.read(account, region, spec["Metrics"]) if spec.get("Metrics") else []
        period = period_of(asked) if asked else spec["Period"]
        by_clock = "WallClockWindow" in (spec.get("EvaluationWindow") or {})
        step = period if by_clock else _LONG if period >= _LONG else _SHORT
        end = int(now // step * step)
        span = Span(end - (rule.periods + BEYOND) * period, end, origin=end)
        if asked:
            found = await queries.ask(self._metrics, asked, span)
            series = found[next(query.id for query in asked if query.returned)]
            known = series.values if isinstance(series, Series) else {}
            return {at: known.get(at) for at in span.moments(period)}
        return await self._of_metric(alarm, span, period)

    async def _of_metric(self, alarm: Resource, span: Span, period: int) -> Values | None:
        spec, key = alarm.spec, alarm.key
        name = spec.get("Statistic") or spec["ExtendedStatistic"]
        told = statistics.parse(name)
        dimensions = dimensions_of(spec.get("Dimensions"))
        metric = Metric(key.account, key.region, spec["Namespace"], spec["MetricName"], dimensions)
        points = await self._metrics.read(metric, span.start, span.end, spec.get("Unit"))
        summaries = periods.whole(points, span.start, period)
        percent = statistics.percent_of(name)
        if percent is not None and spec.get("EvaluateLowSampleCountPercentile") == "ignore":
            latest = list(summaries.values())[-spec["EvaluationPeriods"] :]
            if any(few(percent, summary.count) for summary in latest):
                return None
        return {at: told(summaries[at]) if at in summaries else None for at in span.moments(period)}

    async def _combine(self) -> None:
        """Composite alarms, those below first: again until none changes."""
        alarms = await self._platform.resources.all_of(ALARM_KIND)
        for _ in alarms:
            changed = False
            for alarm in filter(is_composite, alarms):
                states = {each.key.name: each.phase for each in _beside(alarm, alarms)}
                state = ALARM if composite.holds(composite.parse(alarm.spec["AlarmRule"]), states) else OK
                if state != alarm.phase:
                    words = (
                        f"Alarm Rule evaluated to {'TRUE' if state == ALARM else 'FALSE'}: {alarm.spec['AlarmRule']}"
                    )
                    changed = await enter(self._platform, alarm.key, Change(state, words), alarm) or changed
            if not changed:
                return
            alarms = await self._platform.resources.all_of(ALARM_KIND)


def _beside(alarm: Resource, alarms: Iterable[Resource]) -> list[Resource]:
    """The alarms of the same region."""
    key = alarm.key
    return [each for each in alarms if (each.key.account, each.key.region) == (key.account, key.region)]


def _look(alarm: Resource, now: float) -> tuple[int, float]:
    """What an evaluation is good for: this step of time, and this configuration."""
    return int(now // _step(alarm)), alarm.status["AlarmConfigurationUpdatedTimestamp"]


def _step(alarm: Resource) -> int:
    """How often it is evaluated, in seconds."""
    spec = alarm.spec
    every = (
        [spec["Period"]]
        if spec.get("Period")
        else [each["MetricStat"]["Period"] for each in spec.get("Metrics") or () if each.get("MetricStat")]
    )
    return _SHORT if any(period < _LONG for period in every) else _LONG


def _namespaces(alarm: Resource) -> set[str]:
    spec = alarm.spec
    if spec.get("Namespace"):
        return {spec["Namespace"]}
    return {each["MetricStat"]["Metric"]["Namespace"] for each in spec.get("Metrics") or () if each.get("MetricStat")}
