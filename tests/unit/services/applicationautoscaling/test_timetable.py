"""Schedules: tables of moments."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wildsage.services.applicationautoscaling.scheduledactions import coming
from wildsage.services.applicationautoscaling.timetable import Unreadable, first_after, parse


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("at(2026-03-01T12:00:00)", None, "2026-02-01T00:00", "2026-03-01T12:00"),
        ("at(2026-03-01T12:00:00)", None, "2026-03-01T12:00", None),
        ("at(2026-07-01T12:00:00)", "Europe/Vienna", "2026-03-01T12:00", "2026-07-01T10:00"),
        ("rate(5 minutes)", None, "2026-01-01T00:00", "2026-01-01T00:05"),
        ("rate(1 day)", None, "2026-01-03T07:00", "2026-01-04T00:00"),
        ("cron(0 9 * * ? *)", None, "2026-01-01T09:00", "2026-01-02T09:00"),
        ("cron(0/15 * * * ? *)", None, "2026-01-01T09:01", "2026-01-01T09:15"),
        ("cron(30 18 ? * MON-FRI *)", None, "2026-01-02T18:30", "2026-01-05T18:30"),
        ("cron(0 0 L * ? *)", None, "2026-02-01T00:00", "2026-02-28T00:00"),
        ("cron(0 0 ? * 6#3 *)", None, "2026-01-01T00:00", "2026-01-16T00:00"),
        ("cron(0 0 ? * 6L *)", None, "2026-01-01T00:00", "2026-01-30T00:00"),
        ("cron(0 0 15W * ? *)", None, "2026-02-01T00:00", "2026-02-16T00:00"),
        ("cron(0 0 29 2 ? *)", None, "2026-01-01T00:00", "2028-02-29T00:00"),
        ("cron(0 0 1 JAN,JUL ? 2027)", None, "2026-01-01T00:00", "2027-01-01T00:00"),
        ("cron(0 0 1 1 ? 2020)", None, "2026-01-01T00:00", None),
        ("cron(0 9 * * ? *)", "America/New_York", "2026-07-01T00:00", "2026-07-01T13:00"),
    ],
)
def test_the_next_moment(schedule: str, zone: str | None, after: str, expected: str | None) -> None:
    found = first_after(parse(schedule, zone), at(after), at("2026-01-01T00:00"), None)
    assert found == (None if expected is None else at(expected))


def test_from_a_beginning_to_an_end() -> None:
    hourly = parse("rate(1 hour)")
    begin, end = at("2026-01-01T06:30"), at("2026-01-01T08:00")
    assert first_after(hourly, at("2026-01-01T00:00"), begin, end) == begin
    assert first_after(hourly, begin, begin, end) == at("2026-01-01T07:30")
    assert first_after(hourly, at("2026-01-01T07:30"), begin, end) is None
    daily = parse("cron(0 12 * * ? *)")
    assert first_after(daily, at("2025-12-01T00:00"), begin, None) == begin
    assert first_after(daily, begin, begin, None) == at("2026-01-01T12:00")


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [
        ("every minute", None),
        ("at(tomorrow)", None),
        ("rate(0 minutes)", None),
        ("rate(5 weeks)", None),
        ("cron(0 9 * * *)", None),
        ("cron(0 25 * * ? *)", None),
        ("cron(0 9 1 * MON *)", None),
        ("cron(0 9 ? * ? *)", None),
        ("cron(0 9 ? * 9 *)", None),
        ("cron(*/-5 9 * * ? *)", None),
        ("cron(*/0 9 * * ? *)", None),
        ("cron(*-5 9 * * ? *)", None),
        ("cron(0 9 * * ? *)", "Middle/Earth"),
    ],
)
def test_what_cannot_be_read(schedule: str, zone: str | None) -> None:
    with pytest.raises(Unreadable):
        parse(schedule, zone)


def test_what_was_missed_runs_once() -> None:
    since = at("2026-01-01T00:00")
    spec = {"ScheduledActions": {"hourly": {"Schedule": "rate(1 hour)", "Since": since}}}
    ((moment, name),) = coming(spec, {})
    assert (moment, name) == (at("2026-01-01T01:00"), "hourly")
    ((moment, _),) = coming(spec, {"runs": {"hourly": at("2026-01-03T05:20")}})
    assert moment == at("2026-01-03T06:00")
