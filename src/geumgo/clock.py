"""The real clock. Everything else is handed a `Clock`, so that a test can turn it."""

import time
from typing import Final, Protocol

STEP_MS: Final = 60_000
"""A clock that goes back by more than this was set back (milliseconds). Less is what time servers do: time stands still until then."""


def seconds_since_start() -> float:
    """For how long this machine has been there (seconds), those in which it was suspended included.

    It never goes back, and all processes share it. time.monotonic() stands still while the machine is suspended, so it cannot tell whoever
    wakes for how long others were awake. Source: clock_gettime(2).
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock(Protocol):
    """What gives the time: `context.Clock`."""

    def now_ms(self) -> int: ...


class SystemClock:
    """The time of this machine."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Unix time in whole milliseconds."""
        return time.time_ns() // 1_000_000


class ForwardClock:
    """A clock that never goes back by itself: it stands still until the one behind it has caught up.

    `latest_ms` is the latest moment that is known of before, so that a clock that was set back while nobody looked is found out. Whoever
    looks after the process asks `set_back_ms`, does what is to be done, and lets it `follow`.
    """

    __slots__ = ("_behind", "_latest_ms")

    def __init__(self, behind: Clock, latest_ms: int = 0) -> None:
        self._behind = behind
        self._latest_ms = latest_ms

    def now_ms(self) -> int:
        """Unix time in whole milliseconds, never less than before."""
        now_ms = self._behind.now_ms()
        if now_ms > self._latest_ms:
            self._latest_ms = now_ms
        return self._latest_ms

    @property
    def set_back_ms(self) -> int:
        """By how much the clock was set back (milliseconds); 0 if by less than `STEP_MS`."""
        back_ms = self._latest_ms - self._behind.now_ms()
        return back_ms if back_ms > STEP_MS else 0

    def follow(self) -> int:
        """The time goes on from what the clock says now, however much earlier that is. Answers it."""
        self._latest_ms = self._behind.now_ms()
        return self._latest_ms
