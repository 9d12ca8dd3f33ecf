"""What every engine promises. Each test runs on each engine."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import lists, text

from geumgo.storage import Conflict, Row, Storage, StorageError, Taken, Tx, Violated
from geumgo.storage.text import HIGHEST, LOWEST
from tests.storage.processes import open_again, other_process, storage_at


@pytest.fixture
def table(storage: Storage) -> Storage:
    """The storage, with an empty table `t`."""
    with storage.writing() as tx:
        tx.run('CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY, number BIGINT, bytes BYTEA)')
    return storage


def ids(storage: Storage) -> list[str]:
    with storage.reading() as tx:
        return [id_ for (id_,) in tx.all("SELECT id FROM t ORDER BY id")]


def test_what_was_written_is_there_after_the_block(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES (:id)", id="a")
    assert ids(table) == ["a"]


def test_what_was_written_is_gone_after_an_exception(table: Storage) -> None:
    def write_and_fail() -> None:
        with table.writing() as tx:
            tx.run("INSERT INTO t (id) VALUES (:id)", id="a")
            raise LookupError

    with pytest.raises(LookupError):
        write_and_fail()
    assert ids(table) == []


def test_tables_are_made_and_lost_with_their_transaction(storage: Storage) -> None:
    def make_and_fail() -> None:
        with storage.writing() as tx:
            tx.run("CREATE TABLE lost (id TEXT PRIMARY KEY)")
            raise LookupError

    with pytest.raises(LookupError):
        make_and_fail()
    with storage.writing() as tx:
        tx.run("CREATE TABLE lost (id TEXT PRIMARY KEY)")


def test_a_reading_transaction_does_not_write(table: Storage) -> None:
    with pytest.raises(AssertionError, match="does not write"), table.reading() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a')")
    assert ids(table) == []


def test_a_snapshot_is_taken_at_once_and_stays(table: Storage) -> None:
    other = storage_at(open_again(table))
    with table.reading() as tx:
        with other.writing() as writing:
            writing.run("INSERT INTO t (id) VALUES ('a')")
        assert tx.all("SELECT id FROM t") == []
    assert ids(table) == ["a"]
    other.close()


def test_a_transaction_sees_what_it_has_written(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a')")
        assert tx.one("SELECT id FROM t") == ("a",)


def test_one_transaction_is_open_at_a_time(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a')")
        for block in (table.reading, table.writing):
            with pytest.raises(AssertionError, match="open already"), block():
                pass
        tx.run("INSERT INTO t (id) VALUES ('b')")
    assert ids(table) == ["a", "b"]


def test_a_transaction_is_of_no_use_after_its_block(table: Storage) -> None:
    with table.writing() as tx:
        pass
    with pytest.raises(AssertionError, match="has failed"):
        tx.run("INSERT INTO t (id) VALUES ('a')")


def test_an_error_that_is_swallowed_keeps_the_transaction_from_committing(table: Storage) -> None:
    def swallow() -> None:
        with table.writing() as tx:
            tx.run("INSERT INTO t (id) VALUES ('a')")
            with pytest.raises(Taken):
                tx.run("INSERT INTO t (id) VALUES ('a')")

    with pytest.raises(AssertionError, match="was swallowed"):
        swallow()
    assert ids(table) == []


def test_one_answers_a_row_or_none(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a'), ('b')")
        assert tx.one("SELECT id FROM t WHERE id = :id", id="a") == ("a",)
        assert tx.one("SELECT id FROM t WHERE id = :id", id="c") is None


def test_one_refuses_two_rows(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a'), ('b')")
        with pytest.raises(AssertionError, match="more than one row"):
            tx.one("SELECT id FROM t")


def test_run_answers_how_many_rows_were_touched(table: Storage) -> None:
    with table.writing() as tx:
        assert tx.run("INSERT INTO t (id) VALUES ('a'), ('b'), ('c')") == 3
        assert tx.run("UPDATE t SET number = 1 WHERE id <> :id", id="a") == 2
        assert tx.run("UPDATE t SET number = 1 WHERE id = 'z'") == 0
        assert tx.run("DELETE FROM t WHERE id = 'b'") == 1
        assert tx.run("INSERT INTO t (id) VALUES ('a') ON CONFLICT DO NOTHING") == 0
        assert tx.run("CREATE TABLE other (id TEXT PRIMARY KEY)") == 0


def test_many_rows_are_one_statement_for_each(table: Storage) -> None:
    insert = "INSERT INTO t (number, id, bytes) VALUES (:number, :id, :bytes) ON CONFLICT (id) DO NOTHING"
    with table.writing() as tx:
        assert tx.many(insert, []) == 0
        assert tx.many(insert, [(1, "a", b"x"), (None, "b", None)]) == 2
        assert tx.many(insert, [(3, "a", None), (True, "c", b"")]) == 1
        assert tx.many(insert, [(at, f"{at:05}", b"%d" % at) for at in range(1_000)] * 2) == 1_000
        assert tx.run("DELETE FROM t WHERE number = 999 AND bytes = :bytes", bytes=b"999") == 1
        assert tx.run("DELETE FROM t WHERE id >= '00000' AND id < '00999'") == 999
        assert tx.many("UPDATE t SET number = :to WHERE id = :id", [(7, "a"), (8, "absent")]) == 1
    with table.reading() as tx:
        found = tx.all("SELECT id, number, bytes FROM t ORDER BY id")
    assert found == [("a", 7, b"x"), ("b", None, None), ("c", 1, b"")]


def test_many_rows_change_the_mark(table: Storage) -> None:
    other = storage_at(open_again(table))
    before = other.mark()
    with table.writing() as tx:
        tx.many("INSERT INTO t (id) VALUES (:id)", [("a",), ("b",)])
    assert other.mark() != before
    other.close()


def test_of_many_rows_none_is_kept_if_one_is_refused(table: Storage) -> None:
    with pytest.raises(Taken), table.writing() as tx:
        tx.many("INSERT INTO t (id) VALUES (:id)", [("a",), ("b",), ("a",)])
    with pytest.raises(AssertionError, match="does not write"), table.reading() as tx:
        tx.many("INSERT INTO t (id) VALUES (:id)", [("a",)])
    assert ids(table) == []


def test_a_table_that_lies_in_the_order_of_its_key(storage: Storage) -> None:
    with storage.writing() as tx:
        tx.run("CREATE TABLE o (a BIGINT NOT NULL, b BIGINT NOT NULL, c BYTEA, PRIMARY KEY (a, b)) WITHOUT ROWID")
        tx.many("INSERT INTO o (a, b) VALUES (:a, :b)", [(2, 1), (1, 2), (1, 1)])
    with storage.reading() as tx:
        assert tx.all("SELECT a, b FROM o ORDER BY a, b") == [(1, 1), (1, 2), (2, 1)]


@pytest.mark.parametrize(
    "value", ["", "금고", "e\u0301", "\U0001f512", "'; DROP TABLE t; --", "$1 :id %s %%", "\x01\x7f\r\n"]
)
def test_text_comes_back_as_it_was(table: Storage, value: str) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES (:value)", value=value)
        assert tx.one("SELECT id FROM t WHERE id = :value", value=value) == (value,)


@pytest.mark.parametrize("value", ["a\0b", "\udc80"])
def test_text_that_postgresql_cannot_keep_is_refused(table: Storage, value: str) -> None:
    with pytest.raises(ValueError, match="parameter value"), table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES (:value)", value=value)


@pytest.mark.parametrize("value", [0, 1, -1, 32_768, 2**31, HIGHEST, LOWEST, None])
def test_integers_have_64_bit(table: Storage, value: int | None) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('a', :value)", value=value)
        assert tx.one("SELECT number FROM t") == (value,)


def test_sums_and_counts_are_integers(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('a', :big), ('b', 2)", big=2**40)
        row = tx.one("SELECT SUM(number), COUNT(*), MAX(number), EXISTS (SELECT 1 FROM t) FROM t")
    assert row == (2**40 + 2, 2, 2**40, 1)
    assert {type(value) for value in row} == {int}


def test_a_flag_is_kept_as_a_number(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('a', :on)", on=True)
        assert tx.one("SELECT number FROM t WHERE number = :on", on=True) == (1,)


@pytest.mark.parametrize("value", [b"", bytes(range(256)), bytes(100_000), None])
def test_bytes_come_back_as_they_were(table: Storage, value: bytes | None) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, bytes) VALUES ('a', :value)", value=value)
        row = tx.one("SELECT bytes FROM t")
    assert row == (value,)
    assert row is not None
    assert type(row[0]) is type(value)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (id, number) VALUES ('a', 'words')",
        "INSERT INTO t (id) VALUES (NULL)",
        "INSERT INTO c (id, parent) VALUES ('a', 'nobody')",
        "INSERT INTO c (id, size) VALUES ('a', 11)",
    ],
)
def test_a_row_that_breaks_the_schema_is_refused(table: Storage, sql: str) -> None:
    with table.writing() as tx:
        tx.run("CREATE TABLE c (id TEXT PRIMARY KEY, parent TEXT REFERENCES t (id), size BIGINT CHECK (size < 10))")
    with pytest.raises(Violated), table.writing() as tx:
        tx.run(sql)


def test_a_value_of_the_wrong_type_is_refused(table: Storage) -> None:
    with pytest.raises(StorageError), table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('a', :bytes)", bytes=b"\xff")


def test_an_error_does_not_quote_the_values(table: Storage) -> None:
    def insert() -> None:
        with table.writing() as tx:
            tx.run("INSERT INTO t (id, bytes) VALUES (:id, :bytes)", id="hunter2", bytes=b"hunter2")

    insert()
    with pytest.raises(Taken) as caught:
        insert()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_unique_value_is_taken_once(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a')")
    with pytest.raises(Taken), table.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a')")


def test_an_upsert_changes_the_row_that_is_there(table: Storage) -> None:
    with table.writing() as tx:
        for number in (1, 2):
            tx.run(
                "INSERT INTO t (id, number) VALUES ('a', :number) ON CONFLICT (id) DO UPDATE SET number = excluded.number",
                number=number,
            )
        assert tx.all("SELECT id, number FROM t") == [("a", 2)]


def test_a_partial_index_is_unique_among_its_rows(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("CREATE UNIQUE INDEX one_open ON t (number) WHERE bytes IS NULL")
        tx.run("INSERT INTO t (id, number, bytes) VALUES ('a', 1, NULL), ('b', 1, :done), ('c', 1, :done)", done=b"x")
        inserted = tx.run(
            "INSERT INTO t (id, number) VALUES ('d', 1) ON CONFLICT (number) WHERE bytes IS NULL DO NOTHING"
        )
    assert inserted == 0


def test_returning_answers_the_rows_that_were_changed(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('a', 1), ('b', 1)")
        assert tx.one("UPDATE t SET number = number + 1 WHERE id = 'a' RETURNING number") == (2,)
        assert sorted(tx.all("DELETE FROM t RETURNING id, number")) == [("a", 2), ("b", 1)]


def test_names_are_sorted_by_code_point(table: Storage) -> None:
    names = ["B", "a", "Z", "é", "z", "가", "_", "\U0001f512", "\uffee", "A/b", "A-b", "A"]
    with table.writing() as tx:
        for name in names:
            tx.run("INSERT INTO t (id) VALUES (:name)", name=name)
    assert ids(table) == sorted(names)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=lists(text(alphabet="aAb/é가\U0001f512", max_size=4), unique=True, max_size=12),
    prefix=text("aA/가", max_size=2),
)
def test_a_range_finds_the_names_with_a_prefix(table: Storage, names: list[str], prefix: str) -> None:
    with table.writing() as tx:
        tx.run("DELETE FROM t")
        for name in names:
            tx.run("INSERT INTO t (id) VALUES (:name)", name=name)
        found = tx.all(
            'SELECT id FROM t WHERE id >= :first AND id < :last ORDER BY id COLLATE "C"',
            first=prefix,
            last=f"{prefix}\U0010ffff",
        )
    assert [id_ for (id_,) in found] == sorted(name for name in names if name.startswith(prefix))


def test_a_writer_in_the_way_is_a_conflict_and_nothing_is_kept(table: Storage) -> None:
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('a', 1)")
    other = storage_at(open_again(table), wait_ms=50)
    with table.writing() as tx:
        tx.run("UPDATE t SET number = 2")
        with pytest.raises(Conflict), other.writing() as late:
            late.run("UPDATE t SET number = 3")
    with other.reading() as tx:
        assert tx.all("SELECT number FROM t") == [(2,)]
    other.close()


def test_of_two_decisions_that_exclude_each_other_not_both_are_kept(table: Storage) -> None:
    """Write skew: each transaction reads what the other one changes."""
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('ann', 1), ('bob', 1)")
    other = storage_at(open_again(table), wait_ms=50)

    def leave(tx: Tx, who: str) -> None:
        if tx.one("SELECT COUNT(*) FROM t WHERE number = 1") == (2,):
            tx.run("UPDATE t SET number = 0 WHERE id = :who", who=who)

    def leave_both() -> None:
        with table.writing() as first:
            assert first.one("SELECT COUNT(*) FROM t WHERE number = 1") == (2,)
            with other.writing() as second:
                leave(second, "bob")
            leave(first, "ann")

    with pytest.raises(Conflict):
        leave_both()
    with table.reading() as tx:
        assert tx.one("SELECT COUNT(*) FROM t WHERE number = 1") in {(1,), (2,)}
    other.close()


def test_processes_see_what_others_have_committed(table: Storage) -> None:
    with other_process(table) as other:
        for number in range(5):
            other.commit(f"INSERT INTO t (id) VALUES ('{number}')")
            assert len(ids(table)) == number + 1


def test_the_mark_stays_while_nothing_is_committed(table: Storage) -> None:
    mark = table.mark()
    assert ids(table) == []
    assert table.mark() == mark


def test_the_mark_changes_with_our_own_commits(table: Storage) -> None:
    marks = [table.mark()]
    for number in range(3):
        with table.writing() as tx:
            tx.run("INSERT INTO t (id) VALUES (:id)", id=str(number))
        marks.append(table.mark())
    assert len(set(marks)) == 4


def test_the_mark_changes_with_the_commits_of_other_processes(table: Storage) -> None:
    marks = [table.mark()]
    with other_process(table) as other:
        for number in range(5):
            other.commit(f"INSERT INTO t (id) VALUES ('{number}')")
            marks.append(table.mark())
            other.commit(f"DELETE FROM t WHERE id = '{number}'")
            marks.append(table.mark())
    assert len(set(marks)) == 11


def test_a_mark_taken_while_a_writer_is_at_work_changes_when_it_commits(table: Storage) -> None:
    other = storage_at(open_again(table))
    with other.writing() as tx:
        tx.run("INSERT INTO t (id) VALUES ('a')")
        mark = table.mark()
        assert ids(table) == []
    assert table.mark() != mark
    other.close()


def test_no_commit_is_missed_by_a_reader_that_took_its_mark_before(table: Storage) -> None:
    """Writers commit as fast as they can; whenever the mark stayed the same, so did the rows."""
    with table.writing() as tx:
        tx.run("INSERT INTO t (id, number) VALUES ('a', 0), ('b', 0)")
    left = threading.Semaphore(0)

    def write(who: str) -> None:
        storage = storage_at(open_again(table))
        for _ in range(100):
            with storage.writing() as tx:
                tx.run("UPDATE t SET number = number + 1 WHERE id = :who", who=who)
        storage.close()
        left.release()

    threads = [threading.Thread(target=write, args=(who,)) for who in ("a", "b")]
    for thread in threads:
        thread.start()
    kept, rows = b"", list[Row]()
    while left._value < 2:
        mark = table.mark()
        with table.reading() as tx:
            now = tx.all("SELECT number FROM t ORDER BY id")
        if mark == kept:
            after = table.mark()
            assert now == rows or after != mark
        kept, rows = mark, now
    for thread in threads:
        thread.join()
    mark = table.mark()
    with table.reading() as tx:
        assert tx.all("SELECT number FROM t ORDER BY id") == [(100,), (100,)]
    assert table.mark() == mark
