"""What is particular to PostgreSQL: connections that are lost, a COMMIT whose outcome nobody knows, servers that are refused."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from geumgo.storage import Conflict, Full, StorageError, Unknown, postgres
from geumgo.storage.postgres import PostgresStorage, open_postgres, refuse_unsafe_server
from geumgo.storage.prepared import KEPT_STATEMENTS
from tests.storage.postgres_server import PrivateServer

SAFE = {"encoding": "UTF8", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "standby": "false"}


@pytest.fixture
def table(postgres_storage: PostgresStorage) -> PostgresStorage:
    """The storage, with the empty table `t`."""
    with postgres_storage.writing() as tx:
        tx.run("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    return postgres_storage


@pytest.fixture
def administrator(table: PostgresStorage) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A second connection to the same database."""
    with psycopg.connect(table.dsn, autocommit=True) as connection:
        yield connection


def insert(storage: PostgresStorage, number: int) -> None:
    with storage.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES (:number)", number=number)


def ids(storage: PostgresStorage) -> list[int]:
    with storage.reading() as tx:
        return [id_ for (id_,) in tx.all("SELECT id FROM t ORDER BY id")]


def end(
    administrator: "psycopg.Connection[tuple[object, ...]]", storage: PostgresStorage, how: str = "terminate"
) -> None:
    """The server process behind `storage` is told to end (or to cancel what it does), and has taken note."""
    process = storage._connection.info.backend_pid
    administrator.execute(f"SELECT pg_{how}_backend(%s)".encode(), [process])
    while (
        how == "terminate"
        and administrator.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [process]).fetchone()
    ):
        pass


def test_a_transaction_that_says_nothing_for_long_loses_what_it_has_locked(
    table: PostgresStorage, administrator: "psycopg.Connection[tuple[object, ...]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of a process that stands still: nobody else could have these rows."""
    insert(table, 1)
    monkeypatch.setattr(postgres, "IDLE_MS", 100)
    still = open_postgres(table.dsn)

    def stand_still() -> None:
        with still.writing() as tx:
            tx.run("UPDATE t SET id = 2")
            here = still._connection.info.backend_pid
            while administrator.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [here]).fetchone():
                pass
            with table.writing() as other:
                other.run("UPDATE t SET id = 3")
            tx.run("UPDATE t SET id = 4")

    with pytest.raises(Conflict):
        stand_still()
    assert ids(still) == [3]
    still.close()


def test_a_connection_lost_inside_a_transaction_is_a_conflict(
    table: PostgresStorage, administrator: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    def write_and_lose() -> None:
        with table.writing() as tx:
            tx.run("INSERT INTO t (id) VALUES (1)")
            end(administrator, table)
            tx.run("INSERT INTO t (id) VALUES (2)")

    with pytest.raises(Conflict):
        write_and_lose()
    assert ids(table) == []
    insert(table, 3)
    assert ids(table) == [3]


def test_a_connection_lost_between_transactions_is_made_again_unnoticed(
    table: PostgresStorage, administrator: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    for number in range(3):
        end(administrator, table)
        insert(table, number)
        end(administrator, table)
        assert ids(table) == list(range(number + 1))


def test_no_mark_outlives_its_connection(
    table: PostgresStorage, administrator: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """It may lead to another server the next time, or to one that was restored: numbers of transactions may be given again."""
    mark = table.mark()
    end(administrator, table)
    assert table.mark() != mark
    assert table.dropped(mark) is None


def test_the_mark_sees_a_slow_writer_commit_after_a_faster_one(table: PostgresStorage) -> None:
    """The highest number of a finished transaction, alone, would be no mark."""
    slow, fast = open_postgres(table.dsn), open_postgres(table.dsn)
    with slow.writing(serializable=False) as tx:
        tx.run("INSERT INTO t (id) VALUES (1)")
        with fast.writing(serializable=False) as faster:
            faster.run("INSERT INTO t (id) VALUES (2)")
        mark = table.mark()
        assert ids(table) == [2]
    assert table.mark() != mark
    assert ids(table) == [1, 2]
    slow.close()
    fast.close()


def test_a_connection_lost_on_the_way_to_commit_has_an_unknown_outcome(
    table: PostgresStorage, administrator: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    def write_and_lose() -> None:
        with table.writing() as tx:
            tx.run("INSERT INTO t (id) VALUES (1)")
            end(administrator, table)

    with pytest.raises(Unknown):
        write_and_lose()
    assert ids(table) == []


@contextmanager
def a_standby_is_waited_for(server: PrivateServer) -> Iterator[None]:
    """Every COMMIT waits for a standby that does not exist."""
    server.command("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    server.command("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.command("ALTER SYSTEM RESET synchronous_standby_names")
        server.command("SELECT pg_reload_conf()")


@pytest.mark.parametrize("how", ["terminate", "cancel"])
def test_a_commit_that_is_cut_off_while_it_waits_for_a_standby_has_an_unknown_outcome(
    table: PostgresStorage,
    administrator: "psycopg.Connection[tuple[object, ...]]",
    postgres_server: PrivateServer,
    how: str,
) -> None:
    """PostgreSQL has committed locally by then, and says so in a mere warning when it was cancelled."""
    caught: list[BaseException] = []
    written = 0

    def write() -> None:
        try:
            insert(table, written)
        except StorageError as error:
            caught.append(error)

    def is_waiting() -> bool:
        waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'"
        return administrator.execute(waits, [table._connection.info.backend_pid]).fetchone() is not None

    with a_standby_is_waited_for(postgres_server):
        writer = threading.Thread(target=write)
        while (
            not writer.is_alive()
        ):  # the server takes note of the setting when it likes: until then, COMMIT does not wait
            written += 1
            writer = threading.Thread(target=write)
            writer.start()
            while writer.is_alive() and not is_waiting():
                pass
        end(administrator, table, how)
        writer.join()
    assert [type(error) for error in caught] == [Unknown]
    assert ids(table) == list(range(1, written + 1))


def test_a_cancelled_statement_leaves_nothing(
    table: PostgresStorage, administrator: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            with table.writing() as tx:
                tx.run("INSERT INTO t (id) VALUES (1)")
                tx.all("SELECT pg_sleep(60)::text")
        except StorageError as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    sleeps = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
    while waiter.is_alive():
        if administrator.execute(sleeps, [table._connection.info.backend_pid]).fetchone():
            break
    end(administrator, table, "cancel")
    waiter.join()
    assert len(caught) == 1
    assert not isinstance(caught[0], Unknown)
    assert ids(table) == []


def test_a_serialization_failure_is_a_conflict(table: PostgresStorage) -> None:
    insert(table, 1)
    other = open_postgres(table.dsn)

    def overtaken() -> None:
        with table.writing() as tx:
            tx.one("SELECT id FROM t")
            with other.writing() as faster:
                faster.run("UPDATE t SET id = 2")
            tx.run("UPDATE t SET id = 3")

    with pytest.raises(Conflict):
        overtaken()
    assert ids(table) == [2]
    other.close()


def test_a_deadlock_is_a_conflict_for_one_of_two(table: PostgresStorage) -> None:
    insert(table, 1)
    insert(table, 2)
    ready = threading.Barrier(2)
    outcomes: list[str] = []

    def change(first: int, second: int) -> None:
        storage = open_postgres(table.dsn)
        try:
            with storage.writing() as tx:
                tx.run("UPDATE t SET id = id WHERE id = :id", id=first)
                ready.wait()
                tx.run("UPDATE t SET id = id WHERE id = :id", id=second)
            outcomes.append("kept")
        except Conflict:
            outcomes.append("conflict")
        finally:
            storage.close()

    threads = [threading.Thread(target=change, args=order) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "conflict" in outcomes


def test_a_full_disk_is_told_apart(table: PostgresStorage) -> None:
    with pytest.raises(Full), table.writing() as tx:
        tx.run("DO $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$")
    insert(table, 1)


def test_statements_are_prepared_once_for_all_sizes_of_integers(table: PostgresStorage) -> None:
    with table.writing() as tx:
        for number in (1, 2**20, 2**40, 3, 2**41):
            tx.run("INSERT INTO t (id) VALUES (:number)", number=number)
        kept = tx.one("SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT INTO t%'")
    assert kept == (1,)


def test_statements_stay_prepared_when_a_transaction_is_rolled_back(table: PostgresStorage) -> None:
    for _ in range(5):
        assert ids(table) == []
    planned = "SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT id FROM t%'"
    with table.reading() as tx:
        assert tx.one(planned) == (1,)


def test_a_table_that_another_process_has_changed_is_a_conflict_once(
    table: PostgresStorage, administrator: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """As a newer program may do, beside which this one goes on."""
    insert(table, 1)
    for _ in range(3):
        assert ids(table) == [1]
    administrator.execute("ALTER TABLE t ALTER COLUMN id TYPE INTEGER")
    with pytest.raises(Conflict):
        ids(table)
    assert ids(table) == [1]


def test_a_table_that_was_made_anew_answers_what_it_holds(table: PostgresStorage) -> None:
    insert(table, 1)
    for _ in range(3):
        assert ids(table) == [1]
    with table.writing() as tx:
        tx.run("DROP TABLE t")
        tx.run("CREATE TABLE t (id TEXT)")
        tx.run("INSERT INTO t (id) VALUES ('a')")
    with table.reading() as tx:
        assert tx.all("SELECT id FROM t ORDER BY id") == [("a",)]


def test_more_statements_than_are_kept(table: PostgresStorage) -> None:
    with table.reading() as tx:
        for _ in range(2):
            for number in range(KEPT_STATEMENTS):
                assert tx.one(f"SELECT {number}") == (number,)
        kept = tx.one("SELECT COUNT(*) FROM pg_prepared_statements WHERE name LIKE 'statement_%'")
    assert kept is not None
    assert kept[0] <= KEPT_STATEMENTS


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("encoding", "SQL_ASCII", "keeps its text as SQL_ASCII"),
        ("fsync", "off", "runs with fsync = off"),
        ("synchronous_commit", "off", "runs with synchronous_commit = off"),
        ("full_page_writes", "off", "runs with full_page_writes = off"),
        ("standby", "true", "is a standby"),
    ],
)
def test_a_server_that_would_not_keep_what_it_acknowledges_is_refused(setting: str, value: str, sentence: str) -> None:
    refuse_unsafe_server(**SAFE)
    with pytest.raises(StorageError, match=sentence):
        refuse_unsafe_server(**{**SAFE, setting: value})


def test_a_role_that_does_not_wait_for_the_disk_is_refused(postgres_storage: PostgresStorage) -> None:
    with pytest.raises(StorageError, match="synchronous_commit = off"):
        open_postgres(f"{postgres_storage.dsn} options='-c synchronous_commit=off'")


def test_a_database_in_another_encoding_is_refused(postgres_server: PrivateServer) -> None:
    postgres_server.command("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        with pytest.raises(StorageError, match="SQL_ASCII"):
            open_postgres(postgres_server.dsn("ascii"))
    finally:
        postgres_server.command("DROP DATABASE ascii WITH (FORCE)")


def test_a_server_out_of_reach_is_told_in_a_sentence_without_the_password() -> None:
    with pytest.raises(StorageError, match="PostgreSQL is out of reach") as caught:
        open_postgres("host=/nowhere user=geumgo password=hunter2 dbname=geumgo")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("dsn", ["host", "postgres://[", "nonsense=1"])
def test_a_connection_string_that_cannot_be_read_is_told_in_a_sentence(dsn: str) -> None:
    with pytest.raises(StorageError):
        open_postgres(dsn)
