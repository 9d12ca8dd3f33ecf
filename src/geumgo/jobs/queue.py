"""The table of promises: made and withdrawn by rooms, counted for the operator. See `lease` for the worker's side."""

import json
import secrets
from dataclasses import dataclass

from geumgo.context import Params, Place
from geumgo.storage import Tx
from geumgo.storage.text import unkept

LARGEST_PAYLOAD = 65_536  # characters; it holds names


def promise(
    tx: Tx,
    kind: str,
    place: Place,
    payload: Params,
    *,
    run_at_ms: int,
    lock: str | None = None,
    dedup: str | None = None,
) -> None:
    """A job of `kind` runs at `run_at_ms` or soon after, if this transaction commits.

    `lock`: of the jobs with one lock, one runs at a time. `dedup`: of the jobs with one dedup, one waits at a time; a
    second promise changes the waiting one's `payload`, and its `run_at_ms` if the new one is earlier. A job that runs
    is not a job that waits: a promise made meanwhile is a second job, which runs after the first one if they share a
    lock.
    """
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    assert len(text) <= LARGEST_PAYLOAD, f"{kind}: a job carries names, not {len(text)} characters"
    row = tx.one(
        unkept("""
        INSERT INTO job (id, kind, partition_name, account, region, payload, state, promised_for_ms, run_at_ms, lock,
        dedup,
                         attempts, fence)
        VALUES (:id, :kind, :partition, :account, :region, :payload, 'waiting', :run_at_ms, :run_at_ms, :lock, :dedup,
        0, 0) ON CONFLICT (dedup) WHERE state = 'waiting' DO UPDATE SET
            payload = excluded.payload,
            attempts = 0,
            run_at_ms = CASE WHEN excluded.run_at_ms < job.run_at_ms THEN excluded.run_at_ms ELSE job.run_at_ms END
        RETURNING kind, lock
        """),
        id=secrets.token_hex(16),
        kind=kind,
        partition=place.partition,
        account=place.account,
        region=place.region,
        payload=text,
        run_at_ms=run_at_ms,
        lock=lock,
        dedup=dedup,
    )
    assert row == (kind, lock), f"two kinds of job, or two locks, share the dedup {dedup}"


def withdraw(tx: Tx, dedup: str) -> int:
    """The job that waits under `dedup` never runs, if this transaction commits. Answers how many, 0 or 1."""
    return tx.run(unkept("DELETE FROM job WHERE dedup = :dedup AND state = 'waiting'"), dedup=dedup)


@dataclass(frozen=True, slots=True)
class Promised:
    """A job that is there: waiting for `run_at_ms`, running, or parked."""

    state: str
    run_at_ms: int
    attempts: int


def of_dedup(tx: Tx, dedup: str) -> list[Promised]:
    """The jobs that were promised under `dedup` and are still there: one that waits, those that run, those that were given up."""
    rows = tx.all(
        """
        SELECT state, run_at_ms, attempts FROM job WHERE dedup = :dedup AND state = 'waiting'
        UNION ALL SELECT state, run_at_ms, attempts FROM job WHERE dedup = :dedup AND state = 'parked'
        UNION ALL SELECT state, run_at_ms, attempts FROM job WHERE state = 'running' AND dedup = :dedup
        """,
        dedup=dedup,
    )
    return [Promised(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Parked:
    """A job that failed too often and waits for someone to look at it."""

    id: str
    kind: str
    place: Place
    attempts: int
    promised_for_ms: int
    last_error: str


def parked(tx: Tx, *, limit: int = 100) -> list[Parked]:
    """The parked jobs, those that were to run first first."""
    rows = tx.all(
        """
        SELECT id, kind, account, region, partition_name, attempts, promised_for_ms, last_error
        FROM job WHERE state = 'parked' ORDER BY promised_for_ms, id LIMIT :limit
        """,
        limit=limit,
    )
    return [
        Parked(id_, kind, Place(account, region, partition), attempts, promised_for_ms, last_error)
        for id_, kind, account, region, partition, attempts, promised_for_ms, last_error in rows
    ]


def revive(tx: Tx, job_id: str, *, run_at_ms: int) -> int:
    """The parked job runs again, as if for the first time. Answers 0 if it is not parked, or its twin waits."""
    return tx.run(
        """
        UPDATE job SET state = 'waiting', run_at_ms = :run_at_ms, attempts = 0
        WHERE id = :id AND state = 'parked'
          AND NOT EXISTS (SELECT 1 FROM job AS twin WHERE twin.dedup = job.dedup AND twin.state = 'waiting')
        """,
        id=job_id,
        run_at_ms=run_at_ms,
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """How full the table is. `oldest_due_ms` is when the job that has waited longest was due, or None."""

    waiting: int
    running: int
    parked: int
    oldest_due_ms: int | None


def counts(tx: Tx, *, now_ms: int) -> Counts:
    """The table of promises in four numbers, for health and metrics."""
    found: dict[str, int] = dict(tx.all("SELECT state, COUNT(*) FROM job GROUP BY state"))
    row = tx.one("SELECT MIN(run_at_ms) FROM job WHERE state = 'waiting' AND run_at_ms <= :now_ms", now_ms=now_ms)
    assert row is not None
    return Counts(found.get("waiting", 0), found.get("running", 0), found.get("parked", 0), row[0])
