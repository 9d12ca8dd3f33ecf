"""A clock that is turned by hand."""

DAY_MS = 86_400_000
START_MS = 1_790_000_000_000  # 2026-09-21T14:13:20Z


class TurnedClock:
    """Stands still until it is turned."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def turn(self, *, ms: int = 0, days: int = 0) -> None:
        """Move on (or back, when negative)."""
        self._now_ms += ms + days * DAY_MS
