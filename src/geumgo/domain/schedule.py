"""When a secret is rotated: `rate(10 days)`, `cron(0 8 * * ? *)`, and the windows in which it may happen. Pure; all times are UTC.

A window opens at a full hour. Without a duration it lasts an hour if the schedule counts in hours, and otherwise until the end of the day;
it never reaches into the next day. The rotation happens at a moment inside, the same one for the same secret, so that many secrets with one
schedule do not rotate at once.

Source: "Schedule expressions" and "Rotation windows", Secrets Manager User Guide; RotationRulesType, botocore model 2017-10-17.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from geumgo.domain.cron import Cron, CronInvalid, parse

LEAST_HOURS: Final = 4
MOST_DAYS: Final = 999
_RATE: Final = re.compile(r"rate\(([0-9]{1,9}) (hour|hours|day|days)\)")
_CRON: Final = re.compile(r"cron\(([^()]*)\)")
_DURATION: Final = re.compile(r"([0-9]{1,2})h")
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_SAMPLE: Final = datetime(2028, 1, 1, tzinfo=UTC)


class ScheduleInvalid(Exception):
    """The schedule, or its duration, is not one that Secrets Manager accepts. Its text is a sentence without an end."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which one rotation happens: from `opens_at`, before `closes_at`. `closes_at` is AWS's NextRotationDate."""

    opens_at: datetime
    closes_at: datetime

    def moment(self, key: str) -> datetime:
        """When inside the window the secret called `key` rotates: in its first half, so that there is time to try again."""
        seconds = int((self.closes_at - self.opens_at).total_seconds()) // 2
        drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
        return self.opens_at + timedelta(seconds=drawn % seconds)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Either `every` (a whole number of hours) or `cron`. `hours` is how long a window lasts; None: as long as it does by default."""

    every: timedelta | None = None
    cron: Cron | None = None
    hours: int | None = None

    def next_window(self, rotated_at: datetime, now: datetime) -> Window | None:
        """The window of the next rotation of a secret that was rotated (or given its schedule) at `rotated_at`.

        The first one that opens after `rotated_at` and has not closed at `now`: what was missed meanwhile, however often, is one rotation.
        None: the schedule names no further moment.
        """
        for opens_at in self._openings(rotated_at.astimezone(UTC), now.astimezone(UTC)):
            window = Window(opens_at, self._closes_at(opens_at))
            if window.closes_at > now:
                return window
        return None

    def windows(self, after: datetime, count: int) -> list[Window]:
        """The next `count` windows, each as if the one before had been kept. For a preview."""
        found: list[Window] = []
        rotated_at = after
        while len(found) < count:
            window = self.next_window(rotated_at, rotated_at)
            if window is None:
                break
            found.append(window)
            rotated_at = window.opens_at
        return found

    def longest_hours(self) -> int:
        """The longest time from one moment of this schedule to the next, in whole hours. Of a cron schedule: within three years."""
        if self.every is not None:
            return int(self.every // _HOUR)
        assert self.cron is not None, "a schedule has a rate or fields"
        return max(_gaps(self.cron, days=3 * 366), default=0)

    def _openings(self, rotated_at: datetime, now: datetime) -> Iterator[datetime]:
        if self.cron is not None:
            # A window that is open now opened less than a day ago.
            at = self.cron.after(max(rotated_at, now - _DAY))
            while at is not None:
                yield at
                at = self.cron.after(at)
            return
        assert self.every is not None, "a schedule has a rate or fields"
        midnight = datetime.combine(rotated_at.date(), time(), UTC)
        missed = max(1, (now - midnight) // self.every)  # a rate counts from the midnight before
        at = midnight + missed * self.every
        while True:
            if at > rotated_at:
                yield at
            at += self.every

    def _closes_at(self, opens_at: datetime) -> datetime:
        end_of_day = datetime.combine(opens_at.date() + _DAY, time(), UTC)
        hours = self.hours
        if hours is None:
            hours = 1 if self._counts_in_hours() else None
        return end_of_day if hours is None else min(end_of_day, opens_at + hours * _HOUR)

    def _counts_in_hours(self) -> bool:
        return len(self.cron.hours) > 1 if self.cron is not None else self.every is not None and bool(self.every % _DAY)


def parse_schedule(expression: str, duration: str | None = None) -> Schedule:
    """The schedule that `expression` and `duration` ("3h") mean.

    Raises:
        ScheduleInvalid: AWS would not accept it. Unverified: which sentence AWS says to which fault.
    """
    hours = _hours(duration)
    rate = _RATE.fullmatch(expression)
    if rate is not None:
        return _checked(Schedule(every=_every(int(rate[1]), rate[2]), hours=hours))
    fields = _CRON.fullmatch(expression)
    if fields is None:
        raise ScheduleInvalid("a schedule is rate(N hours), rate(N days) or cron(fields)")
    try:
        cron = parse(fields[1])
    except CronInvalid as fault:
        raise ScheduleInvalid(f"in the cron expression {fault}") from None
    if cron.minutes != (0,):
        raise ScheduleInvalid("a rotation window opens at a full hour: the minutes of the cron expression are 0")
    if not cron.any_year:
        raise ScheduleInvalid("the year of the cron expression is *")
    return _checked(Schedule(cron=cron, hours=hours))


def after_days(days: int, duration: str | None = None) -> Schedule:
    """The schedule of AutomaticallyAfterDays. Raises ScheduleInvalid: not 1 to 1,000 days, or a wrong duration.

    Source: RotationRulesType.AutomaticallyAfterDays, botocore model 2017-10-17 (1 to 1000).
    """
    if not 1 <= days <= 1_000:
        raise ScheduleInvalid("the days between rotations are 1 to 1000")
    return _checked(Schedule(every=days * _DAY, hours=_hours(duration)))


def _every(number: int, unit: str) -> timedelta:
    if unit.startswith("hour"):
        if number < LEAST_HOURS or number > MOST_DAYS * 24:
            raise ScheduleInvalid(f"a rate is at least {LEAST_HOURS} hours and at most {MOST_DAYS} days")
        return number * _HOUR
    if not 1 <= number <= MOST_DAYS:
        raise ScheduleInvalid(f"a rate is at least {LEAST_HOURS} hours and at most {MOST_DAYS} days")
    return number * _DAY


def _hours(duration: str | None) -> int | None:
    if duration is None:
        return None
    found = _DURATION.fullmatch(duration)
    if found is None or not 1 <= int(found[1]) <= 24:
        raise ScheduleInvalid("a duration is 1h to 24h")
    return int(found[1])


def _checked(schedule: Schedule) -> Schedule:
    """Raises ScheduleInvalid: windows come too often, reach into the next one, or past the end of their day."""
    hours = schedule.hours or 1
    starts = schedule.cron.hours if schedule.cron is not None else (0,)
    gaps = _gaps(schedule.cron) if schedule.cron is not None else []
    if schedule.every is not None:
        gaps = [schedule.every // _HOUR]
    if gaps and min(gaps) < LEAST_HOURS:
        raise ScheduleInvalid(f"there are at least {LEAST_HOURS} hours between two rotations")
    if gaps and hours > min(gaps):
        raise ScheduleInvalid("a rotation window must not extend into the next one")
    if starts[-1] + hours > 24:
        raise ScheduleInvalid("a rotation window must not extend into the next day")
    return schedule


def _gaps(cron: Cron, days: int = 366) -> list[int]:
    """The hours between one moment and the next, of a leap year: two late and early hours lie close where their days follow each other."""
    moments: list[datetime] = []
    at = cron.after(_SAMPLE)
    while at is not None and at < _SAMPLE + days * _DAY:
        moments.append(at)
        at = cron.after(at)
    return [(later - earlier) // _HOUR for earlier, later in pairwise(moments)]
