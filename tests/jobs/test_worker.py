"""Jobs run: once each, one per lock, again after a failure, and never by a worker that has lost its lease."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from geumgo.context import Params, Work
from geumgo.jobs import LeaseLost, TryLater, promise
from geumgo.jobs.lease import LEASE_MS
from geumgo.jobs.retry import MOST_ATTEMPTS, wait_ms
from geumgo.jobs.worker import AWAY_MS, CONFLICT_WAIT_MS, still_held
from geumgo.storage import Conflict, Full, Storage, StorageError, Taken, Tx, Violated
from tests.jobs.conftest import HERE, Bench
from tests.storage.processes import open_again, storage_at


def finish(work: Work, payload: Params) -> None:
    with work.finishing():
        pass


def break_down(work: Work, payload: Params) -> None:
    raise LookupError("the value is hunter2")


def test_a_job_runs_when_it_is_due_and_not_before(bench: Bench) -> None:
    bench.handlers["work"] = finish
    bench.promise(after_ms=1_000)
    worker = bench.worker()
    assert worker.run_due() == 0
    bench.clock.turn(ms=999)
    assert worker.run_due() == 0
    bench.clock.turn(ms=1)
    assert worker.run_due() == 1
    assert worker.run_due() == 0


def test_jobs_run_in_the_order_of_their_times(bench: Bench) -> None:
    seen = []

    @bench.handles("work")
    def note(work: Work, payload: Params) -> None:
        seen.append(payload["Name"])
        finish(work, payload)

    bench.promise(payload={"Name": "second"}, after_ms=-1)
    bench.promise(payload={"Name": "first"}, after_ms=-2)
    assert bench.worker().run_due() == 2
    assert seen == ["first", "second"]


def test_the_last_change_and_the_end_of_the_job_are_one_commit(bench: Bench) -> None:
    with bench.storage.writing() as tx:
        tx.run("CREATE TABLE kept (id BIGINT PRIMARY KEY)")

    @bench.handles("work")
    def fail_at_the_end(work: Work, payload: Params) -> None:
        with work.finishing() as tx:
            tx.run("INSERT INTO kept (id) VALUES (1)")
            if work.attempt == 1:
                raise LookupError

    bench.promise()
    worker = bench.worker()
    worker.run_due()
    with bench.storage.reading() as tx:
        assert tx.all("SELECT id FROM kept") == []
    bench.clock.turn(ms=wait_ms(1))
    worker.run_due()
    with bench.storage.reading() as tx:
        assert tx.all("SELECT id FROM kept") == [(1,)]
    assert bench.rows() == []


def test_a_job_may_promise_the_next_one_under_the_same_lock_and_dedup(bench: Bench) -> None:
    steps = []

    @bench.handles("step")
    def step(work: Work, payload: Params) -> None:
        steps.append(payload["Step"])
        with work.finishing() as tx:
            if payload["Step"] < 4:
                names = {"Step": payload["Step"] + 1}
                promise(tx, "step", HERE, names, run_at_ms=work.clock.now_ms(), lock="arn", dedup="arn")

    bench.promise("step", {"Step": 1}, lock="arn", dedup="arn")
    assert bench.worker().run_due() == 4
    assert steps == [1, 2, 3, 4]


def test_a_failed_job_waits_longer_each_time_and_is_parked_in_the_end(bench: Bench) -> None:
    bench.handlers["work"] = break_down
    bench.promise()
    worker = bench.worker()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert worker.run_due() == 1
        assert bench.rows("attempts, run_at_ms") == [(attempt, bench.clock.now_ms() + wait_ms(attempt))]
        bench.clock.turn(ms=wait_ms(attempt))
    assert bench.rows() == ["parked"]
    bench.clock.turn(days=1)
    assert worker.run_due() == 0
    assert len(bench.failures) == MOST_ATTEMPTS


def test_the_row_keeps_the_class_of_an_error_and_not_its_text(bench: Bench) -> None:
    bench.handlers["work"] = break_down
    bench.promise()
    bench.worker().run_due()
    assert bench.rows("last_error") == ["LookupError"]


def test_a_job_that_succeeds_clears_the_parked_ones_that_it_makes_up_for(bench: Bench) -> None:
    bench.handlers["work"] = finish
    bench.promise(dedup="replica")
    with bench.storage.writing() as tx:
        tx.run("UPDATE job SET state = 'parked'")
    bench.promise(dedup="other")
    assert bench.worker().run_due() == 1
    assert bench.rows() == ["parked"]
    bench.promise(dedup="replica")
    assert bench.worker().run_due() == 1
    assert bench.rows() == []


def test_a_job_that_is_put_off_uses_up_no_attempt(bench: Bench) -> None:
    @bench.handles("work")
    def not_yet(work: Work, payload: Params) -> None:
        raise TryLater(5_000)

    bench.promise()
    worker = bench.worker()
    for _ in range(3):
        assert worker.run_due() == 1
        assert bench.rows("attempts, run_at_ms, last_error") == [(0, bench.clock.now_ms() + 5_000, None)]
        bench.clock.turn(ms=5_000)
    assert bench.failures == []


def test_a_job_that_lost_a_race_runs_again_soon_and_uses_up_no_attempt(bench: Bench) -> None:
    runs = []

    @bench.handles("work")
    def race(work: Work, payload: Params) -> None:
        runs.append(work.attempt)
        if len(runs) == 1:
            raise Conflict("another transaction came first")
        finish(work, payload)

    bench.promise()
    worker = bench.worker()
    assert worker.run_due() == 1
    assert bench.rows("attempts, last_error") == [(0, None)]
    bench.clock.turn(ms=CONFLICT_WAIT_MS)
    assert worker.run_due() == 1
    assert runs == [1, 1]


def test_a_job_whose_storage_is_away_is_tried_again_soon_and_uses_up_no_attempt(bench: Bench) -> None:
    """It is none of the job's doing, however often it happens: a rotation that was given up for it would keep its AWSPENDING for ever."""

    @bench.handles("work")
    def meet_nobody(work: Work, payload: Params) -> None:
        raise StorageError("the database is out of reach")

    bench.promise()
    worker = bench.worker()
    for _ in range(MOST_ATTEMPTS + 1):
        assert worker.run_due() == 1
        assert bench.rows("state, attempts, run_at_ms") == [("waiting", 0, bench.clock.now_ms() + AWAY_MS)]
        bench.clock.turn(ms=AWAY_MS)
    assert len(bench.failures) == MOST_ATTEMPTS + 1
    bench.handlers["work"] = finish
    assert worker.run_due() == 1
    assert bench.rows() == []


def test_a_job_that_finds_no_space_waits_longer_each_time_and_is_never_parked(bench: Bench) -> None:
    """What it does outside, it would do again at each try: it is not tried every moment. With space it is, whenever that comes."""

    @bench.handles("work")
    def find_no_space(work: Work, payload: Params) -> None:
        raise Full("no space is left")

    bench.promise()
    worker = bench.worker()
    for attempt in range(1, MOST_ATTEMPTS + 2):
        assert worker.run_due() == 1
        assert bench.rows("state, run_at_ms") == [("waiting", bench.clock.now_ms() + wait_ms(attempt))]
        bench.clock.turn(ms=wait_ms(attempt))
    bench.handlers["work"] = finish
    assert worker.run_due() == 1
    assert bench.rows() == []


def test_a_row_that_breaks_the_schema_counts_as_a_failure(bench: Bench) -> None:
    @bench.handles("work")
    def break_the_schema(work: Work, payload: Params) -> None:
        raise Violated("a value is missing")

    bench.promise()
    bench.worker().run_due()
    assert bench.rows("attempts, last_error") == [(1, "Violated")]


class Leaving:
    """A storage that is out of reach while `away`."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self.away = storage, False
        self.reading = storage.reading

    @contextmanager
    def writing(self, **how: bool) -> Iterator[Tx]:
        if self.away:
            raise StorageError("the database is out of reach")
        with self._storage.writing(**how) as tx:
            yield tx


def test_a_worker_that_could_not_write_down_how_a_job_ended_uses_up_no_attempt(bench: Bench) -> None:
    storage = Leaving(bench.storage)

    @bench.handles("work")
    def lose_it(work: Work, payload: Params) -> None:
        storage.away = True
        with work.writing():
            raise AssertionError("it is out of reach")

    bench.promise()
    worker = bench.worker(storage=cast("Storage", storage))
    for _ in range(MOST_ATTEMPTS + 1):
        with pytest.raises(StorageError):
            worker.run_due()
        assert bench.rows("state") == ["running"]
        storage.away = False
    bench.handlers["work"] = finish
    assert worker.run_due() == 1
    assert bench.rows() == []


def test_a_unique_value_that_is_taken_counts_as_a_failure(bench: Bench) -> None:
    @bench.handles("work")
    def take(work: Work, payload: Params) -> None:
        raise Taken("a unique value is there already")

    bench.promise()
    bench.worker().run_due()
    assert bench.rows("attempts, last_error") == [(1, "Taken")]


def test_a_failed_job_gives_way_to_a_twin_that_was_promised_meanwhile(bench: Bench) -> None:
    @bench.handles("work")
    def promise_and_fail(work: Work, payload: Params) -> None:
        bench.promise(payload={"Revision": 2}, dedup="replica", after_ms=1)
        raise LookupError

    bench.promise(payload={"Revision": 1}, dedup="replica")
    bench.worker().run_due()
    assert bench.rows("payload, state") == [('{"Revision":2}', "waiting")]


def test_a_handler_that_does_not_finish_is_a_programmers_error(bench: Bench) -> None:
    bench.handlers["work"] = lambda work, payload: None
    bench.promise()
    with pytest.raises(AssertionError, match="returned without finishing"):
        bench.worker().run_due()
    assert bench.rows("state, last_error") == [("waiting", "AssertionError")]


def test_a_handler_cannot_write_after_it_has_finished(bench: Bench) -> None:
    @bench.handles("work")
    def twice(work: Work, payload: Params) -> None:
        finish(work, payload)
        with work.writing():
            pass

    bench.promise()
    with pytest.raises(AssertionError, match="finished already"):
        bench.worker().run_due()
    assert bench.rows() == []


def test_an_unknown_kind_waits_for_a_program_that_knows_it(bench: Bench) -> None:
    bench.promise("newer")
    bench.worker().run_due()
    assert bench.rows("state, last_error") == [("waiting", "NoHandler")]


def test_of_one_lock_one_job_runs(bench: Bench) -> None:
    other = storage_at(open_again(bench.storage))
    ran_beside = []

    @bench.handles("work")
    def look_beside(work: Work, payload: Params) -> None:
        if payload["Name"] == "first":
            ran_beside.append(bench.worker("other", storage=other).run_due())
        finish(work, payload)

    bench.promise(payload={"Name": "first"}, lock="arn", after_ms=-1)
    bench.promise(payload={"Name": "second"}, lock="arn")
    bench.promise(payload={"Name": "third"}, lock="another arn")
    assert bench.worker().run_due() == 2
    assert ran_beside == [1]
    other.close()


def test_the_database_itself_refuses_a_second_running_job_of_one_lock(bench: Bench) -> None:
    bench.promise(lock="arn")
    bench.promise(lock="arn")
    with pytest.raises(StorageError), bench.storage.writing() as tx:
        tx.run("UPDATE job SET state = 'running'")


def test_a_worker_that_was_overtaken_changes_nothing(bench: Bench) -> None:
    with bench.storage.writing() as tx:
        tx.run("CREATE TABLE kept (id BIGINT PRIMARY KEY)")
    other = storage_at(open_again(bench.storage))
    lost = []

    @bench.handles("work")
    def slow(work: Work, payload: Params) -> None:
        if work.attempt == 1:  # paused for longer than its lease; meanwhile another worker does the job
            bench.clock.turn(ms=LEASE_MS)
            assert bench.worker("other", storage=other).run_due() == 1
            for block in (work.writing, work.finishing):
                with pytest.raises(LeaseLost) as caught, block() as tx:
                    tx.run("INSERT INTO kept (id) VALUES (1)")
                lost.append(caught.value)
            raise lost[0]
        with work.finishing() as tx:
            tx.run("INSERT INTO kept (id) VALUES (2)")

    bench.promise(lock="arn")
    assert bench.worker().run_due() == 1
    assert len(lost) == 2
    with bench.storage.reading() as tx:
        assert tx.all("SELECT id FROM kept") == [(2,)]
    assert bench.rows() == []
    other.close()


def test_a_lease_that_has_not_run_out_is_respected(bench: Bench) -> None:
    other = storage_at(open_again(bench.storage))
    taken_over = []

    @bench.handles("work")
    def slow(work: Work, payload: Params) -> None:
        bench.clock.turn(ms=LEASE_MS - 1)
        taken_over.append(bench.worker("other", storage=other).run_due())
        finish(work, payload)

    bench.promise()
    assert bench.worker().run_due() == 1
    assert taken_over == [0]
    other.close()


def test_a_beat_keeps_the_lease_of_a_job_that_takes_long(bench: Bench) -> None:
    other = storage_at(open_again(bench.storage))
    worker = bench.worker()
    taken_over = []

    @bench.handles("work")
    def slow(work: Work, payload: Params) -> None:
        for _ in range(5):
            bench.clock.turn(ms=LEASE_MS - 1)
            worker.beat(other)
            taken_over.append(bench.worker("other", storage=other).run_due())
        finish(work, payload)

    bench.promise()
    assert worker.run_due() == 1
    assert taken_over == [0] * 5
    other.close()


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


def test_a_worker_that_wakes_while_another_one_runs_its_job_changes_nothing(bench: Bench) -> None:
    with bench.storage.writing() as tx:
        tx.run("CREATE TABLE kept (id BIGINT PRIMARY KEY)")
    other = storage_at(open_again(bench.storage))
    refused = []

    @bench.handles("work")
    def slow(work: Work, payload: Params) -> None:
        if work.attempt == 2:
            raise Killed  # leaves the job running, under the fence of the second worker
        bench.clock.turn(ms=LEASE_MS)
        with pytest.raises(Killed):
            bench.worker("other", storage=other).run_due()
        for block in (work.writing, work.finishing):
            with pytest.raises(LeaseLost) as caught, block() as tx:
                tx.run("INSERT INTO kept (id) VALUES (1)")
            refused.append(caught.value)
        raise LookupError("what goes wrong now is not recorded either")

    bench.promise(lock="arn")
    assert bench.worker().run_due() == 1
    assert len(refused) == 2
    assert bench.rows("state, owner, fence, last_error") == [("running", "other", 2, None)]
    with bench.storage.reading() as tx:
        assert tx.all("SELECT id FROM kept") == []
    other.close()


def test_a_beat_does_not_prolong_the_lease_of_another_worker(bench: Bench) -> None:
    other = storage_at(open_again(bench.storage))
    worker = bench.worker()
    until = []

    @bench.handles("work")
    def slow(work: Work, payload: Params) -> None:
        if work.attempt == 2:
            raise Killed
        bench.clock.turn(ms=LEASE_MS)
        with pytest.raises(Killed):
            bench.worker("other", storage=other).run_due()
        until.extend(bench.rows("lease_until_ms"))
        bench.clock.turn(ms=1)
        worker.beat(other)
        until.extend(bench.rows("lease_until_ms"))

    bench.promise()
    with pytest.raises(AssertionError, match="without finishing"):
        worker.run_due()
    assert until[0] == until[1]
    other.close()


def test_what_runs_in_a_job_is_told_when_its_lease_was_not_kept_for_two_beats(bench: Bench) -> None:
    other = storage_at(open_again(bench.storage))
    worker = bench.worker()
    held = [still_held()]

    @bench.handles("work")
    def slow(work: Work, payload: Params) -> None:
        held.append(still_held())
        worker._held_at -= LEASE_MS * 2 / 3_000
        held.append(still_held())
        worker.beat(other)
        held.append(still_held())
        finish(work, payload)

    bench.promise()
    worker.run_due()
    assert held == [True, True, False, True]
    assert still_held(), "nothing runs here"
    other.close()


def test_what_runs_in_a_job_is_told_when_another_worker_has_it(bench: Bench) -> None:
    other = storage_at(open_again(bench.storage))
    worker = bench.worker()
    held = []

    @bench.handles("work")
    def slow(work: Work, payload: Params) -> None:
        if work.attempt == 2:
            raise Killed
        bench.clock.turn(ms=LEASE_MS)
        with pytest.raises(Killed):
            bench.worker("other", storage=other).run_due()
        worker.beat(other)
        held.append(worker.is_held())

    bench.promise()
    with pytest.raises(AssertionError, match="without finishing"):
        worker.run_due()
    assert held == [False]
    other.close()


def test_what_a_killed_worker_left_is_run_at_once_by_the_next_of_its_name(bench: Bench) -> None:
    @bench.handles("work")
    def die_first(work: Work, payload: Params) -> None:
        if work.attempt == 1:
            raise Killed
        finish(work, payload)

    bench.promise(lock="arn")
    with pytest.raises(Killed):
        bench.worker().run_due()
    assert bench.rows("state, fence") == [("running", 1)]
    assert bench.worker("other").run_due() == 0
    assert bench.worker().run_due() == 1
    assert bench.rows() == []


def test_what_a_lost_machine_left_is_run_when_its_lease_is_over(bench: Bench) -> None:
    @bench.handles("work")
    def die_first(work: Work, payload: Params) -> None:
        if work.attempt == 1:
            raise Killed
        finish(work, payload)

    bench.promise(lock="arn")
    with pytest.raises(Killed):
        bench.worker().run_due()
    bench.clock.turn(ms=LEASE_MS)
    assert bench.worker("other").run_due() == 1


def test_a_job_that_kills_its_worker_each_time_is_parked(bench: Bench) -> None:
    @bench.handles("work")
    def die(work: Work, payload: Params) -> None:
        raise Killed

    bench.promise()
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(Killed):
            bench.worker().run_due()
    assert bench.worker().run_due() == 0
    assert bench.rows("state, last_error") == [("parked", "Abandoned")]


def test_an_event_of_a_job_carries_its_place(bench: Bench) -> None:
    @bench.handles("work")
    def tell(work: Work, payload: Params) -> None:
        work.event("RotationStarted", SecretId="db")
        finish(work, payload)

    bench.promise()
    bench.worker().run_due()
    assert bench.events == [(HERE, "RotationStarted", {"SecretId": "db"})]


def test_the_loop_runs_what_is_due_until_it_is_stopped(bench: Bench) -> None:
    stop = threading.Event()

    @bench.handles("work")
    def stop_after(work: Work, payload: Params) -> None:
        finish(work, payload)
        if payload["Last"]:
            stop.set()

    bench.promise(payload={"Last": False}, after_ms=-1)
    bench.promise(payload={"Last": True})
    bench.promise(payload={"Last": True}, after_ms=1_000)
    bench.worker().run(stop)
    assert bench.rows() == ["waiting"]
