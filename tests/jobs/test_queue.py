"""Promises: made in the transaction that asks for them, one waiting per dedup."""

import pytest

from geumgo.jobs import TABLES, promise, withdraw
from geumgo.jobs.queue import Promised, counts, of_dedup, parked, revive
from geumgo.storage import Storage
from geumgo.storage.migrate import migrate
from tests.jobs.conftest import HERE, Bench


def test_a_promise_of_a_transaction_that_fails_is_never_kept(bench: Bench) -> None:
    def promise_and_fail() -> None:
        with bench.storage.writing() as tx:
            promise(tx, "work", HERE, {}, run_at_ms=0)
            raise LookupError

    with pytest.raises(LookupError):
        promise_and_fail()
    assert bench.rows() == []


def test_a_second_promise_under_one_dedup_changes_the_payload_of_the_waiting_one(bench: Bench) -> None:
    bench.promise(payload={"Revision": 1}, dedup="replica")
    bench.promise(payload={"Revision": 2}, dedup="replica")
    assert bench.rows("payload") == ['{"Revision":2}']


@pytest.mark.parametrize(("first_ms", "second_ms", "waits_until_ms"), [(500, 100, 100), (100, 500, 100)])
def test_the_earlier_time_of_two_promises_counts(
    bench: Bench, first_ms: int, second_ms: int, waits_until_ms: int
) -> None:
    bench.promise(dedup="replica", after_ms=first_ms)
    bench.promise(dedup="replica", after_ms=second_ms)
    assert bench.rows("run_at_ms") == [bench.clock.now_ms() + waits_until_ms]


def test_promises_without_a_dedup_are_all_kept(bench: Bench) -> None:
    bench.promise()
    bench.promise()
    assert bench.rows() == ["waiting", "waiting"]


def test_two_kinds_of_job_cannot_share_a_dedup(bench: Bench) -> None:
    bench.promise("work", dedup="replica")
    with pytest.raises(AssertionError, match="share the dedup"):
        bench.promise("other", dedup="replica")


def test_a_payload_carries_names_and_no_bytes(bench: Bench) -> None:
    with pytest.raises(TypeError):
        bench.promise(payload={"Value": b"secret"})


def test_a_withdrawn_promise_is_never_kept(bench: Bench) -> None:
    bench.promise(dedup="purge")
    bench.promise(dedup="other")
    with bench.storage.writing() as tx:
        assert withdraw(tx, "purge") == 1
        assert withdraw(tx, "purge") == 0
    assert bench.rows("dedup") == ["other"]


def test_the_operator_sees_how_full_the_table_is(bench: Bench) -> None:
    bench.promise(after_ms=-5)
    bench.promise(after_ms=5)
    with bench.storage.reading() as tx:
        found = counts(tx, now_ms=bench.clock.now_ms())
    assert (found.waiting, found.running, found.parked) == (2, 0, 0)
    assert found.oldest_due_ms == bench.clock.now_ms() - 5


def test_a_parked_job_is_seen_and_runs_again_when_it_is_revived(bench: Bench) -> None:
    bench.promise("work", dedup="replica")
    with bench.storage.writing() as tx:
        tx.run("UPDATE job SET state = 'parked', last_error = 'Broke', attempts = 25")
    with bench.storage.writing() as tx:
        (job,) = parked(tx)
        assert (job.kind, job.place, job.attempts, job.last_error) == ("work", HERE, 25, "Broke")
        assert revive(tx, job.id, run_at_ms=7) == 1
        assert revive(tx, job.id, run_at_ms=7) == 0
    assert bench.rows("state, run_at_ms, attempts") == [("waiting", 7, 0)]


def test_a_parked_job_is_not_revived_beside_its_waiting_twin(bench: Bench) -> None:
    bench.promise(dedup="replica")
    with bench.storage.writing() as tx:
        tx.run("UPDATE job SET state = 'parked', last_error = 'Broke'")
    bench.promise(dedup="replica")
    with bench.storage.writing() as tx:
        assert revive(tx, parked(tx)[0].id, run_at_ms=7) == 0


@pytest.mark.parametrize("state", ["waiting", "parked"])
def test_one_job_of_many_is_found_by_its_dedup_without_a_look_at_each(sqlite_storage: Storage, state: str) -> None:
    """A job that ends looks for its parked twin: with ten thousand schedules waiting, that must not be a walk through all of them."""
    migrate(sqlite_storage, [TABLES])
    with sqlite_storage.reading() as tx:
        plan = tx.all(f"EXPLAIN QUERY PLAN SELECT id FROM job WHERE dedup = 'x' AND state = '{state}'")
    assert "INDEX job_" in str(plan), plan


def test_what_was_promised_under_a_dedup_is_told(bench: Bench) -> None:
    bench.promise(dedup="replica", after_ms=500)
    bench.promise(dedup="other")
    with bench.storage.reading() as tx:
        assert of_dedup(tx, "replica") == [Promised("waiting", bench.clock.now_ms() + 500, 0)]
        assert of_dedup(tx, "none") == []
