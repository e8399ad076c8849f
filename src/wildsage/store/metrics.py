"""Metrics: series of numbers, summed up in steps of time that grow with age, so that nothing grows without bound.

As AWS has it (CloudWatch User Guide, "Metrics retention"): steps of 1 s for 3 hours (high resolution), of 1 minute for
15 days, of 5 minutes for 63 days, of 1 hour for 455 days. What was written lies in one step of one length at a time:
``compact`` moves it on. A reader adds up what lies in each period, wherever it is.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    Row,
    ScalarSelect,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from wildsage.store.database import Database, Write, metadata
from wildsage.store.summaries import Summary, dumps, loads

TIERS = ((1, 3 * 3600), (60, 15 * 86400), (300, 63 * 86400), (3600, 455 * 86400))
"""Length of a step and how long it is kept, both in seconds."""

_AT_ONCE = 500

Dimensions = tuple[tuple[str, str], ...]

series = Table(
    "metric_series",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("dimensions", Text, nullable=False),
    Column("newest", BigInteger, nullable=False),
    UniqueConstraint("account", "region", "namespace", "name", "dimensions"),
    sqlite_autoincrement=True,
)

points = Table(
    "metric_points",
    metadata,
    Column("series", Integer, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("samples", Double, nullable=False),
    Column("sum", Double, nullable=False),
    Column("minimum", Double, nullable=False),
    Column("maximum", Double, nullable=False),
    Column("distribution", Text, nullable=False),
    Index("metric_points_age", "step", "at"),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Metric:
    """What makes a series unique; ``dimensions``: (name, value), in order of the names."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: Dimensions = ()


@dataclass(frozen=True, slots=True)
class Datum:
    """Something measured at ``at`` (epoch seconds). ``high``: kept by the second while it is new."""

    metric: Metric
    at: float
    summary: Summary
    unit: str = "None"
    high: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured in the ``step`` seconds from ``at``, in one unit."""

    at: int
    step: int
    unit: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of series: ``following`` is passed as ``after`` for the next; None on the last."""

    metrics: Sequence[Metric]
    following: int | None


def step_of(at: float, now: float, high: bool) -> int | None:
    """How long the step is that something measured at ``at`` belongs in now; None if it is too old to be kept."""
    for step, kept in TIERS[0 if high else 1 :]:
        if at >= now - kept:
            return step
    return None


def adding(data: Iterable[Datum], now: float) -> Write:
    """Adds what was measured, in the transaction of something else."""
    steps: dict[Metric, dict[tuple[int, int, str], Summary]] = defaultdict(dict)
    for each in data:
        step = step_of(each.at, now, each.high)
        if step is not None:
            place = (int(each.at // step * step), step, each.unit)
            known = steps[each.metric].get(place)
            steps[each.metric][place] = each.summary if known is None else known.merged(each.summary)

    def write(connection: Connection) -> None:
        for metric, found in steps.items():
            number = _number(connection, metric, max(at for at, _, _ in found))
            for place, summary in found.items():
                _merge(connection, number, place, summary)

    return write


class Metrics:
    """The tables of metrics."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, data: Iterable[Datum], now: float) -> None:
        """Durable on return; what is older than is kept at all is left out."""
        await self._database.write(adding(data, now))

    async def read(self, metric: Metric, since: float, until: float, unit: str | None = None) -> list[Point]:
        """What lies in [since, until), oldest first, of all units unless one is named."""
        conditions = [points.c.series == _series_of(metric), points.c.at >= since, points.c.at < until]
        if unit is not None:
            conditions.append(points.c.unit == unit)
        statement = select(points).where(*conditions).order_by(points.c.at, points.c.step, points.c.unit)
        return await self._database.read(
            lambda connection: [
                Point(row.at, row.step, row.unit, _summary(row)) for row in connection.execute(statement)
            ]
        )

    async def page(
        self,
        account: str,
        region: str,
        since: float,
        wanted: Callable[[Metric], bool],
        after: int = 0,
        limit: int = 500,
    ) -> Listed:
        """Series with anything newer than ``since`` that are ``wanted``, in the order they came up."""
        columns = series.c
        statement = (
            select(series)
            .where(columns.account == account, columns.region == region, columns.newest >= since, columns.id > after)
            .order_by(columns.id)
        )

        def work(connection: Connection) -> Listed:
            found: list[tuple[int, Metric]] = []
            with connection.execute(statement) as rows:
                for row in rows:
                    metric = _metric(row)
                    if wanted(metric):
                        found.append((row.id, metric))
                    if len(found) > limit:
                        break
            following = found[limit - 1][0] if len(found) > limit else None
            return Listed([metric for _, metric in found[:limit]], following)

        return await self._database.read(work)

    async def compact(self, now: float) -> None:
        """Moves what has grown old into longer steps, and forgets what is older than the longest keep."""
        for (step, kept), (longer, _) in itertools.pairwise(TIERS):
            while await self._database.write(_moving(step, longer, now - kept)):
                pass
        step, kept = TIERS[-1]
        gone = delete(points).where(points.c.step == step, points.c.at < now - kept)
        silent = delete(series).where(
            series.c.newest < now - kept, ~select(points.c.series).where(points.c.series == series.c.id).exists()
        )

        def work(connection: Connection) -> None:
            connection.execute(gone)
            connection.execute(silent)

        await self._database.write(work)


def _moving(step: int, longer: int, before: float) -> Callable[[Connection], bool]:
    """Takes up to _AT_ONCE old steps into longer ones; whether there may be more."""
    # A longer step takes in only what lies wholly before: a half of it would be shown as all there was.
    until = int(before // longer * longer)
    chosen = select(points).where(points.c.step == step, points.c.at < until).order_by(points.c.at).limit(_AT_ONCE)

    def work(connection: Connection) -> bool:
        rows = connection.execute(chosen).all()
        for row in rows:
            where = {"of_series": row.series, "of_at": row.at, "of_step": step, "of_unit": row.unit}
            connection.execute(_DROP_POINT, where)
            _merge(connection, row.series, (row.at // longer * longer, longer, row.unit), _summary(row))
        return len(rows) == _AT_ONCE

    return work


def _named(metric: Metric) -> Mapping[str, str]:
    return {
        "account": metric.account,
        "region": metric.region,
        "namespace": metric.namespace,
        "name": metric.name,
        "dimensions": json.dumps(metric.dimensions, separators=(",", ":")),
    }


def _series_of(metric: Metric) -> ScalarSelect[Any]:
    return select(series.c.id).filter_by(**_named(metric)).scalar_subquery()


def _number(connection: Connection, metric: Metric, newest: int) -> int:
    """The series' number; a new one if there is none."""
    named = _named(metric)
    row = connection.execute(_FIND_SERIES, {f"of_{name}": value for name, value in named.items()}).first()
    if row is None:
        made = connection.execute(_ADD_SERIES, {**named, "newest": newest})
        return int(made.scalar_one())
    if row.newest < newest:
        connection.execute(_MOVE_SERIES, {"of_id": row.id, "newest": newest})
    return int(row.id)


def _merge(connection: Connection, number: int, place: tuple[int, int, str], summary: Summary) -> None:
    at, step, unit = place
    where = {"of_series": number, "of_at": at, "of_step": step, "of_unit": unit}
    row = connection.execute(_FIND_POINT, where).first()
    whole = summary if row is None else _summary(row).merged(summary)
    values = {
        "samples": whole.count,
        "sum": whole.sum,
        "minimum": whole.minimum,
        "maximum": whole.maximum,
        "distribution": dumps(whole.distribution),
    }
    if row is None:
        connection.execute(_ADD_POINT, {"series": number, "at": at, "step": step, "unit": unit, **values})
    else:
        connection.execute(_MOVE_POINT, {**where, **values})


def _is(*columns: Column[Any]) -> ColumnElement[bool]:
    """Each of the columns is what a parameter ``of_…`` says."""
    return and_(*(column == bindparam(f"of_{column.name}") for column in columns))


# Made once: a thousand series a call are usual, and making a statement costs more than running it.
_HERE = _is(points.c.series, points.c.at, points.c.step, points.c.unit)
_NAMED = _is(series.c.account, series.c.region, series.c.namespace, series.c.name, series.c.dimensions)
_FIND_SERIES = select(series.c.id, series.c.newest).where(_NAMED)
_ADD_SERIES = insert(series).returning(series.c.id)
_MOVE_SERIES = update(series).where(_is(series.c.id)).values(newest=bindparam("newest"))
_FIND_POINT = select(points).where(_HERE)
_ADD_POINT = insert(points)
_MOVE_POINT = (
    update(points)
    .where(_HERE)
    .values(
        samples=bindparam("samples"),
        sum=bindparam("sum"),
        minimum=bindparam("minimum"),
        maximum=bindparam("maximum"),
        distribution=bindparam("distribution"),
    )
)
_DROP_POINT = delete(points).where(_HERE)


def _summary(row: Row[Any]) -> Summary:
    return Summary(row.samples, row.sum, row.minimum, row.maximum, loads(row.distribution))


def _metric(row: Row[Any]) -> Metric:
    dimensions = tuple((name, value) for name, value in json.loads(row.dimensions))
    return Metric(row.account, row.region, row.namespace, row.name, dimensions)
