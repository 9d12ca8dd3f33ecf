"""The table of promises. See `promise`."""

from geumgo.context import Params, Place
from geumgo.storage import Tx


def promise(
    tx: Tx, kind: str, place: Place, payload: Params, *, run_at_ms: int, lock: str | None = None, dedup: str | None = None
) -> None:
    """A job of `kind` runs at `run_at_ms` or soon after, if this transaction commits.

    `lock`: of the jobs with one lock, one runs at a time. `dedup`: of the jobs with one dedup, one waits at a time; a second promise
    changes the waiting one's `payload`, and its `run_at_ms` if the new one is earlier.
    """
    raise NotImplementedError


def withdraw(tx: Tx, dedup: str) -> int:
    """The job that waits under `dedup` never runs, if this transaction commits. Answers how many were taken back, 0 or 1."""
    raise NotImplementedError
