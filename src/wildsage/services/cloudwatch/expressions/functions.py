"""The functions of metric math."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from wildsage.services.cloudwatch import names
from wildsage.services.cloudwatch.expressions.values import Series, Span, Value, as_array, as_number, as_series

Function = Callable[[Sequence[Value], Span], Value]

UNKNOWN = frozenset(
    ("ANOMALY_DETECTION_BAND", "DB_PERF_INSIGHTS", "INSIGHT_RULE_METRIC", "LAMBDA", "SEARCH", "SERVICE_QUOTA")
)
"""Functions of AWS's that are refused by name."""
_MOST_MOMENTS = 455 * 24 * 60
"""Of a series without gaps: every minute for as long as metrics are kept."""

_REDUCERS: Mapping[str, Callable[[list[float]], float]] = {
    "AVG": statistics.fmean,
    "MAX": max,
    "MIN": min,
    "STDDEV": lambda values: statistics.stdev(values) if len(values) > 1 else 0.0,
    "SUM": math.fsum,
}


def _reduced(name: str) -> Function:
    """Of one series a number, of several a series: what they come to at each moment."""
    reduce = _REDUCERS[name]

    def apply(given: Sequence[Value], _span: Span) -> Value:
        value = given[0]
        if isinstance(value, Series):
            if not value.values:
                raise names.refused(f"Error in expression: {name} of a time series without data points has no value.")
            return reduce(list(value.values.values()))
        several = as_array(value, name)
        found: dict[int, list[float]] = {}
        for at, number in itertools.chain.from_iterable(each.values.items() for each in several):
            found.setdefault(at, []).append(number)
        return Series({at: reduce(found[at]) for at in sorted(found)}, _period(several, name))

    return apply


def _period(several: Sequence[Series], name: str) -> int:
    periods = {each.period for each in several}
    if len(periods) > 1:
        raise names.refused(f"Error in expression: {name} needs time series of the same period.")
    return periods.pop() if periods else 60


def _mapped(name: str, change: Callable[[float], float | None]) -> Function:
    def apply(given: Sequence[Value], _span: Span) -> Value:
        value = given[0]
        if isinstance(value, list):
            return [each.mapped(change) for each in value]
        if isinstance(value, float):
            found = change(value)
            if found is None:
                raise names.refused(f"Error in expression: {name} of {value} has no value.")
            return found
        return as_series(value, name).mapped(change)

    return apply


def _each(name: str, change: Callable[[Series], Series]) -> Function:
    """A series from a series; from an array one from each."""

    def apply(given: Sequence[Value], _span: Span) -> Value:
        value = given[0]
        return [change(each) for each in value] if isinstance(value, list) else change(as_series(value, name))

    return apply


def _steps(series: Series, of: Callable[[float, int], float]) -> Series:
    pairs = itertools.pairwise(series.values.items())
    return Series({at: of(value - before, at - then) for (then, before), (at, value) in pairs}, series.period)


def _running(series: Series) -> Series:
    sums = itertools.accumulate(series.values.values())
    return Series(dict(zip(series.values, sums, strict=True)), series.period)


def _calendar(of: Callable[[datetime], float]) -> Callable[[Series], Series]:
    def change(series: Series) -> Series:
        return Series({at: of(datetime.fromtimestamp(at, UTC)) for at in series.values}, series.period)

    return change


def _fill(given: Sequence[Value], span: Span) -> Value:
    value, filling = given[0], given[1]
    if isinstance(value, list):
        return [_filled(each, filling, span) for each in value]
    return _filled(as_series(value, "FILL"), filling, span)


def _filled(series: Series, filling: Value, span: Span) -> Series:
    known, moments = series.values, _moments(span, series.period)
    if isinstance(filling, Series):
        values = {at: known.get(at, filling.values.get(at)) for at in moments}
    elif filling == "REPEAT":
        last: float | None = None
        values = {at: (last := known.get(at, last)) for at in moments}
    elif filling == "LINEAR":
        between = _between(series)
        values = {at: known.get(at, between.get(at)) for at in moments}
    else:
        number = as_number(filling, "FILL")
        values = {at: known.get(at, number) for at in moments}
    return Series({at: value for at, value in values.items() if value is not None}, series.period, series.label)


def _moments(span: Span, period: int) -> range:
    """Where a series without gaps has values. Raises ValidationError if they are too many to be counted out."""
    found = span.moments(period)
    if len(found) > _MOST_MOMENTS:
        raise names.refused(
            f"Error in expression: a time series of {len(found):,} data points is too long. Ask for less time, or for "
            "longer periods."
        )
    return found


def _between(series: Series) -> dict[int, float]:
    """What lies on the straight line from each value to the next, at the moments between them."""
    return {
        at: before + (after - before) * (at - then) / (later - then)
        for (then, before), (later, after) in itertools.pairwise(series.values.items())
        for at in range(then + series.period, later, series.period)
    }


def _if(given: Sequence[Value], _span: Span) -> Value:
    condition, chosen, other = given[0], given[1], given[2] if len(given) > 2 else None
    if isinstance(condition, float):
        if other is None and not condition:
            raise names.refused("Error in expression: IF has no value for a condition that is not met.")
        return chosen if condition or other is None else other
    tested = as_series(condition, "IF")
    found = {at: _at(chosen if met else other, at) for at, met in tested.values.items()}
    return Series({at: value for at, value in found.items() if value is not None}, tested.period)


def _at(value: Value | None, at: int) -> float | None:
    if value is None or isinstance(value, float):
        return value
    return as_series(value, "IF").values.get(at)


def _slice(given: Sequence[Value], _span: Span) -> Value:
    several = as_array(given[0], "SLICE")
    start = int(as_number(given[1], "SLICE"))
    if len(given) > 2:
        return several[start : int(as_number(given[2], "SLICE"))]
    if not 0 <= start < len(several):
        raise names.refused(f"Error in expression: SLICE finds no time series {start} in an array of {len(several)}.")
    return several[start]


def _sort(given: Sequence[Value], _span: Span) -> Value:
    several, by, order = as_array(given[0], "SORT"), given[1], given[2]
    if not isinstance(by, str) or by not in _REDUCERS or order not in ("ASC", "DESC"):
        raise names.refused("Error in expression: SORT takes AVG, MAX, MIN or SUM, then ASC or DESC.")
    reduce = _REDUCERS[by]
    filled = [each for each in several if each.values]
    ranked = sorted(filled, key=lambda each: reduce(list(each.values.values())), reverse=order == "DESC")
    return ranked[: int(as_number(given[3], "SORT"))] if len(given) > 3 else ranked


def _picked(name: str, index: int) -> Function:
    def apply(given: Sequence[Value], _span: Span) -> Value:
        several = as_array(given[0], name)
        if not several:
            raise names.refused(f"Error in expression: {name} of an empty array has no value.")
        return several[index]

    return apply


def _constant(given: Sequence[Value], span: Span) -> Value:
    return Series(dict.fromkeys(_moments(span, 60), as_number(given[0], "TIME_SERIES")), 60)


def _logarithm(of: Callable[[float], float]) -> Callable[[float], float | None]:
    return lambda value: of(value) if value > 0 else None


FUNCTIONS: Mapping[str, tuple[Function, range]] = {
    **{name: (_reduced(name), range(1, 2)) for name in _REDUCERS},
    "ABS": (_mapped("ABS", abs), range(1, 2)),
    "CEIL": (_mapped("CEIL", lambda value: float(math.ceil(value))), range(1, 2)),
    "FLOOR": (_mapped("FLOOR", lambda value: float(math.floor(value))), range(1, 2)),
    "LOG": (_mapped("LOG", _logarithm(math.log)), range(1, 2)),
    "LOG10": (_mapped("LOG10", _logarithm(math.log10)), range(1, 2)),
    "DIFF": (_each("DIFF", lambda series: _steps(series, lambda step, _: step)), range(1, 2)),
    "DIFF_TIME": (_each("DIFF_TIME", lambda series: _steps(series, lambda _, time: float(time))), range(1, 2)),
    "RATE": (_each("RATE", lambda series: _steps(series, lambda step, time: step / time)), range(1, 2)),
    "RUNNING_SUM": (_each("RUNNING_SUM", _running), range(1, 2)),
    "MINUTE": (_each("MINUTE", _calendar(lambda at: float(at.minute))), range(1, 2)),
    "HOUR": (_each("HOUR", _calendar(lambda at: float(at.hour))), range(1, 2)),
    "DAY": (_each("DAY", _calendar(lambda at: float(at.isoweekday()))), range(1, 2)),
    "DATE": (_each("DATE", _calendar(lambda at: float(at.day))), range(1, 2)),
    "MONTH": (_each("MONTH", _calendar(lambda at: float(at.month))), range(1, 2)),
    "YEAR": (_each("YEAR", _calendar(lambda at: float(at.year))), range(1, 2)),
    "EPOCH": (_each("EPOCH", _calendar(lambda at: at.timestamp())), range(1, 2)),
    "FILL": (_fill, range(2, 3)),
    "IF": (_if, range(2, 4)),
    "SLICE": (_slice, range(2, 4)),
    "SORT": (_sort, range(3, 5)),
    "FIRST": (_picked("FIRST", 0), range(1, 2)),
    "LAST": (_picked("LAST", -1), range(1, 2)),
    "PERIOD": (lambda given, _: float(as_series(given[0], "PERIOD").period), range(1, 2)),
    "TIME_SERIES": (_constant, range(1, 2)),
    "DATAPOINT_COUNT": (lambda given, _: float(len(as_series(given[0], "DATAPOINT_COUNT").values)), range(1, 2)),
    "METRIC_COUNT": (lambda given, _: float(len(as_array(given[0], "METRIC_COUNT"))), range(1, 2)),
    "REMOVE_EMPTY": (
        lambda given, _: [each for each in as_array(given[0], "REMOVE_EMPTY") if each.values],
        range(1, 2),
    ),
}
"""Name → what it does, and how many arguments it takes."""
