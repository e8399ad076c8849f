"""Metrics against a straightforward model: every value ever written, in a list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wildsage.store.database import Database
from wildsage.store.metrics import TIERS, Datum, Metric, Metrics
from wildsage.store.summaries import Summary, of_all, of_set, of_values, percentile

NOW = 1_790_000_000.0
METRIC = Metric("000000000000", "us-east-1", "Tests", "Latency", (("Host", "a"),))
OLDEST = TIERS[-1][1]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "metrics.db")
    yield opened
    await opened.close()


@dataclass(frozen=True)
class Written:
    age: float
    value: float
    high: bool


written = st.builds(
    Written,
    age=st.one_of(st.floats(0, 4 * 3600), st.floats(0, OLDEST - 7200)),
    value=st.integers(0, 50).map(float),
    high=st.booleans(),
)


def same(found: Summary | None, expected: list[float]) -> None:
    assert found is not None
    assert (found.count, found.sum) == (len(expected), sum(expected))
    assert (found.minimum, found.maximum) == (min(expected), max(expected))
    assert found.distribution == {value: expected.count(value) for value in set(expected)}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(written, min_size=1, max_size=40), st.lists(st.floats(0, 40 * 86400), max_size=3))
async def test_nothing_is_lost_by_compacting(
    tmp_path_factory: pytest.TempPathFactory, values: list[Written], later: list[float]
) -> None:
    database = await Database.open(tmp_path_factory.mktemp("metrics") / "metrics.db")
    metrics = Metrics(database)
    now = NOW
    try:
        data = [Datum(METRIC, now - each.age, of_values({each.value: 1.0}), high=each.high) for each in values]
        await metrics.add(data[::2], now)
        await metrics.add(data[1::2], now)
        for wait in later:
            now += wait
            await metrics.compact(now)
        # An hour holds the same, however its values are kept by now.
        points = await metrics.read(METRIC, 0, now + 1)
        hours: dict[float, list[float]] = {}
        for each in values:
            hours.setdefault((NOW - each.age) // 3600, []).append(each.value)
        kept = {hour: hours[hour] for hour in hours if hour * 3600 >= now - OLDEST}
        for hour, expected in kept.items():
            same(of_all(point.summary for point in points if point.at // 3600 == hour), expected)
        for point in points:
            limit = dict(TIERS)[point.step]
            assert point.at % point.step == 0
            assert not later or point.at + 2 * 3600 >= now - limit, "old, and still in short steps"
    finally:
        await database.close()


async def test_steps_are_bounded_by_retention(database: Database) -> None:
    metrics = Metrics(database)
    await metrics.add([Datum(METRIC, NOW - i, of_values({1.0: 1.0}), high=True) for i in range(600)], NOW)
    assert len(await metrics.read(METRIC, NOW - 3600, NOW + 1)) == 600
    await metrics.compact(NOW + 4 * 3600)
    minutes = await metrics.read(METRIC, NOW - 3600, NOW + 1)
    assert len(minutes) <= 11
    assert sum(each.summary.count for each in minutes) == 600
    await metrics.compact(NOW + 16 * 86400)
    assert len(await metrics.read(METRIC, NOW - 3600, NOW + 1)) <= 3
    await metrics.compact(NOW + 64 * 86400)
    assert {each.step for each in await metrics.read(METRIC, NOW - 7200, NOW + 1)} == {3600}
    await metrics.compact(NOW + 456 * 86400)
    assert await metrics.read(METRIC, 0, NOW + 1) == []
    listed = await metrics.page(METRIC.account, METRIC.region, 0, lambda _: True)
    assert listed.metrics == []


async def test_too_old_to_keep_is_left_out(database: Database) -> None:
    metrics = Metrics(database)
    await metrics.add([Datum(METRIC, NOW - OLDEST - 1, of_values({1.0: 1.0}))], NOW)
    assert await metrics.read(METRIC, 0, NOW + 1) == []


async def test_units_are_kept_apart_and_pages_do_not_overlap(database: Database) -> None:
    metrics = Metrics(database)
    for unit in ("Seconds", "Bytes", "Seconds"):
        await metrics.add([Datum(METRIC, NOW, of_values({1.0: 1.0}), unit)], NOW)
    found = await metrics.read(METRIC, NOW - 120, NOW + 1)
    assert [(each.unit, each.summary.count) for each in found] == [("Bytes", 1), ("Seconds", 2)]
    assert len(await metrics.read(METRIC, NOW - 120, NOW + 1, "Bytes")) == 1
    names = [f"m{number}" for number in range(7)]
    data = [Datum(Metric("a", "r", "n", name), NOW, of_values({1.0: 1.0})) for name in names]
    await metrics.add(data, NOW)
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        page = await metrics.page("a", "r", 0, lambda metric: metric.name != "m3", after, limit=2)
        seen += [metric.name for metric in page.metrics]
        after = page.following
    assert seen == [name for name in names if name != "m3"]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400), st.floats(0, 100))
def test_percentiles_are_near(values: list[float], percent: float) -> None:
    whole = of_all(of_values({value: 1.0}) for value in values)
    assert whole is not None
    assert whole.distribution is not None
    found = percentile(whole.distribution, percent)
    ordered = sorted(values)
    rank = percent / 100 * (len(ordered) - 1)
    low, high = ordered[int(rank)], ordered[min(int(rank) + 1, len(ordered) - 1)]
    assert low * 0.99 - 1e-9 <= found <= high * 1.01 + 1e-9


def test_distributions_are_bounded() -> None:
    values = [1.0 + number / 7 for number in range(20_000)]
    whole = of_all(of_values(dict.fromkeys(values[at : at + 500], 1.0)) for at in range(0, len(values), 500))
    assert whole is not None
    assert whole.distribution is not None
    assert whole.count == 20_000
    assert len(whole.distribution) <= 1000
    assert abs(percentile(whole.distribution, 50) - values[10_000]) < values[10_000] * 0.05


def test_a_statistic_set_has_no_percentiles_unless_all_is_one_value() -> None:
    assert of_set(3, 6, 1, 3).distribution is None
    assert of_set(3, 6, 2, 2).distribution == {2: 3}
    assert of_values({-1.0: 1.0}).distribution is None
    assert of_set(3, 6, 1, 3).merged(of_values({1.0: 1.0})).distribution is None
