"""When a failed job is tried again. Pure."""

FIRST_WAIT_MS = 1_000
LONGEST_WAIT_MS = 600_000
MOST_ATTEMPTS = 25  # about three hours


class TryLater(Exception):
    """Raised by a handler: not now, but in `after_ms`. It is no failure and does not count as one.

    For what lies with others and is known to pass: another site out of reach, a function that is still busy.
    """

    def __init__(self, after_ms: int) -> None:
        super().__init__(f"try again in {after_ms} ms")
        self.after_ms = after_ms


def wait_ms(attempts: int) -> int:
    """How long a job waits after it has failed `attempts` times (1 or more): doubled each time, up to ten minutes."""
    return min(FIRST_WAIT_MS << min(attempts - 1, 30), LONGEST_WAIT_MS)


def is_hopeless(attempts: int) -> bool:
    """Whether a job that has failed `attempts` times is parked."""
    return attempts >= MOST_ATTEMPTS
