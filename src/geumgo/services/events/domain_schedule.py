"""When a scheduled rule runs: rate and cron expressions. Pure. All times are UTC.

Source: "Creating a rule that runs on a schedule", EventBridge user guide; ScheduleExpression, PutRule, API reference.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from geumgo.domain.cron import Cron, CronInvalid, parse

_RATE: Final = re.compile(r"rate\(([1-9][0-9]{0,8}) (minute|hour|day)(s?)\)")
_CRON: Final = re.compile(r"cron\((.+)\)")
_UNITS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_LONGEST: Final = timedelta(days=366 * 100)


class InvalidSchedule(Exception):
    """The text is no schedule."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Either `every` or `cron` is set."""

    every_ms: int | None = None
    cron: Cron | None = None

    def next_ms(self, since_ms: int, now_ms: int) -> int | None:
        """The first moment after `now_ms`; None if there is none. A rate counts from `since_ms`. What was missed is missed."""
        if self.every_ms is not None:
            return since_ms + max(1, (now_ms - since_ms) // self.every_ms + 1) * self.every_ms
        assert self.cron is not None, "a schedule has a rate or fields"
        found = self.cron.after(datetime.fromtimestamp(now_ms / 1000, UTC))
        return None if found is None else round(found.timestamp() * 1000)


@lru_cache(maxsize=256)
def parse_schedule(text: str) -> Schedule:
    """The schedule that `text` means: `rate(5 minutes)`, `cron(0 12 * * ? *)`. Raises InvalidSchedule."""
    rate = _RATE.fullmatch(text)
    if rate is not None:
        number, unit, plural = int(rate[1]), rate[2], bool(rate[3])
        every = number * _UNITS[unit] if number <= 10_000_000 else _LONGEST * 2
        if plural == (number == 1) or every > _LONGEST:
            raise InvalidSchedule(text)
        return Schedule(every_ms=int(every.total_seconds()) * 1000)
    cron = _CRON.fullmatch(text)
    if cron is None:
        raise InvalidSchedule(text)
    try:
        return Schedule(cron=parse(cron[1]))
    except CronInvalid:
        raise InvalidSchedule(text) from None
