"""The real clock. Everything else is handed a `Clock`, so that a test can turn it."""

import time


class SystemClock:
    """The time of this machine."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Unix time in whole milliseconds."""
        return time.time_ns() // 1_000_000
