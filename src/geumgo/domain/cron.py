"""The cron fields of AWS's schedules: minutes, hours, day of month, month, day of week, year. All times are UTC.

Read once with `parse`, asked with `Cron.after`. What a service allows of it (Secrets Manager: minute 0 only) is that service's rule.

Source: "Cron expressions", EventBridge User Guide; "Schedule expressions", Secrets Manager User Guide (`SUNL` as a day of the month).
"""

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
FIELDS: Final = 6

_MONTHS: Final = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS: Final = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_NUMBER: Final = re.compile(r"[0-9]{1,4}")


class CronInvalid(Exception):
    """The expression is none. Its text says which field is wrong; AWS's own sentence is the service's to give."""


@dataclass(frozen=True, slots=True)
class Days:
    """Which days of a month. `nearest` are days of the month whose nearest weekday is meant, 0 for the last one (LW).

    `nth` are (weekday, n), `last_of` weekdays of which the last one is meant. Weekdays count from 1, Sunday.
    """

    numbers: frozenset[int] = frozenset()
    last: bool = False
    nearest: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()
    last_of: frozenset[int] = frozenset()

    def hold(self, day: date) -> bool:
        """Whether `day` is one of them."""
        length = calendar.monthrange(day.year, day.month)[1]
        weekday = day.isoweekday() % 7 + 1
        return (
            day.day in self.numbers
            or (self.last and day.day == length)
            or weekday in self.weekdays
            or (weekday, (day.day - 1) // 7 + 1) in self.nth
            or (weekday in self.last_of and day.day + 7 > length)
            or any(_nearest_weekday(day, wanted or length, length) for wanted in self.nearest)
        )


def _nearest_weekday(day: date, wanted: int, length: int) -> bool:
    """Whether `day` is the weekday (Monday to Friday) nearest to the day `wanted` of its month, never in another month."""
    if wanted > length:
        return False
    found = day.replace(day=wanted)
    if found.isoweekday() == 6:
        found += timedelta(days=-1 if wanted > 1 else 2)
    elif found.isoweekday() == 7:
        found += timedelta(days=1 if wanted < length else -2)
    return found == day


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. `any_year`: the year field is `*`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    days: Days
    years: frozenset[int]
    any_year: bool

    def after(self, moment: datetime) -> datetime | None:
        """The first moment later than `moment` (aware) that the expression names, or None: there is none up to the year 2199."""
        at = (moment.astimezone(UTC) + timedelta(minutes=1)).replace(second=0, microsecond=0)
        day, first = at.date(), (at.hour, at.minute)
        while day.year <= LAST_YEAR:
            if day.year not in self.years or day.month not in self.months:
                year, month = divmod(day.year * 12 + day.month, 12)
                day, first = date(year, month + 1, 1), (0, 0)
                continue
            if self.days.hold(day):
                for hour in self.hours:
                    for minute in self.minutes:
                        if (hour, minute) >= first:
                            return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
            day, first = day + timedelta(days=1), (0, 0)
        return None


def parse(text: str) -> Cron:
    """The expression `text`: what stands between the parentheses of `cron(...)`.

    Raises:
        CronInvalid: it has not six fields, a value is out of its range, or the two day fields do not say `?` in exactly one place.
    """
    fields = text.upper().split()
    if len(fields) != FIELDS:
        raise CronInvalid(f"there are {len(fields)} fields, not {FIELDS}")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise CronInvalid("exactly one of day-of-month and day-of-week is ?")
    return Cron(
        minutes=tuple(sorted(_values("minutes", minute, 0, 59))),
        hours=tuple(sorted(_values("hours", hour, 0, 23))),
        months=_values("month", month, 1, 12, _MONTHS),
        days=_days_of_month(day) if weekday == "?" else _days_of_week(weekday),
        years=_values("year", year, FIRST_YEAR, LAST_YEAR),
        any_year=year == "*",
    )


def _values(field: str, text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        found.update(_span(field, part, low, high, names or {}))
    return frozenset(found)


def _span(field: str, part: str, low: int, high: int, names: Mapping[str, int]) -> list[int]:
    """`*`, `5`, `MON-FRI`, `2/10` (from 2 on, every 10th), `/8` (from the lowest on). A span that runs backwards goes around."""
    span, slash, step = part.partition("/")
    stride = _number(field, step, {}, 1, high) if slash else 1
    if span == "*" or (slash and not span):
        first, last = low, high
    else:
        start, dash, end = span.partition("-")
        first = _number(field, start, names, low, high)
        last = _number(field, end, names, low, high) if dash else (high if slash else first)
    if first > last:
        last += high - low + 1
    return [low + (value - low) % (high - low + 1) for value in range(first, last + 1, stride)]


def _number(field: str, text: str, names: Mapping[str, int], low: int, high: int) -> int:
    value = names.get(text)
    if value is None:
        if not _NUMBER.fullmatch(text):
            raise CronInvalid(f"{text or 'nothing'} is no value of the field {field}")
        value = int(text)
    if not low <= value <= high:
        raise CronInvalid(f"{text} is not between {low} and {high}, in the field {field}")
    return value


def _days_of_month(text: str) -> Days:
    """Numbers, `L` (the last day), `15W` (the weekday nearest to the 15th), `LW`, `SUNL` (the last Sunday)."""
    plain: set[int] = set()
    nearest: set[int] = set()
    last_of: set[int] = set()
    last = False
    for part in text.split(","):
        if part == "L":
            last = True
        elif part == "LW":
            nearest.add(0)
        elif part.endswith("W"):
            nearest.add(_number("day-of-month", part[:-1], {}, 1, 31))
        elif part.endswith("L") and part[:-1] in _WEEKDAYS:
            last_of.add(_WEEKDAYS[part[:-1]])
        else:
            plain.update(_span("day-of-month", part, 1, 31, {}))
    return Days(frozenset(plain), last=last, nearest=frozenset(nearest), last_of=frozenset(last_of))


def _days_of_week(text: str) -> Days:
    """Names or numbers (1 is Sunday), `L` (Saturday, the last day of the week), `5L` (the last Thursday), `3#2` (the second Tuesday)."""
    plain: set[int] = set()
    nth: set[tuple[int, int]] = set()
    last_of: set[int] = set()
    for part in text.split(","):
        name, hash_, number = part.partition("#")
        if hash_:
            weekday = _number("day-of-week", name, _WEEKDAYS, 1, 7)
            nth.add((weekday, _number("day-of-week", number, {}, 1, 5)))
        elif part == "L":
            plain.add(7)
        elif part.endswith("L"):
            last_of.add(_number("day-of-week", part[:-1], _WEEKDAYS, 1, 7))
        else:
            plain.update(_span("day-of-week", part, 1, 7, _WEEKDAYS))
    return Days(weekdays=frozenset(plain), nth=frozenset(nth), last_of=frozenset(last_of))
