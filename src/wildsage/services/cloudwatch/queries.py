"""MetricDataQueries, as GetMetricData and alarms ask them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wildsage.services.cloudwatch import names, periods, statistics
from wildsage.services.cloudwatch.expressions.evaluate import Surroundings, evaluate
from wildsage.services.cloudwatch.expressions.parse import Node, ids_in, parse
from wildsage.services.cloudwatch.expressions.values import Series, Span, Value
from wildsage.store.metrics import Metric, Metrics

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_MOST = 500


@dataclass(frozen=True, slots=True)
class Stat:
    """A metric, summed up in periods. ``unit``: only what was measured in it."""

    metric: Metric
    period: int
    statistic: str
    unit: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """``what``: a metric, or an expression about others."""

    id: str
    what: Stat | Node
    label: str
    returned: bool


def read(account: str, region: str, given: Sequence[Mapping[str, Any]]) -> list[Query]:
    """Checked, each after those it is about. Raises ValidationError and InvalidParameterValue."""
    if len(given) > _MOST:
        raise names.refused(f"The collection MetricDataQueries must not have a size greater than {_MOST}.")
    found: dict[str, Query] = {}
    for each in given:
        name = each["Id"]
        if not _ID.fullmatch(name):
            raise names.refused(
                f"The value {name} for parameter Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
            )
        if name in found:
            raise names.refused(f"The values for parameter Id in MetricDataQueries are not unique: {name}.")
        found[name] = _query(account, region, each)
    return _in_order(found)


def _query(account: str, region: str, given: Mapping[str, Any]) -> Query:
    name, stat, expression = given["Id"], given.get("MetricStat"), given.get("Expression")
    if (stat is None) == (expression is None):
        raise names.refused(f"Either MetricStat or Expression must be specified for the query {name}, and not both.")
    if given.get("AccountId") not in (None, account):
        raise names.refused("Wildsage has no metrics of other accounts: AccountId must be left out.")
    returned = given.get("ReturnData") is not False
    if stat is None:
        return Query(name, parse(str(expression)), given.get("Label") or name, returned)
    metric = stat["Metric"]
    for member in ("Namespace", "MetricName"):
        if not metric.get(member):
            raise names.missing(f"The parameter MetricDataQueries.{name}.MetricStat.Metric.{member} is required.")
    names.check_period(stat["Period"])
    statistics.parse(stat["Stat"])
    dimensions = names.dimensions_of(metric.get("Dimensions"))
    what = Metric(account, region, metric["Namespace"], metric["MetricName"], dimensions)
    label = given.get("Label") or metric["MetricName"]
    return Query(name, Stat(what, stat["Period"], stat["Stat"], stat.get("Unit")), label, returned)


def _in_order(found: Mapping[str, Query]) -> list[Query]:
    ordered: dict[str, Query] = {name: query for name, query in found.items() if isinstance(query.what, Stat)}
    waiting = {name: query for name, query in found.items() if name not in ordered}
    while waiting:
        ready = [query for query in waiting.values() if not isinstance(query.what, Stat) and not _needs(query, waiting)]
        if not ready:
            raise names.refused(f"Error in expression: {', '.join(waiting)} refer to one another.")
        for query in ready:
            ordered[query.id] = waiting.pop(query.id)
    return list(ordered.values())


def _needs(query: Query, waiting: Mapping[str, Query]) -> set[str]:
    return set() if isinstance(query.what, Stat) else ids_in(query.what) & set(waiting)


async def series_of(metrics: Metrics, stat: Stat, span: Span, label: str = "") -> Series:
    """What the store has of a metric, in whole periods that begin in the span."""
    start = span.moments(stat.period).start
    told = statistics.parse(stat.statistic)
    points = await metrics.read(stat.metric, start, span.end, stat.unit)
    found = {at: told(summary) for at, summary in periods.whole(points, start, stat.period).items()}
    return Series({at: value for at, value in found.items() if value is not None}, stat.period, label)


async def ask(metrics: Metrics, queries: Sequence[Query], span: Span) -> Mapping[str, Value]:
    """Id → its value. Raises ValidationError for an expression that has none."""
    values: dict[str, Value] = {}
    plain = tuple(query.id for query in queries if isinstance(query.what, Stat))
    for query in queries:
        if isinstance(query.what, Stat):
            values[query.id] = await series_of(metrics, query.what, span, query.label)
        else:
            values[query.id] = evaluate(query.what, Surroundings(values, plain, span))
    return values
