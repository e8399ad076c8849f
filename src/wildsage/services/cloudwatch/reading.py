"""GetMetricStatistics, GetMetricData and ListMetrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wildsage.core import paging
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.cloudwatch import names, periods, queries, statistics
from wildsage.services.cloudwatch.expressions.values import Series, Span, Value
from wildsage.store.codec import Document
from wildsage.store.metrics import Metric, Metrics
from wildsage.store.summaries import Summary

_MOST_STATISTICS = 1440
_MOST_POINTS = 100_800
_LISTED_SECONDS = 14 * 86400.0
_ACTIVE_SECONDS = 3 * 3600.0


@operation("GetMetricStatistics")
async def get_metric_statistics(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html"""
    simple, extended = request.get("Statistics") or (), request.get("ExtendedStatistics") or ()
    if bool(simple) == bool(extended):
        problem = names.combination if simple else names.missing
        raise problem("Exactly one of the parameters Statistics and ExtendedStatistics must be specified.")
    period = request["Period"]
    names.check_period(period)
    start, end = _span(request)
    begin = periods.rounded_start(start, ctx.now, period)
    count = -(-(end - begin) // period)
    if count > _MOST_STATISTICS:
        raise names.combination(
            f"You have requested up to {count:,.0f} datapoints, which exceeds the limit of {_MOST_STATISTICS:,}. You "
            "may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
    wanted = {name: statistics.parse(name) for name in (*simple, *extended)}
    await ctx.platform.meters.fresh()
    points = await Metrics(ctx.platform.database).read(names.metric_of(ctx, request), begin, end, request.get("Unit"))
    found = []
    for (at, unit), summary in periods.grouped(points, begin, period).items():
        datapoint = _datapoint(summary, wanted, bool(extended))
        if datapoint:
            found.append({"Timestamp": at, "Unit": unit, **datapoint})
    return {"Label": request["MetricName"], "Datapoints": found}


def _datapoint(summary: Summary, wanted: Mapping[str, statistics.Statistic], extended: bool) -> Document:
    values = {name: value for name, told in wanted.items() if (value := told(summary)) is not None}
    return {"ExtendedStatistics": values} if extended and values else values


def _span(request: Document) -> tuple[float, float]:
    start, end = float(request["StartTime"]), float(request["EndTime"])
    if start >= end:
        raise names.invalid("The parameter StartTime must be less than the parameter EndTime.")
    return start, end


@operation("GetMetricData")
async def get_metric_data(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
    start, end = _span(request)
    limit = request.get("MaxDatapoints") or _MOST_POINTS
    if not 0 < limit <= _MOST_POINTS:
        raise names.refused(f"The parameter MaxDatapoints must be from 1 to {_MOST_POINTS}.")
    asked = queries.read(ctx.account, ctx.region, request["MetricDataQueries"])
    try:
        skipped = paging.offset(request.get("NextToken"))
    except ValueError:
        raise names.bad_token() from None
    await ctx.platform.meters.fresh()
    found = await queries.ask(Metrics(ctx.platform.database), asked, Span(int(start), -int(-end // 1)))
    order = {each["Id"]: place for place, each in enumerate(request["MetricDataQueries"])}
    results = [
        (query.id, label, series)
        for query in sorted(asked, key=lambda each: order[each.id])
        if query.returned
        for label, series in _returned(query, found[query.id])
    ]
    newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    return _page(results, newest_first, skipped, limit)


def _returned(query: queries.Query, value: Value) -> list[tuple[str, Series]]:
    if isinstance(value, Series):
        return [(query.label, value)]
    if isinstance(value, list):
        return [(" ".join(filter(None, (query.label, each.label))), each) for each in value]
    raise names.refused(f"The expression of the query {query.id} must return a time series or an array of time series.")


def _page(results: Sequence[tuple[str, str, Series]], newest_first: bool, skipped: int, limit: int) -> Document:
    """``limit`` data points from the ``skipped``th on, over all results."""
    shown: list[Document] = []
    at, left, more = 0, limit, False
    for name, label, series in results:
        points = sorted(series.values.items(), reverse=newest_first)
        begin = min(max(skipped - at, 0), len(points))
        part = points[begin : begin + left]
        partial = begin + len(part) < len(points)
        at += len(points)
        if begin == len(points) and points:
            continue  # an earlier page had all of it
        left -= len(part)
        more = more or partial
        shown.append(
            {
                "Id": name,
                "Label": label,
                "Timestamps": [moment for moment, _ in part],
                "Values": [value for _, value in part],
                "StatusCode": "PartialData" if partial else "Complete",
            }
        )
    answer: Document = {"MetricDataResults": shown, "Messages": []}
    if more:
        answer["NextToken"] = paging.encode(skipped + limit)
    return answer


@operation("ListMetrics")
async def list_metrics(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html"""
    try:
        after = paging.offset(request.get("NextToken"))
    except ValueError:
        raise names.bad_token() from None
    seconds = _ACTIVE_SECONDS if request.get("RecentlyActive") else _LISTED_SECONDS
    await ctx.platform.meters.fresh()
    page = await Metrics(ctx.platform.database).page(
        ctx.account, ctx.region, ctx.now - seconds, lambda metric: _wanted(metric, request), after
    )
    found: list[dict[str, Any]] = [
        {"Namespace": each.namespace, "MetricName": each.name, "Dimensions": names.shown(each.dimensions)}
        for each in page.metrics
    ]
    answer: Document = {"Metrics": found}
    if request.get("IncludeLinkedAccounts"):
        answer["OwningAccounts"] = [ctx.account] * len(found)
    if page.following is not None:
        answer["NextToken"] = paging.encode(page.following)
    return answer


def _wanted(metric: Metric, request: Document) -> bool:
    if request.get("Namespace") not in (None, metric.namespace):
        return False
    if request.get("MetricName") not in (None, metric.name):
        return False
    if request.get("OwningAccount") not in (None, metric.account):
        return False
    dimensions = dict(metric.dimensions)
    return all(
        each["Name"] in dimensions and each.get("Value") in (None, dimensions[each["Name"]])
        for each in request.get("Dimensions") or ()
    )
