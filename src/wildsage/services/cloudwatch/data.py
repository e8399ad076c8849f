"""PutMetricData: what is measured comes in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from wildsage.kit.context import Context
from wildsage.kit.metrics import publish
from wildsage.kit.operation import operation
from wildsage.services.cloudwatch import names
from wildsage.store.codec import Document
from wildsage.store.metrics import Datum, Metric
from wildsage.store.summaries import Summary, of_set, of_values

_MOST_DATA = 1000
_MOST_VALUES = 150
_LARGEST = 2.0**360
_OLDEST_SECONDS = 14 * 86400.0
_NEWEST_SECONDS = 2 * 3600.0


@operation("PutMetricData")
async def put_metric_data(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html"""
    namespace = request["Namespace"]
    if namespace.startswith(names.RESERVED):
        raise names.invalid(f"The value {names.RESERVED} for parameter Namespace is invalid.")
    given = [*(request.get("MetricData") or ())]
    for entity in request.get("EntityMetricData") or ():
        given += entity.get("MetricData") or ()
    if not given:
        raise names.missing("The parameter MetricData is required.")
    if len(given) > _MOST_DATA:
        raise names.invalid(f"The collection MetricData must not have a size greater than {_MOST_DATA}.")
    data = [_datum(ctx, namespace, f"MetricData.member.{index}", each) for index, each in enumerate(given, 1)]
    await publish(ctx.platform, data)
    return {}


def _datum(ctx: Context, namespace: str, where: str, given: Mapping[str, Any]) -> Datum:
    at = ctx.now if given.get("Timestamp") is None else float(given["Timestamp"])
    if not ctx.now - _OLDEST_SECONDS <= at <= ctx.now + _NEWEST_SECONDS:
        raise names.invalid(
            f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past "
            "and no more than two hours in the future."
        )
    resolution = given.get("StorageResolution") or 60
    if resolution not in (1, 60):
        raise names.invalid(f"The parameter {where}.StorageResolution must be 1 or 60.")
    dimensions = names.dimensions_of(given.get("Dimensions"))
    metric = Metric(ctx.account, ctx.region, namespace, given["MetricName"], dimensions)
    return Datum(metric, at, _summary(where, given), given.get("Unit") or "None", resolution == 1)


def _summary(where: str, given: Mapping[str, Any]) -> Summary:
    forms = [member for member in ("Value", "Values", "StatisticValues") if given.get(member) is not None]
    if not forms:
        raise names.missing(
            f"One of the parameters {where}.Value, {where}.Values and {where}.StatisticValues must be specified."
        )
    if len(forms) > 1:
        raise names.combination(f"The parameters {where}.{forms[0]} and {where}.{forms[1]} are mutually exclusive.")
    if forms == ["StatisticValues"]:
        return _statistic_set(where, given["StatisticValues"])
    values, counts = _values(where, given) if forms == ["Values"] else ([given["Value"]], [1.0])
    _check_numbers(where, values)
    found: dict[float, float] = {}
    for value, count in zip(values, counts, strict=True):
        found[float(value)] = found.get(value, 0.0) + count
    return of_values({value: count for value, count in found.items() if count} or dict.fromkeys(found, 0.0))


def _values(where: str, given: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    values = given["Values"]
    counts = given.get("Counts") or [1.0] * len(values)
    if not values:
        raise names.missing(f"The parameter {where}.Values must not be empty.")
    if len(values) > _MOST_VALUES:
        raise names.invalid(f"The collection {where}.Values must not have a size greater than {_MOST_VALUES}.")
    if len(counts) != len(values):
        raise names.combination(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    if any(not math.isfinite(count) or count < 0 for count in counts):
        raise names.invalid(f"The parameter {where}.Counts must hold numbers from 0.")
    return values, counts


def _statistic_set(where: str, given: Mapping[str, float]) -> Summary:
    count, total, minimum, maximum = (float(given[name]) for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
    _check_numbers(where, (count, total, minimum, maximum))
    if count <= 0 or minimum > maximum:
        raise names.invalid(
            f"The parameter {where}.StatisticValues must have a SampleCount above 0 and no Minimum above its Maximum."
        )
    return of_set(count, total, minimum, maximum)


def _check_numbers(where: str, values: Iterable[float]) -> None:
    if any(not math.isfinite(value) or abs(value) > _LARGEST for value in values):
        raise names.invalid(f"The value of {where} must be a number from -2^360 to 2^360; NaN and infinity are not.")
