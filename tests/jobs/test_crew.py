"""Workers side by side: jobs are shared, leases are kept, and a worker that dies ends the crew."""

import threading
from collections.abc import Callable

import pytest

from geumgo.clock import SystemClock
from geumgo.context import Params, Work
from geumgo.jobs.crew import Crew
from geumgo.jobs.worker import Handler, Worker
from geumgo.storage import Broken, Storage
from tests.jobs.conftest import NO_SEALING, Bench
from tests.storage.processes import open_again, storage_at


def crew_of(bench: Bench, *, lanes: int, handlers: dict[str, Handler] | None = None) -> Crew:
    clock = SystemClock()

    def make_worker(storage: Storage, lane: int) -> Worker:
        return Worker(
            storage,
            bench.handlers if handlers is None else handlers,
            clock,
            NO_SEALING,
            owner="crew",
            lane=lane,
            event=lambda *_: None,
            note=bench.failures.append,
        )

    name = open_again(bench.storage)
    return Crew(lambda: storage_at(name), make_worker, clock, owner="crew", lanes=lanes, note=bench.failures.append)


def stopping_after(number: int, stop: threading.Event) -> Callable[[], None]:
    left = [number]
    lock = threading.Lock()

    def done() -> None:
        with lock:
            left[0] -= 1
            if not left[0]:
                stop.set()

    return done


def test_every_job_runs_once_whatever_the_number_of_lanes(bench: Bench) -> None:
    stop, seen = threading.Event(), []
    done = stopping_after(30, stop)

    @bench.handles("work")
    def note(work: Work, payload: Params) -> None:
        with work.finishing():
            pass
        seen.append(payload["Number"])
        done()

    for number in range(30):
        bench.promise(payload={"Number": number}, lock=f"lock {number % 7}")
    crew_of(bench, lanes=4).run(stop)
    assert sorted(seen) == list(range(30))
    assert bench.rows() == []


def test_jobs_of_different_locks_run_side_by_side_and_of_one_lock_they_do_not(bench: Bench) -> None:
    stop = threading.Event()
    done = stopping_after(6, stop)
    started = {"a": threading.Event(), "b": threading.Event()}
    alone = {"a": threading.Lock(), "b": threading.Lock()}

    @bench.handles("work")
    def wait_for_the_other(work: Work, payload: Params) -> None:
        mine, other = payload["Names"]
        assert alone[mine].acquire(blocking=False)
        try:
            started[mine].set()
            assert started[other].wait(20)
            with work.finishing():
                pass
        finally:
            alone[mine].release()
        done()

    for _ in range(3):
        bench.promise(payload={"Names": ["a", "b"]}, lock="a")
        bench.promise(payload={"Names": ["b", "a"]}, lock="b")
    crew_of(bench, lanes=4).run(stop)
    assert bench.failures == []
    assert bench.rows() == []


def test_what_the_crew_before_left_running_is_run_by_the_next(bench: Bench) -> None:
    stop = threading.Event()

    @bench.handles("work")
    def finish(work: Work, payload: Params) -> None:
        with work.finishing():
            pass
        stop.set()

    bench.promise()
    with bench.storage.writing() as tx:
        tx.run(
            "UPDATE job SET state = 'running', owner = 'crew', lane = 9, lease_until_ms = :far, fence = 1", far=2**62
        )
    crew_of(bench, lanes=1).run(stop)
    assert bench.rows() == []


def test_a_lane_that_sees_a_broken_storage_ends_the_crew(bench: Bench) -> None:
    def see_it_break(work: Work, payload: Params) -> None:
        raise Broken("the disk fails")

    bench.promise()
    with pytest.raises(Broken, match="the disk fails"):
        crew_of(bench, lanes=2, handlers={"work": see_it_break}).run(threading.Event())
    assert bench.rows() == ["running"]
