"""What follows from rows is kept exactly as long as it is true, whoever writes. Each test runs on each engine."""

from collections.abc import Collection
from contextlib import AbstractContextManager

import pytest

from geumgo.storage import Broken, Conflict, Storage, StorageError, Tx
from geumgo.storage.derived import Derived
from geumgo.storage.text import kept_under, unkept
from tests.storage.processes import open_again, other_process, storage_at


@pytest.fixture
def table(storage: Storage) -> Storage:
    """The storage, with the numbers of "a" and "b" at 0."""
    with storage.writing() as tx:
        tx.run('CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY, number BIGINT)')
        tx.run("INSERT INTO t (id, number) VALUES ('a', 0), ('b', 0)")
    return storage


@pytest.fixture
def derived(table: Storage) -> Derived:
    return Derived(table, most=100)


def number(tx: Tx, id_: str) -> tuple[int] | None:
    return tx.one("SELECT number FROM t WHERE id = :id", id=id_)


def kept(tx: Tx, id_: str) -> tuple[int] | None:
    return tx.derived(("number", id_), lambda: number(tx, id_))


def ask(derived: Derived, id_: str = "a") -> int:
    """As a request would, which has just arrived."""
    derived.look()
    with derived.reading() as tx:
        found = kept(tx, id_)
    assert found is not None
    return found[0]


def refuse() -> tuple[int] | None:
    raise AssertionError("it was made again")


def test_what_was_made_is_not_made_again_while_nothing_is_written(derived: Derived) -> None:
    assert ask(derived) == 0
    derived.look()
    with derived.reading() as tx:
        assert tx.derived(("number", "a"), refuse) == (0,)


def test_what_is_kept_needs_no_transaction(derived: Derived, table: Storage) -> None:
    ask(derived)
    with derived.reading() as tx:
        kept(tx, "a")
        with table.reading() as another:  # a storage has one transaction at a time, so none is open
            assert number(another, "a") == (0,)


def test_a_write_of_this_process_drops_it(derived: Derived) -> None:
    ask(derived)
    with derived.writing() as tx:
        tx.run("UPDATE t SET number = 1 WHERE id = 'a'")
    with derived.reading() as tx:  # in the same batch: nobody has looked
        assert kept(tx, "a") == (1,)


def test_a_write_of_another_connection_drops_it(derived: Derived, table: Storage) -> None:
    other = storage_at(open_again(table))
    for value in range(1, 50):
        with other.writing() as tx:
            tx.run("UPDATE t SET number = :value WHERE id = 'a'", value=value)
        assert ask(derived) == value
        assert ask(derived) == value
    other.close()


def test_a_write_of_another_process_is_seen_by_whoever_asks_after_it(derived: Derived, table: Storage) -> None:
    with other_process(table) as other:
        for value in range(1, 50):
            other.commit(f"UPDATE t SET number = {value} WHERE id = 'a'")
            assert ask(derived) == value
            assert ask(derived) == value


def test_two_caches_that_write_by_turns_see_each_other(derived: Derived, table: Storage) -> None:
    other_storage = storage_at(open_again(table))
    other = Derived(other_storage, most=100)
    for value in range(1, 40):
        writer, reader = (derived, other) if value % 2 else (other, derived)
        with writer.writing() as tx:
            tx.run("UPDATE t SET number = :value WHERE id = 'a'", value=value)
        assert ask(reader) == value
        assert ask(writer) == value
    other_storage.close()


MARK = "UPDATE t SET number = 7 WHERE id = 'a'"


def test_a_change_that_says_so_drops_nothing(table: Storage) -> None:
    derived = Derived(table, most=100)
    other = storage_at(open_again(table))
    ask(derived)
    for storage in (other, table):
        with storage.writing() as tx:
            tx.run(unkept(MARK))
        derived.look()
        with derived.reading() as tx:
            assert tx.derived(("number", "a"), refuse) == (0,)
    other.close()


def test_a_change_that_does_not_say_so_drops_all_beside_one_that_does(table: Storage) -> None:
    derived = Derived(table, most=100)
    for first, second in ((unkept(MARK), "UPDATE t SET number = 8"), ("UPDATE t SET number = 8", unkept(MARK))):
        ask(derived, "b")
        with table.writing() as tx:
            tx.run(first)
            tx.run(second)
        assert ask(derived, "b") == 8
        with table.writing() as tx:
            tx.run("UPDATE t SET number = 0")


# -- changes that concern one id -------------------------------------------------------------------------------------------

IDS = {"a": "a" * 32, "b": "b" * 32}
CHANGE = "UPDATE t SET number = number + 1 WHERE id = :id"


def change(storage: Storage, *ids: str) -> None:
    with storage.writing() as tx:
        for id_ in ids:
            tx.run(kept_under("under", CHANGE), id=id_, under=IDS[id_])


def ask_under(derived: Derived, id_: str, *, again: bool = False) -> int:
    """As `ask`, for an entry that is kept under an id. `again`: it must be there already."""
    derived.look()
    with derived.reading() as tx:
        found = tx.derived(("number", id_), refuse if again else lambda: number(tx, id_), under=lambda _: IDS[id_])
    assert found is not None
    return found[0]


def test_a_change_drops_what_is_kept_under_its_id(table: Storage, derived: Derived) -> None:
    other = storage_at(open_again(table))
    for turn, storage in enumerate((other, table) * 3):
        assert ask_under(derived, "a") == turn
        change(storage, "a")
        assert ask_under(derived, "a") == turn + 1
    other.close()


def test_a_change_leaves_what_is_kept_under_another_id(table: Storage) -> None:
    derived = Derived(table, most=100)
    other = storage_at(open_again(table))
    ask_under(derived, "b")
    for storage in (other, table):
        change(storage, "a")
        assert ask_under(derived, "b", again=True) == 0
    other.close()


def test_a_change_that_concerns_all_beside_one_that_concerns_an_id_drops_all(table: Storage) -> None:
    derived = Derived(table, most=100)
    ask_under(derived, "b")
    with table.writing() as tx:
        tx.run(kept_under("under", CHANGE), id="a", under=IDS["a"])
        tx.run(CHANGE, id="b")
    assert ask_under(derived, "b") == 1


def test_whoever_has_missed_many_changes_drops_all(table: Storage) -> None:
    derived = Derived(table, most=100)
    other = storage_at(open_again(table))
    ask_under(derived, "b")
    change(other, "b")
    for _ in range(150):
        change(other, "a")
    assert ask_under(derived, "b") == 1
    other.close()


def test_a_transaction_that_changes_much_drops_all(table: Storage) -> None:
    derived = Derived(table, most=100)
    ask_under(derived, "b")
    with table.writing() as tx:
        tx.run(kept_under("under", CHANGE), id="b", under=IDS["b"])
        for count in range(150):
            tx.run(kept_under("under", CHANGE), id="a", under=f"{count:032x}")
    assert ask_under(derived, "b") == 1


def test_a_change_that_was_rolled_back_drops_nothing_later(table: Storage) -> None:
    derived = Derived(table, most=100)

    def fail() -> None:
        with table.writing() as tx:
            tx.run(kept_under("under", CHANGE), id="b", under=IDS["b"])
            raise KeyError

    ask_under(derived, "b")
    with pytest.raises(KeyError):
        fail()
    change(table, "a")
    assert ask_under(derived, "b", again=True) == 0


def test_what_was_used_and_is_dropped_meanwhile_ends_the_transaction(table: Storage, derived: Derived) -> None:
    other = storage_at(open_again(table))
    ask_under(derived, "a")

    def look() -> None:
        with derived.reading() as tx:
            assert tx.derived(("number", "a"), refuse) == (0,)
            change(other, "a")
            number(tx, "b")

    with pytest.raises(Conflict):
        look()
    assert ask_under(derived, "a") == 1
    other.close()


def test_ids_go_with_their_entries(table: Storage) -> None:
    derived = Derived(table, most=1)
    for id_ in "abab":
        ask_under(derived, id_)
    assert list(derived.entries) == [("number", "b")]
    assert (derived._under, derived._ids) == ({IDS["b"]: {("number", "b")}}, {("number", "b"): (IDS["b"],)})


def test_what_a_request_has_touched_can_be_made_anew(derived: Derived) -> None:
    ask(derived, "b")
    derived.begin()
    ask(derived, "a")
    derived.forget(derived.touched)
    assert list(derived.entries) == [("number", "b")]


def test_a_write_that_failed_leaves_what_is_true(derived: Derived) -> None:
    ask(derived)

    def fail() -> None:
        with derived.writing() as tx:
            tx.run("UPDATE t SET number = 1 WHERE id = 'a'")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert ask(derived) == 0


def test_what_a_writing_transaction_reads_is_not_kept(derived: Derived) -> None:
    def look_and_fail() -> None:
        with derived.writing() as tx:
            tx.run("UPDATE t SET number = 1 WHERE id = 'a'")
            assert kept(tx, "a") == (1,)
            raise LookupError

    with pytest.raises(LookupError):
        look_and_fail()
    assert ask(derived) == 0


def test_old_entries_and_new_rows_do_not_meet_in_one_transaction(derived: Derived, table: Storage) -> None:
    ask(derived)
    other = storage_at(open_again(table))

    def look_at_both() -> None:
        with derived.reading() as tx:
            assert kept(tx, "a") == (0,)
            with other.writing() as writing:
                writing.run("UPDATE t SET number = 1")
            kept(tx, "b")

    with pytest.raises(Conflict):
        look_at_both()
    with derived.reading() as tx:  # tried again, it sees one state
        assert (kept(tx, "a"), kept(tx, "b")) == ((1,), (1,))
    other.close()


def test_a_transaction_that_used_nothing_old_goes_on_with_the_new(derived: Derived, table: Storage) -> None:
    ask(derived)
    other = storage_at(open_again(table))
    with derived.reading() as tx:
        with other.writing() as writing:
            writing.run("UPDATE t SET number = 1")
        assert kept(tx, "b") == (1,)
        assert kept(tx, "a") == (1,)
    other.close()


def test_a_snapshot_that_is_taken_stays(derived: Derived, table: Storage) -> None:
    other = storage_at(open_again(table))
    with derived.reading() as tx:
        assert kept(tx, "a") == (0,)
        with other.writing() as writing:
            writing.run("UPDATE t SET number = 1")
        assert number(tx, "b") == (0,)
        assert kept(tx, "b") == (0,)
    assert ask(derived, "b") == 1
    other.close()


def test_the_mark_of_a_snapshot_is_that_of_its_moment(table: Storage) -> None:
    other = storage_at(open_again(table))
    before = table.mark()
    with table.reading() as tx:
        assert tx.mark == before
        with other.writing() as writing:
            writing.run("UPDATE t SET number = 1")
        assert tx.mark == before
    assert table.mark() != before
    after = table.mark()
    with table.reading() as tx:
        assert tx.mark == after
    other.close()


def test_what_is_not_there_is_asked_again(derived: Derived) -> None:
    with derived.reading() as tx:
        assert tx.derived(("number", "c"), lambda: None) is None
        assert tx.derived(("number", "c"), lambda: 7) == 7


def test_a_transaction_that_is_over_is_over(derived: Derived) -> None:
    with derived.reading() as tx:
        pass
    with pytest.raises(AssertionError, match="is over"):
        number(tx, "a")


def test_what_is_kept_is_bounded(table: Storage) -> None:
    derived = Derived(table, most=3)
    with derived.reading() as tx:
        for value in range(10):
            tx.derived(value, lambda value=value: value + 1)  # type: ignore[misc]
    assert list(derived.entries) == [7, 8, 9]


class Unreachable:
    """A storage that can be lost and found again."""

    def __init__(self, storage: Storage, fault: type[StorageError]) -> None:
        self.storage, self.fault, self.lost = storage, fault, False

    def mark(self) -> bytes:
        return self._reached().mark()

    def dropped(self, before: bytes) -> Collection[str] | None:
        return self.storage.dropped(before)

    def reading(self) -> AbstractContextManager[Tx]:
        return self._reached().reading()

    def writing(self, *, serializable: bool = True, alone: bool = False) -> AbstractContextManager[Tx]:
        return self._reached().writing(serializable=serializable)

    def close(self) -> None:
        self.storage.close()

    def _reached(self) -> Storage:
        if self.lost:
            raise self.fault("lost")
        return self.storage


def test_nothing_is_answered_from_memory_while_the_database_is_out_of_reach(table: Storage) -> None:
    storage = Unreachable(table, StorageError)
    derived = Derived(storage, most=100)
    assert ask(derived) == 0
    storage.lost = True
    with pytest.raises(StorageError):
        ask(derived)
    storage.lost = False
    assert ask(derived) == 0


def test_a_broken_storage_ends_the_batch(table: Storage) -> None:
    storage = Unreachable(table, Broken)
    derived = Derived(storage, most=100)
    storage.lost = True
    with pytest.raises(Broken):
        derived.look()


def test_what_rests_upon_others_goes_with_them(table: Storage) -> None:
    derived = Derived(table, most=9)
    derived.begin()
    ask_under(derived, "a")
    ask_under(derived, "b")
    assert derived.keep_upon("both", "made")
    assert derived.kept("both") == "made"
    change(table, "b")
    derived.look()
    assert derived.kept("both") is None
    assert ("number", "a") in derived.entries


def test_what_rests_upon_others_is_not_kept_once_one_of_them_has_gone(table: Storage) -> None:
    derived = Derived(table, most=9)
    derived.begin()
    ask_under(derived, "a")
    ask_under(derived, "b")
    derived.forget([("number", "a")])
    assert not derived.keep_upon("both", "made")


def test_who_forgets_it_forgets_what_it_rests_upon(table: Storage) -> None:
    derived = Derived(table, most=9)
    derived.begin()
    ask_under(derived, "a")
    derived.keep_upon("more", "made")
    derived.begin()
    assert derived.kept("more") == "made"
    derived.forget(derived.touched[:])
    assert not derived.entries


def test_nothing_is_left_of_what_rested_upon_others(table: Storage) -> None:
    derived = Derived(table, most=1)
    derived.begin()
    ask_under(derived, "a")
    derived.keep_upon("more", "made")  # the oldest goes
    ask_under(derived, "b")
    assert list(derived.entries) == [("number", "b")]
    assert (derived._under, derived._ids, derived._upon) == (
        {IDS["b"]: {("number", "b")}},
        {("number", "b"): (IDS["b"],)},
        {},
    )
