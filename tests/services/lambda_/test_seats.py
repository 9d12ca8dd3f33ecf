"""Reserved concurrency: what runs is counted, whichever process it runs in."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from geumgo.app.directory import prepare_tables
from geumgo.context import Place
from geumgo.functions import Busy
from geumgo.jobs import lease, promise
from geumgo.services.lambda_.seats import SPARE_S, Seats, give_all_back
from geumgo.storage import Broken, Storage, StorageError, Tx, Unknown
from geumgo.storage.postgres import open_postgres
from geumgo.storage.sqlite import open_sqlite
from tests.clock import TurnedClock
from tests.functions.test_host import task
from tests.functions.test_on_a_server import make as make_on
from tests.house import House
from tests.server import Server

ONE = replace(task(), most_at_once=1)


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Opens one more connection to a database with all tables."""
    with ExitStack() as stack:
        if request.param == "postgres":
            dsn = stack.enter_context(request.getfixturevalue("postgres_server").database())

        def open_one() -> Storage:
            made = open_postgres(dsn) if request.param == "postgres" else open_sqlite(tmp_path / "geumgo.db")
            stack.callback(made.close)
            return made

        prepare_tables(open_one())
        yield open_one


def test_two_processes_count_together(opened: Any, clock: TurnedClock) -> None:
    here, there = Seats(opened, clock, "node-api-0"), Seats(opened, clock, "node-api-1")
    other = replace(ONE, function_arn="arn:aws:lambda:us-east-1:123456789012:function:other")
    with here.held(ONE):
        for seats in (here, there):
            with pytest.raises(Busy) as caught, seats.held(replace(ONE, function_arn=f"{ONE.function}:2")):
                pass
            assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
        with there.held(other), there.held(replace(ONE, most_at_once=2)), there.held(replace(ONE, most_at_once=None)):
            pass
    with there.held(ONE):
        pass


def test_no_race_has_two_winners(opened: Any, clock: TurnedClock) -> None:
    """Eight processes ask at once, again and again: at no moment do more than three hold a seat, and all get one in the end."""
    three, most, holding, got = replace(ONE, most_at_once=3), 0, 0, 0
    counting, begin = threading.Lock(), threading.Barrier(8)

    def work(seats: Seats) -> None:
        nonlocal most, holding, got
        begin.wait()
        for _ in range(5):
            while True:
                try:
                    with seats.held(three):
                        with counting:
                            holding += 1
                            most, got = max(most, holding), got + 1
                        with counting:
                            holding -= 1
                    break
                except Busy:
                    continue

    threads = [threading.Thread(target=work, args=(Seats(opened, clock, f"p{number}"),)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (got, most <= 3) == (40, True)


def test_what_a_process_left_behind_is_free_again(opened: Any, clock: TurnedClock) -> None:
    killed, other = Seats(opened, clock, "node-api-0"), Seats(opened, clock, "other-api-0")
    first, second = killed.held(ONE), killed.held(ONE)  # they are never left, as in a process that was killed
    first.__enter__()
    with pytest.raises(Busy), other.held(ONE):
        pass
    give_all_back(opened(), "node-api-1")
    with pytest.raises(Busy), other.held(ONE):
        pass
    give_all_back(opened(), "node-api-0")
    with other.held(ONE):
        pass
    second.__enter__()
    clock.turn(ms=(ONE.timeout_s + SPARE_S) * 1000 - 1)
    with pytest.raises(Busy), other.held(ONE):
        pass
    clock.turn(ms=1)
    with other.held(ONE):
        pass


def test_what_a_dead_machine_ran_for_a_job_is_free_when_its_jobs_are(opened: Any, clock: TurnedClock) -> None:
    """What it ran for a caller may run on, as far as others know; what a living machine runs for a job is counted."""
    storage = opened()
    dead, here = Seats(opened, clock, "dead-worker"), Seats(opened, clock, "here-worker")
    with storage.writing() as tx:
        promise(tx, "secretsmanager.rotation_step", Place("123456789012", "us-east-1"), {}, run_at_ms=0, lock="s")
        held = lease.take(tx, owner="dead-worker", lane=0, now_ms=clock.now_ms())
    assert held is not None
    left = dead.held(ONE)  # never left, as on a machine that was switched off
    left.__enter__()
    for _ in range(2):
        clock.turn(ms=lease.LEASE_MS - 1)
        with pytest.raises(Busy), here.held(ONE):
            pass
        with storage.writing() as tx:  # it lives still
            lease.hold(tx, held, now_ms=clock.now_ms())
    clock.turn(ms=lease.LEASE_MS)
    with here.held(ONE), pytest.raises(Busy), here.held(ONE):
        pass
    asked = Seats(opened, clock, "dead-api-0").held(ONE)
    asked.__enter__()
    clock.turn(ms=lease.LEASE_MS)
    with pytest.raises(Busy), here.held(ONE):
        pass


class Leaving:
    """A storage that is out of reach when `away`, and the number of its transactions."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self.away, self.asked = storage, False, 0

    @contextmanager
    def writing(self, **how: bool) -> Iterator[Tx]:
        self.asked += 1
        if self.away:
            raise StorageError("the database is out of reach")
        with self._storage.writing(**how) as tx:
            yield tx


def test_what_could_not_be_given_back_is_given_back_when_the_database_is_there_again(
    opened: Any, clock: TurnedClock
) -> None:
    storage = Leaving(opened())
    here, there = Seats(lambda: cast("Storage", storage), clock, "here"), Seats(opened, clock, "there")
    for _ in range(2):
        with here.held(ONE):
            storage.away = True
        here.settle()  # it is not there yet, and that is no fault of whoever waits for it
        with pytest.raises(Busy), there.held(ONE):
            pass
        storage.away = False
        with here.held(ONE), pytest.raises(Busy), there.held(ONE):  # it does not stand in its own way
            storage.away = True
        storage.away = False
        here.settle()
        with there.held(ONE):
            pass
    asked = storage.asked
    here.settle()
    assert storage.asked == asked  # there was nothing to do


def test_a_seat_of_which_nobody_knows_whether_it_was_taken_is_given_back(opened: Any, clock: TurnedClock) -> None:
    storage = opened()

    class Forgetful(Leaving):
        @contextmanager
        def writing(self, **how: bool) -> Iterator[Tx]:
            with super().writing(**how) as tx:
                yield tx
            if self.asked == 1:
                raise Unknown("the connection broke during COMMIT")

    forgetful = Forgetful(storage)
    here, there = Seats(lambda: cast("Storage", forgetful), clock, "here"), Seats(opened, clock, "there")
    with pytest.raises(Unknown), here.held(ONE):
        pass
    with pytest.raises(Busy), there.held(ONE):
        pass
    here.settle()
    with there.held(ONE):
        pass


def test_the_end_of_the_disk_is_the_end_of_the_process(opened: Any, clock: TurnedClock) -> None:
    class Ending(Leaving):
        @contextmanager
        def writing(self, **how: bool) -> Iterator[Tx]:
            if self.asked:
                raise Broken("disk I/O error")
            with super().writing(**how) as tx:
                yield tx

    storage = Ending(opened())
    with pytest.raises(Broken), Seats(lambda: cast("Storage", storage), clock, "here").held(ONE):
        pass


def test_a_function_that_failed_has_given_its_seat_back(make: Any, functions: Any, house: House) -> None:
    make(code="def handler(event, context):\n    raise ValueError\n")
    functions.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=1)
    for _ in range(3):
        assert functions.invoke(FunctionName="echo")["FunctionError"] == "Unhandled"
    with house.app.storage.reading() as tx:
        assert tx.one("SELECT COUNT(*) FROM lambda_seat") == (0,)


WAITS = """
import boto3, time
def handler(event, context):
    client = boto3.client("secretsmanager")
    while event.get("waits") and client.get_secret_value(SecretId="go")["SecretString"] != "on":
        time.sleep(0.1)
"""
READS = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
SECONDS = 240  # that the function may wait, on a machine with much else to do


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_workers_of_a_server_count_together(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    """One runs; whichever of the two processes is asked meanwhile refuses. Afterwards it runs again."""
    with ExitStack() as stack:
        environment = {}
        if engine == "postgres":
            environment["GEUMGO_DATABASE"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        server = stack.enter_context(Server(tmp_path / "data", arguments=("--workers", "2"), environment=environment))
        secrets = server.client("secretsmanager")
        secrets.create_secret(Name="go", SecretString="not yet")
        functions = make_on(server, WAITS, READS, Timeout=SECONDS)
        client = server.client("lambda", read_timeout=SECONDS)
        functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
        dsn = environment.get("GEUMGO_DATABASE")
        storage = open_postgres(dsn) if dsn else open_sqlite(server.data / "geumgo.db")
        stack.callback(storage.close)

        def taken() -> bool:
            with storage.reading() as tx:
                return tx.one("SELECT COUNT(*) FROM lambda_seat") == (1,)

        running = threading.Thread(target=client.invoke, kwargs={"FunctionName": "f", "Payload": '{"waits": true}'})
        running.start()
        while not taken():
            assert running.is_alive()  # it has not begun
        answers = [ask(server) for _ in range(12)]  # each over a connection of its own
        assert answers == [REFUSED] * 12
        secrets.put_secret_value(SecretId="go", SecretString="on")
        running.join()
        assert ask(server) == {}


REFUSED = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Message": "Rate Exceeded.", "Type": "User"}


def ask(server: Server) -> dict[str, Any]:
    """How Invoke refuses; empty: it does not."""
    client = server.client("lambda", read_timeout=60)
    try:
        client.invoke(FunctionName="f", Payload=json.dumps({}))
    except client.exceptions.TooManyRequestsException as refusal:
        said = refusal.response
        return {"Reason": said["Reason"], "Message": said["Error"]["Message"], "Type": said["Type"]}
    return {}
