"""On PostgreSQL, what was kept under an id is dropped by whoever changes it, in whatever order transactions begin and commit, and nothing else is."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from typing import Any

import psycopg
import pytest

from geumgo.storage import Tx
from geumgo.storage.changes import LAST, LEFT, REMOVE_EVERY, Changes, Snapshot
from geumgo.storage.postgres import PostgresStorage, open_postgres
from geumgo.storage.text import kept_under, unkept
from geumgo.storage.transaction import RECENT
from tests.storage.postgres_server import PrivateServer, private_server

IDS = [f"{number:032x}" for number in range(6)]
CHANGE = kept_under("id", "UPDATE t SET number = number + 1 WHERE id = :id")


@pytest.fixture
def table(postgres_storage: PostgresStorage) -> PostgresStorage:
    """The storage, with a number for each of IDS."""
    return furnished(postgres_storage)


def furnished(storage: PostgresStorage) -> PostgresStorage:
    with storage.writing() as tx:
        tx.run('CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY, number BIGINT NOT NULL)')
        for id_ in IDS:
            tx.run("INSERT INTO t (id, number) VALUES (:id, 0)", id=id_)
    return storage


@pytest.fixture
def others(table: PostgresStorage) -> Iterator[list[PostgresStorage]]:
    """Other connections to the same database."""
    opened = [open_postgres(table.dsn) for _ in range(4)]
    yield opened
    for storage in opened:
        storage.close()


class Keeper:
    """Whoever keeps the numbers: it reads anew only those that were dropped, and so it is right only if nothing was missed."""

    def __init__(self, storage: PostgresStorage) -> None:
        self.storage = storage
        self.mark = b""
        self.kept: dict[str, int] = {}

    def look(self) -> set[str]:
        """The ids that were dropped, all of IDS if everything was."""
        mark = self.storage.mark()
        ids = self.storage.dropped(self.mark) if self.mark else None
        self.mark = mark
        gone = set(IDS) if ids is None else set(ids)
        with self.storage.reading() as tx:
            self.kept |= {id_: number(tx, id_) for id_ in gone}
            assert self.kept == {id_: number(tx, id_) for id_ in IDS}
        return gone


def number(tx: Tx, id_: str) -> int:
    row = tx.one("SELECT number FROM t WHERE id = :id", id=id_)
    assert row is not None
    found: int = row[0]
    return found


def change(storage: PostgresStorage, *ids: str) -> None:
    with storage.writing() as tx:
        for id_ in ids:
            tx.run(CHANGE, id=id_)


def rows(storage: PostgresStorage) -> list[tuple[str, str, str | None]]:
    with psycopg.connect(storage.dsn, autocommit=True) as connection:
        kept = "SELECT xid::text, ids, gone_below::text FROM kept_change ORDER BY kept_change.xid"
        return [(xid, ids, gone_below) for xid, ids, gone_below in connection.execute(kept)]


# -- order ------------------------------------------------------------------------------------------------------------


def test_who_began_first_and_commits_last_is_not_missed(table: PostgresStorage, others: list[PostgresStorage]) -> None:
    keeper, (slow, fast, *_) = Keeper(table), others
    keeper.look()
    with slow.writing(serializable=False) as tx:
        tx.run(CHANGE, id=IDS[0])
        for _ in range(5):
            change(fast, IDS[1])
            assert keeper.look() == {IDS[1]}
    assert keeper.look() == {IDS[0]}
    assert keeper.look() == set()


def test_who_began_before_us_and_commits_after_our_first_glance_is_not_missed(
    table: PostgresStorage, others: list[PostgresStorage]
) -> None:
    with others[0].writing(serializable=False) as tx:
        tx.run(CHANGE, id=IDS[0])
        keeper = Keeper(table)
        keeper.look()
    assert keeper.look() == {IDS[0]}


def test_whatever_the_order_of_beginnings_and_ends_nothing_is_missed(
    table: PostgresStorage, others: list[PostgresStorage]
) -> None:
    """Four writers begin, change and end at random; the keeper looks in between."""
    chance, keeper = random.Random(20261129), Keeper(table)
    keeper.look()
    open_ones: dict[int, AbstractContextManager[Tx]] = {}
    committed: set[str] = set()
    try:
        for step in range(600):
            who = chance.randrange(len(others))
            if who not in open_ones:
                open_ones[who] = others[who].writing(serializable=False)
                open_ones[who].__enter__().run(CHANGE, id=IDS[who])  # each his own: nobody waits for a row
            elif chance.random() < 0.25:
                roll_back(open_ones.pop(who))
            else:
                open_ones.pop(who).__exit__(None, None, None)
                committed.add(IDS[who])
            if chance.random() < 0.5:
                assert keeper.look() == committed, f"step {step}"
                committed.clear()
    finally:
        for block in open_ones.values():
            roll_back(block)


def roll_back(block: AbstractContextManager[Tx]) -> None:
    block.__exit__(KeyError, KeyError("rolled back"), None)


def test_a_keeper_that_asks_for_higher_numbers_only_is_caught(
    table: PostgresStorage, others: list[PostgresStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would notice."""
    of = Snapshot.of

    def careless(text: bytes) -> Snapshot:
        return of(text)._replace(running=b"")

    monkeypatch.setattr(Snapshot, "of", careless)
    with pytest.raises(AssertionError):
        test_whatever_the_order_of_beginnings_and_ends_nothing_is_missed(table, others)


def test_a_snapshot_with_new_rows_ends_what_was_kept_before_it(
    table: PostgresStorage, others: list[PostgresStorage]
) -> None:
    before = table.mark()
    change(others[0], IDS[3])
    with table.reading() as tx:
        assert tx.mark != before
        assert table.dropped(before) == [IDS[3]]
        change(others[0], IDS[4])
        seen = tx.mark
    assert table.mark() != seen
    assert table.dropped(seen) == [IDS[4]]
    assert table.dropped(before) == [IDS[3], IDS[4]]


def test_a_transaction_of_several_changes_has_one_row(table: PostgresStorage, others: list[PostgresStorage]) -> None:
    keeper = Keeper(table)
    keeper.look()
    before = len(rows(table))
    change(others[0], IDS[0], IDS[1], IDS[0])
    assert len(rows(table)) == before + 1
    assert keeper.look() == {IDS[0], IDS[1]}


def test_what_drops_nothing_and_what_is_rolled_back_have_no_row(table: PostgresStorage) -> None:
    def fail() -> None:
        with table.writing() as tx:
            tx.run(CHANGE, id=IDS[0])
            raise LookupError

    before, mark = rows(table), table.mark()
    with table.writing() as tx:
        tx.run(unkept("UPDATE t SET number = number + 1"))
    with pytest.raises(LookupError):
        fail()
    assert rows(table) == before
    assert table.mark() == mark


# -- old rows ---------------------------------------------------------------------------------------------------------


def test_rows_stay_few(table: PostgresStorage) -> None:
    for _ in range(REMOVE_EVERY + LEFT + 50):
        change(table, IDS[0])
    assert len(rows(table)) < REMOVE_EVERY + LEFT


def test_who_has_seen_what_is_removed_drops_nothing(table: PostgresStorage, others: list[PostgresStorage]) -> None:
    keeper = Keeper(table)
    for _ in range(REMOVE_EVERY // 50):
        for _ in range(50):
            change(others[0], IDS[0])
        keeper.look()
    assert int(rows(table)[-1][2] or "0") > int(rows(table)[0][0]) - 10, "nothing was removed"
    change(others[0], IDS[0])
    assert keeper.look() == {IDS[0]}


def test_who_has_not_seen_what_is_removed_drops_all(table: PostgresStorage, others: list[PostgresStorage]) -> None:
    keeper = Keeper(table)
    keeper.look()
    change(others[0], IDS[0])
    with psycopg.connect(table.dsn, autocommit=True) as connection:
        connection.execute(f"DELETE FROM kept_change WHERE xid < '{LAST}'")
        connection.execute("UPDATE kept_change SET gone_below = pg_snapshot_xmin(pg_current_snapshot())")
    assert keeper.look() == set(IDS)
    assert keeper.look() == set()


def test_an_old_transaction_keeps_rows_and_costs_nobody_anything(
    table: PostgresStorage, others: list[PostgresStorage]
) -> None:
    keeper, (slow, fast, *_) = Keeper(table), others
    with slow.writing(serializable=False) as tx:
        tx.run(CHANGE, id=IDS[0])
        for count in range(REMOVE_EVERY + 10):
            change(fast, IDS[1])
            if count % 50 == 0:
                keeper.look()
        keeper.look()
        assert len(rows(table)) > REMOVE_EVERY
        assert keeper.look() == set()
    assert keeper.look() == {IDS[0]}
    with closing(open_postgres(table.dsn)) as another:
        assert len(rows(another)) == LEFT + 1


def test_without_its_last_row_the_table_is_begun_anew(table: PostgresStorage, others: list[PostgresStorage]) -> None:
    """As after somebody has emptied it by hand."""
    keeper = Keeper(table)
    keeper.look()
    change(others[0], IDS[0])
    with psycopg.connect(table.dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM kept_change")
    assert keeper.look() == set(IDS)
    change(others[0], IDS[1])
    assert keeper.look() >= {IDS[1]}
    change(others[0], IDS[2])
    assert keeper.look() == {IDS[2]}


@pytest.mark.parametrize("first", ["begun anew", "changed"])
def test_what_was_read_while_the_last_row_was_not_there_is_dropped_at_the_next_glance(
    table: PostgresStorage, others: list[PostgresStorage], first: str
) -> None:
    """Whoever reads does not begin the table anew, and another process does: this one's next glance finds the last row, and not what it missed."""
    table.mark()
    with psycopg.connect(table.dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM kept_change")
    with table.reading() as tx:
        seen, before = tx.mark, number(tx, IDS[0])
    if first == "changed":
        change(others[0], IDS[0])
    others[1].mark()
    if first == "begun anew":
        change(others[0], IDS[0])
    assert table.mark() != seen
    assert table.dropped(seen) is None
    with table.reading() as tx:
        assert number(tx, IDS[0]) == before + 1


def test_rows_that_came_with_a_dump_of_another_server_are_removed(table: PostgresStorage) -> None:
    with psycopg.connect(table.dsn, autocommit=True) as connection:
        connection.execute(f"UPDATE kept_change SET gone_below = '900000000000' WHERE xid = '{LAST}'")
        connection.execute("INSERT INTO kept_change (xid, ids) VALUES ('900000000001', '*')")
    with closing(open_postgres(table.dsn)) as restored:
        keeper = Keeper(restored)
        keeper.look()
        assert keeper.look() == set()
        assert len(rows(restored)) == 1


def test_a_server_that_crashed_makes_everybody_begin_anew() -> None:
    """It gives numbers of transactions again that nobody had committed, and its table of changes is empty."""
    with private_server() as server, server.database() as dsn, ExitStack() as opened:
        table, other = (opened.enter_context(closing(open_postgres(dsn))) for _ in range(2))
        keeper = Keeper(furnished(table))
        keeper.look()
        change(other, IDS[0])
        crash(server, other)
        assert keeper.look() == set(IDS)
        change(other, IDS[1])
        assert keeper.look() == {IDS[1]}


def crash(server: PrivateServer, storage: PostgresStorage) -> None:
    """The server has lost all its processes but one, and is there again."""
    with psycopg.connect(server.dsn(), autocommit=True) as witness, suppress(psycopg.Error):
        os.kill(storage._connection.info.backend_pid, signal.SIGKILL)
        while True:
            witness.execute("SELECT 1")
    while True:
        with suppress(psycopg.OperationalError):
            server.command("SELECT 1")
            return


# -- others -----------------------------------------------------------------------------------------------------------


def test_a_writer_of_an_older_release_cannot_write(table: PostgresStorage) -> None:
    """It would say nothing of its changes."""
    with (
        psycopg.connect(table.dsn) as older,
        pytest.raises(psycopg.errors.UndefinedTable),
    ):
        older.execute("LOCK TABLE writer_turn IN ROW SHARE MODE")


def test_glances_stand_in_nobodys_way_whatever_the_database_says(postgres_server: PrivateServer) -> None:
    with postgres_server.database() as dsn:
        name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
        postgres_server.command(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
        try:
            with closing(open_postgres(dsn)) as storage:
                with psycopg.connect(dsn, autocommit=True) as connection:
                    locks = connection.cursor()
                    storage._connection.execute("BEGIN")
                    storage.mark()
                    found = locks.execute("SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock'").fetchone()
                    storage._connection.execute("ROLLBACK")
                assert found == (0,)
        finally:
            postgres_server.command(f"ALTER DATABASE {name} RESET default_transaction_isolation")


def test_a_glance_is_planned_once(table: PostgresStorage, others: list[PostgresStorage]) -> None:
    """However many rows there are, the plan that serves all parameters is taken, and reads the index."""
    for _ in range(20):
        change(others[0], IDS[0])
        table.mark()
    planned = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'kept_glance'"
    generic, custom = table._connection.execute(planned).fetchone() or (0, 0)
    assert generic >= 10
    assert custom <= 10


# -- without a database -----------------------------------------------------------------------------------------------


def glance(made: Changes, snapshot: str, *found: str, gone_below: int = 0) -> bytes:
    text = snapshot.encode()
    seen: list[Any] = [(text, ids.encode(), None) for ids in found]
    assert made.note([*seen, (text, b"", b"%d" % gone_below)])
    return made.mark


def test_what_is_asked_for_is_what_the_last_snapshot_did_not_see() -> None:
    made = Changes()
    assert made.params() == [b"%d" % LAST, b"{}"]
    glance(made, "10:20:10,15")
    assert made.params() == [b"20", b"{10,15}"]
    assert made.statement() == b"EXECUTE kept_glance ('20', '{10,15}')"
    glance(made, "21:21:")
    assert made.params() == [b"21", b"{}"]


def test_rows_below_the_oldest_that_ran_may_be_gone() -> None:
    made = Changes()
    before = glance(made, "10:20:10,15")
    assert glance(made, "10:21:10", gone_below=10) == before
    assert glance(made, "11:22:11", gone_below=11) != before
    assert made.dropped(before) is None


def test_whoever_has_missed_too_many_drops_all() -> None:
    made = Changes()
    before = glance(made, "10:10:")
    for number_ in range(RECENT):
        glance(made, f"{11 + number_}:{11 + number_}:", IDS[0])
    assert made.dropped(before) == [IDS[0]] * RECENT
    glance(made, "500:500:", IDS[0])
    assert made.dropped(before) is None


def test_a_glance_that_does_not_show_all_drops_all() -> None:
    made = Changes()
    before = glance(made, "10:10:")
    assert made.note([(b"900:900:", IDS[0].encode(), None)] * (RECENT + 2))
    assert made.dropped(before) is None
