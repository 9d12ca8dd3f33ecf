"""The process for the index: it gives way to everybody, catches up, and stops for what must stop it."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from geumgo.app.indexing import NICENESS, Rest, indexing
from geumgo.services.cloudtrail.feeder import NoMeter
from geumgo.services.cloudtrail.indexer import Indexer, Taken, Turn, at_once
from geumgo.storage import Broken, Conflict, Storage, StorageError
from tests.edge.wire import until
from tests.house import House
from tests.server import Server, name_of


class Turns(threading.Event):
    """What is waited on, so many times, without a wait; then it is set. `seconds`: for how long each wait would have been."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        if len(self.seconds) > self.most:
            self.set()
        return self.is_set()


class Numbers(NoMeter):
    """Remembers what the lag was said to be."""

    def __init__(self) -> None:
        self.lags: list[int] = []

    def set(self, key: str, value: int) -> None:
        assert key == "geumgo_trail_index_lag_seconds"
        self.lags.append(value)


class Index(Indexer):
    """An index that is behind by some batches, or meets a fault; each step takes a second."""

    def behave(self, house: House, *steps: Taken | Exception) -> "Index":
        self.house, self.steps = house, list(steps)
        return self

    def step(self, storage: Storage, turn: Turn = at_once) -> Taken:
        self.house.clock.turn(ms=1_000)
        outcome = turn(self.steps.pop)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def index(house: House, *steps: Taken | Exception) -> Index:
    known = house.app.indexer
    made = Index(known.files, known.sealing, known.publisher, house.clock, known.partition, known.retention_days)
    return made.behave(house, *reversed(steps))


def run(house: House, stop: Turns, indexer: Indexer, *, scarce: bool = False) -> list[int]:
    """The lags that were said."""
    numbers = Numbers()
    indexing(indexer, house.app.storage, stop, numbers, lambda: scarce)
    return numbers.lags


def test_while_others_want_the_cores_it_rests_between_its_batches(house: House) -> None:
    stop, rests = Turns(3), [0.25, 0.5]
    indexer = index(house, Taken(900, True), Taken(900, True), Taken(3, False))
    indexing(indexer, house.app.storage, stop, NoMeter(), lambda: False, rest=lambda: rests.pop(0))
    assert stop.seconds == [1.0, 0.25, 0.5, 1.0]


def test_it_rests_thirty_times_as_long_as_it_worked_if_it_had_to_wait_for_a_core(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counted, worked = tmp_path / "schedstat", iter([1.0, 1.02, 1.03, 1.06, 3.0])
    monkeypatch.setattr("geumgo.app.indexing.time.process_time", lambda: next(worked))
    monkeypatch.setattr(Rest, "_so_far", lambda _: so_far(counted))
    counted.write_text("100 100")
    rest = Rest()
    for counts, seconds in (("200 110", 0.0), ("300 200", 0.3), ("300 200", 0.0), ("400 900", 1.0)):
        counted.write_text(counts)
        assert rest.seconds() == pytest.approx(seconds)


def so_far(place: Path) -> tuple[int, int]:
    ran, waited = place.read_text().split()
    return int(ran), int(waited)


def test_the_kernel_tells_how_long_a_thread_has_run() -> None:
    ran, waited = Rest()._so_far()
    assert ran > 0
    assert waited >= 0


def test_what_waits_already_is_not_waited_for_and_the_lag_grows_until_all_is_indexed(house: House) -> None:
    stop = Turns(4)
    lags = run(house, stop, index(house, Taken(900, True), Taken(900, True), Taken(3, False), Taken(0, False)))
    assert stop.seconds == [1.0, 0, 0, 1.0, 1.0]
    assert lags == [0, 1, 2, 1]


def test_nothing_is_indexed_in_the_space_that_is_held_back(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    run(house, Turns(2), house.app.indexer, scarce=True)
    assert house.index() > 0


def test_who_came_second_or_met_a_fault_tries_again(house: House) -> None:
    stop = Turns(4)
    steps = index(house, Conflict("came second"), StorageError("out of reach"), ValueError("ours"), Taken(1, False))
    lags = run(house, stop, steps)
    assert stop.seconds == [1.0] * 5
    assert lags == [0, 1, 2, 3]


def test_an_io_error_of_the_database_ends_the_process(house: House) -> None:
    with pytest.raises(Broken):
        run(house, Turns(4), index(house, Broken("I/O error")))


def test_each_chain_has_its_turn_however_much_there_is_in_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geumgo.audit.trail import Trail
    from geumgo.services.cloudtrail import indexer

    monkeypatch.setattr(indexer, "BATCH", 2)
    keys: Any = house.app.trail._keys
    other = Trail.open(house.settings.audit, node="zz", keys=keys, clock=house.clock, reserve_bytes=0)
    record = {
        "eventTime": "2026-11-29T00:00:00Z",
        "recipientAccountId": house.account,
        "eventSource": "x",
        "eventName": "y",
    }
    other.note("event", record)
    other.settle()
    for number in range(5):
        house.client("secretsmanager").create_secret(Name=f"s{number}", SecretString="x")
    taken = house.app.indexer.step(house.app.storage)
    assert taken.more
    assert taken.records >= 3
    other.close()


def place_of(server: Server) -> Path:
    """The directory in /proc of the process for the index."""
    for pid in server.members()[1:]:
        if name_of(pid) == "geumgo index":
            return Path(f"/proc/{pid}")
    raise AssertionError("there is no process for the index")


def nicenesses(process: Path) -> list[int]:
    """Of each thread, the main one first. Source: proc_pid_stat(5), field 19."""
    threads = sorted((process / "task").iterdir(), key=lambda task: int(task.name))
    return [int((task / "stat").read_text().rpartition(")")[2].split()[16]) for task in threads]


def found(client: Any) -> list[str]:
    attribute = {"AttributeKey": "EventName", "AttributeValue": "CreateSecret"}
    return [event["EventId"] for event in client.lookup_events(LookupAttributes=[attribute])["Events"]]


def test_a_process_of_its_own_gives_way_but_for_its_transactions_and_is_started_again(tmp_path: Path) -> None:
    with Server(tmp_path / "data", arguments=("--workers", "1")) as server:
        secrets, trail = server.client("secretsmanager"), server.client("cloudtrail")
        secrets.create_secret(Name="one", SecretString="x")
        until(lambda: len(found(trail)) == 1)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        first = place_of(server)
        assert nicenesses(first)[:2] == [min(own + NICENESS, 19), own]
        os.kill(int(first.name), signal.SIGKILL)
        secrets.create_secret(Name="two", SecretString="x")
        until(lambda: len(found(trail)) == 2)
        assert place_of(server) != first
        assert server.stop() == 0
        assert "process ended" in server.printed()
