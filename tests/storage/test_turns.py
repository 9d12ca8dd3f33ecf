"""A writer that lost to others too often writes alone, and cannot lose then."""

import threading

import pytest

from geumgo.storage import Conflict, Storage
from geumgo.storage.postgres import open_postgres
from tests.storage.postgres_server import PrivateServer


def test_a_lone_writer_keeps_its_place(storage: Storage) -> None:
    """On both engines: writing alone is writing."""
    with storage.writing() as tx:
        tx.run("CREATE TABLE thing (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)")
    with storage.writing(alone=True) as tx:
        tx.run("INSERT INTO thing (id, n) VALUES (1, 1)")
    with storage.reading() as tx:
        assert tx.one("SELECT n FROM thing") == (1,)


def test_nobody_overtakes_a_lone_writer(postgres_server: PrivateServer) -> None:
    """Others write to what it has read, again and again: alone it commits at the first try, and sees all that came before its turn."""
    with postgres_server.database() as dsn:
        ours, done, committed = open_postgres(dsn), threading.Event(), [0]
        with ours.writing() as tx:
            tx.run("CREATE TABLE thing (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)")
            tx.run("INSERT INTO thing (id, n) VALUES (1, 0), (2, 0)")

        def others() -> None:
            theirs = open_postgres(dsn)
            while not done.is_set():
                try:
                    with theirs.writing() as tx:
                        tx.one("SELECT n FROM thing WHERE id = 2")
                        tx.run("UPDATE thing SET n = n + 1 WHERE id = 1")
                except Conflict:
                    continue
                committed[0] += 1
            theirs.close()

        crowd = [threading.Thread(target=others) for _ in range(3)]
        for thread in crowd:
            thread.start()
        try:
            for number in range(50):
                with ours.writing(alone=True) as tx:
                    before = committed[0]
                    row = tx.one("SELECT n FROM thing WHERE id = 1")
                    assert row is not None
                    assert row[0] >= before
                    assert tx.run("UPDATE thing SET n = n + 1 WHERE id = 2 AND n = :n", n=number) == 1
        finally:
            done.set()
            for thread in crowd:
                thread.join()
        assert committed[0] > 0, "nobody tried to overtake"
        ours.close()


def test_a_snapshot_is_no_reason_to_be_alone(sqlite_storage: Storage) -> None:
    with pytest.raises(AssertionError):
        sqlite_storage.writing(serializable=False, alone=True)
