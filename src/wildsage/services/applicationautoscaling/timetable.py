"""When scheduled actions run: ``at(…)``, ``rate(…)`` and ``cron(…)``. Pure.

Source: Application Auto Scaling User Guide, "Schedule recurring scaling actions using cron expressions". A cron has six
fields: minutes, hours, day of month, month, day of week (1 is Sunday), year.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_LAST_YEAR = 2199


class Unreadable(ValueError):
    """An expression or a time zone that cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class At:
    """Once."""

    moment: float

    def following(self, after: float, begin: float) -> float | None:
        del begin
        return self.moment if self.moment > after else None


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many seconds, counted from the beginning."""

    seconds: int

    def following(self, after: float, begin: float) -> float | None:
        if after < begin:
            return begin
        return begin + (int((after - begin) // self.seconds) + 1) * self.seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """``monthdays`` and ``weekdays``: the fields' words, of which one is ``?``."""

    minutes: Sequence[int]
    hours: Sequence[int]
    monthdays: str
    months: Sequence[int]
    weekdays: str
    years: range | Sequence[int]
    zone: tzinfo

    def following(self, after: float, begin: float) -> float | None:
        """``begin`` itself ("If you specify a start time, … performs the action at this time"), then as it says."""
        if after < begin:
            return begin
        start = datetime.fromtimestamp(after, self.zone)
        for day in self._days_from(start.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone).timestamp()
                    if moment > after:
                        return moment
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        for year in self.years:
            if year < first.year:
                continue
            for month in self.months:
                if (year, month) < (first.year, first.month):
                    continue
                for day in sorted(self._days_of(year, month)):
                    if (found := date(year, month, day)) >= first:
                        yield found

    def _days_of(self, year: int, month: int) -> set[int]:
        last = calendar.monthrange(year, month)[1]
        if self.weekdays in ("?", "*") and self.monthdays != "?":
            return _monthdays(self.monthdays, year, month, last)
        return _weekdays(self.weekdays, year, month, last)


Schedule = At | Rate | Cron


def parse(text: str, zone: str | None = None) -> Schedule:
    """Raises Unreadable."""
    kind, _, rest = text.strip().partition("(")
    if not rest.endswith(")") or kind not in ("at", "rate", "cron"):
        raise Unreadable(f"Schedule must be at(…), rate(…) or cron(…), not {text}.")
    inside, place = rest[:-1].strip(), _zone(zone)
    if kind == "at":
        try:
            return At(datetime.strptime(inside, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=place).timestamp())
        except ValueError:
            raise Unreadable(f"Schedule must have the form at(yyyy-mm-ddThh:mm:ss), not {text}.") from None
    return _rate(inside, text) if kind == "rate" else _cron(inside.split(), place, text)


def _zone(name: str | None) -> tzinfo:
    if name in (None, "", "UTC"):
        return UTC
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unreadable(f"Timezone must be a name of the IANA database such as Europe/Vienna, not {name}.") from None


def _rate(inside: str, text: str) -> Rate:
    value, _, unit = inside.partition(" ")
    plain = unit.strip().removesuffix("s")
    if not value.isdecimal() or int(value) < 1 or plain not in _UNITS:
        raise Unreadable(f"Schedule must have the form rate(VALUE minutes|hours|days), not {text}.")
    return Rate(int(value) * _UNITS[plain])


def _cron(fields: Sequence[str], zone: tzinfo, text: str) -> Cron:
    if len(fields) != 6:
        raise Unreadable(
            f"A cron expression has six fields: minutes hours day-of-month month day-of-week year, not {text}."
        )
    minutes, hours, monthdays, months, weekdays, years = (each.upper() for each in fields)
    if monthdays == weekdays == "?" or not {monthdays, weekdays} & {"?", "*"}:
        raise Unreadable(f"One of day-of-month and day-of-week must be ?: {text}.")
    try:
        found = Cron(
            _numbers(minutes, range(60)),
            _numbers(hours, range(24)),
            monthdays,
            _numbers(months, range(1, 13), _MONTHS),
            weekdays,
            _numbers(years, range(1970, _LAST_YEAR + 1)),
            zone,
        )
        _monthdays(monthdays, 2024, 1, 31)
        _weekdays(weekdays, 2024, 1, 31)
    except ValueError:
        raise Unreadable(f"The cron expression cannot be read: {text}.") from None
    return found


def _numbers(field: str, within: range, words: Mapping[str, int] | None = None) -> Sequence[int]:
    """A field of ``*``, numbers, ranges, steps and lists; raises ValueError."""

    def number(word: str) -> int:
        value = (words or {}).get(word)
        value = int(word) if value is None else value
        if value not in within:
            raise ValueError(word)
        return value

    found: set[int] = set()
    for part in field.split(","):
        span, _, every = part.partition("/")
        first, _, last = span.partition("-")
        low = within.start if first == "*" else number(first)
        high = within.stop - 1 if first == "*" or (every and not last) else number(last) if last else low
        step = int(every) if every else 1
        if low > high or step < 1 or (first == "*" and last):
            raise ValueError(part)
        found.update(range(low, high + 1, step))
    return sorted(found)


def _monthdays(field: str, year: int, month: int, last: int) -> set[int]:
    """``?`` none, ``L`` the last day, ``nW`` the weekday nearest to day n of this month."""
    if field == "?":
        return set()
    if field == "L":
        return {last}
    if field.endswith("W"):
        day = last if field == "LW" else min(_numbers(field[:-1], range(1, 32))[0], last)
        return {_nearest_weekday(year, month, day, last)}
    return {day for day in _numbers(field, range(1, 32)) if day <= last}


def _nearest_weekday(year: int, month: int, day: int, last: int) -> int:
    weekday = date(year, month, day).weekday()
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < last else day - 2
    return day


def _weekdays(field: str, year: int, month: int, last: int) -> set[int]:
    """``nL``: the last such day of the month; ``n#k``: the k-th."""
    if field == "?":
        return set()
    every = {day: (date(year, month, day).weekday() + 1) % 7 + 1 for day in range(1, last + 1)}
    if field == "L":
        field = "7"
    elif field.endswith("L"):
        wanted = _numbers(field[:-1], range(1, 8), _DAYS)[0]
        return {max(day for day, weekday in every.items() if weekday == wanted)}
    if "#" in field:
        name, _, count = field.partition("#")
        wanted, place = _numbers(name, range(1, 8), _DAYS)[0], _numbers(count, range(1, 6))[0]
        days = [day for day, weekday in every.items() if weekday == wanted]
        return set(days[place - 1 : place])
    chosen = set(_numbers(field, range(1, 8), _DAYS))
    return {day for day, weekday in every.items() if weekday in chosen}


def first_after(schedule: Schedule, after: float, begin: float, end: float | None) -> float | None:
    """The next moment after ``after``, from ``begin`` to ``end``; None if there is none."""
    found = schedule.following(after, begin)
    return None if found is None or (end is not None and found > end) else found
