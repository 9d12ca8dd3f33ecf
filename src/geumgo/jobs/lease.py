"""How a worker holds a job: taken, kept, given back. Every change names the fence that the job was taken with."""

import json
from dataclasses import dataclass

from geumgo.context import Params, Place
from geumgo.jobs import retry
from geumgo.storage import Tx
from geumgo.storage.text import unkept

LEASE_MS = 15_000  # beaten three times within, so that one lost beat does no harm
WORKER = "worker"  # the slot of the process that runs jobs, with which its name ends


class LeaseLost(Exception):
    """Another worker has taken the job over. Nothing was committed, and nothing will be."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A job in the hands of a worker. `attempt` is 1 for the first."""

    id: str
    kind: str
    place: Place
    payload: Params
    dedup: str | None
    attempt: int
    fence: int


def take(tx: Tx, *, owner: str, lane: int, now_ms: int) -> Lease | None:
    """A job that is due, now held by the worker `lane` of the process `owner`; or None.

    What another process has let go of comes first: its lease has run out. Within one process nothing is taken over,
    however far its clock may jump: there we know who runs what (see `adopt`).
    """
    found = _abandoned(tx, owner, now_ms) or _due(tx, now_ms)
    if found is None:
        return None
    row = tx.one(
        unkept("""
        UPDATE job SET state = 'running', owner = :owner, lane = :lane, lease_until_ms = :lease_until_ms,
                       fence = fence + 1, attempts = attempts + 1
        WHERE id = :id AND fence = :fence
        RETURNING kind, account, region, partition_name, payload, dedup, attempts, fence
        """),
        id=found[0],
        fence=found[1],
        owner=owner,
        lane=lane,
        lease_until_ms=now_ms + LEASE_MS,
    )
    assert row is not None, "a row that was read in this transaction changed under it"
    kind, account, region, partition, payload, dedup, attempts, fence = row
    return Lease(found[0], kind, Place(account, region, partition), json.loads(payload), dedup, attempts, fence)


def _abandoned(tx: Tx, owner: str, now_ms: int) -> tuple[str, int] | None:
    return tx.one(
        """
        SELECT id, fence FROM job
        WHERE state = 'running' AND lease_until_ms <= :now_ms AND owner <> :owner ORDER BY lease_until_ms LIMIT 1
        """,
        owner=owner,
        now_ms=now_ms,
    )


def _due(tx: Tx, now_ms: int) -> tuple[str, int] | None:
    return tx.one(
        """
        SELECT id, fence FROM job
        WHERE state = 'waiting' AND run_at_ms <= :now_ms
          AND NOT EXISTS (SELECT 1 FROM job AS other WHERE other.lock = job.lock AND other.state = 'running')
        ORDER BY run_at_ms, id LIMIT 1
        """,
        now_ms=now_ms,
    )


def next_at_ms(tx: Tx, *, owner: str) -> int | None:
    """When there is something to take: the earliest job that could run, or lease of others. None: never."""
    due = tx.one(
        """
        SELECT run_at_ms FROM job
        WHERE state = 'waiting'
          AND NOT EXISTS (SELECT 1 FROM job AS other WHERE other.lock = job.lock AND other.state = 'running')
        ORDER BY run_at_ms LIMIT 1
        """
    )
    abandoned = tx.one(
        """
        SELECT lease_until_ms FROM job WHERE state = 'running' AND owner <> :owner ORDER BY lease_until_ms LIMIT 1
        """,
        owner=owner,
    )
    return min((row[0] for row in (due, abandoned) if row), default=None)


def hold(tx: Tx, lease: Lease, *, now_ms: int) -> None:
    """The lease is ours for another while, and no other worker can take it before this transaction has ended.

    Raises:
        LeaseLost: another worker has it.
    """
    held = tx.run(
        unkept("""
        UPDATE job SET lease_until_ms = :lease_until_ms WHERE id = :id AND fence = :fence AND state = 'running'
        """),
        id=lease.id,
        fence=lease.fence,
        lease_until_ms=now_ms + LEASE_MS,
    )
    if not held:
        raise LeaseLost(f"{lease.kind}: the job was taken over")


def is_at_work(tx: Tx, owner: str, *, now_ms: int) -> bool:
    """Whether a process holds a job. If a worker does not, what it ran for one has ended, or is broken off as soon as it moves."""
    row = tx.one(
        "SELECT 1 FROM job WHERE state = 'running' AND owner = :owner AND lease_until_ms > :now_ms LIMIT 1",
        owner=owner,
        now_ms=now_ms,
    )
    return row is not None


def finish(tx: Tx, lease: Lease) -> None:
    """The job is done: its row is gone, and so are the parked ones that it makes up for.

    Raises:
        LeaseLost: another worker has it.
    """
    gone = tx.run(
        unkept("DELETE FROM job WHERE id = :id AND fence = :fence AND state = 'running'"),
        id=lease.id,
        fence=lease.fence,
    )
    if not gone:
        raise LeaseLost(f"{lease.kind}: the job was taken over")
    tx.run(unkept("DELETE FROM job WHERE dedup = :dedup AND state = 'parked'"), dedup=lease.dedup)


def put_off(tx: Tx, lease: Lease, *, until_ms: int) -> None:
    """The job waits until `until_ms`; this attempt does not count. Does nothing if another worker has it."""
    _give_back(tx, lease, "waiting", until_ms, lease.attempt - 1, None)


def fail(tx: Tx, lease: Lease, *, error: str, now_ms: int, for_ever: bool = False) -> None:
    """The job waits for its next try, or is parked after its last, unless it is tried `for_ever`. Does nothing if another worker has it."""
    state = "parked" if retry.is_hopeless(lease.attempt) and not for_ever else "waiting"
    _give_back(tx, lease, state, now_ms + retry.wait_ms(lease.attempt), lease.attempt, error)


def adopt(tx: Tx, *, owner: str, lane: int | None, now_ms: int, counts: bool = True) -> int:
    """What the worker `lane` of `owner` (None: any of them) left running waits again, due now. Answers how many.

    Only for a worker that runs nothing: what stands under its name was left by an earlier process, or by itself when it
    could not write down how a run had ended. That attempt `counts` if the job may have killed its process.
    """
    rows = tx.all(
        """
        SELECT id, kind, dedup, attempts, fence FROM job
        WHERE state = 'running' AND owner = :owner AND (lane = :lane OR CAST(:lane AS BIGINT) IS NULL) ORDER BY id
        """,
        owner=owner,
        lane=lane,
    )
    for id_, kind, dedup, attempts, fence in rows:
        left = Lease(id_, kind, Place("", ""), {}, dedup, attempts, fence)
        state = "parked" if counts and retry.is_hopeless(attempts) else "waiting"
        _give_back(tx, left, state, now_ms, attempts if counts else attempts - 1, "Abandoned")
    return len(rows)


def _give_back(tx: Tx, lease: Lease, state: str, run_at_ms: int, attempts: int, error: str | None) -> None:
    """The job runs no more. If its twin waits already, with a newer payload, the twin stands for both."""
    twin = tx.one("SELECT 1 FROM job WHERE dedup = :dedup AND state = 'waiting'", dedup=lease.dedup)
    if twin and state == "waiting":
        tx.run(
            unkept("DELETE FROM job WHERE id = :id AND fence = :fence AND state = 'running'"),
            id=lease.id,
            fence=lease.fence,
        )
        return
    tx.run(
        unkept("""
        UPDATE job SET state = :state, run_at_ms = :run_at_ms, attempts = :attempts, last_error = :error,
                       lease_until_ms = NULL
        WHERE id = :id AND fence = :fence AND state = 'running'
        """),
        id=lease.id,
        fence=lease.fence,
        state=state,
        run_at_ms=run_at_ms,
        attempts=attempts,
        error=error,
    )
