"""P7: a database of an older moment than the trail is found, and nothing else is taken for one."""

import shutil
from pathlib import Path

import pytest

from geumgo.audit import TABLES, rewound, store
from geumgo.audit.recovery import resolve
from geumgo.audit.rewound import accept_lack, lacking, newest_changes
from geumgo.audit.trail import Trail
from geumgo.audit.verify import Problem
from geumgo.storage import Storage
from geumgo.storage.migrate import migrate
from tests.audit.trails import kill, open_trail
from tests.clock import TurnedClock


@pytest.fixture
def database(storage: Storage) -> Storage:
    migrate(storage, [TABLES])
    return storage


def change(trail: Trail, clock: TurnedClock, database: Storage | None) -> str:
    """A write that is committed in `database`; None: in the one that somebody has replaced by an older one since."""
    intent = trail.note("intent", {"eventName": "CreateSecret"})
    trail.settle()
    if database is not None:
        with database.writing() as tx:
            store.add_applied(tx, intent, clock.now_ms())
    trail.note("outcome", {"intent": intent, "committed": True})
    trail.settle()
    clock.turn(ms=500)
    return intent


def found(directory: Path, clock: TurnedClock, database: Storage) -> list[Problem]:
    changes = newest_changes(directory)
    with database.reading() as tx:
        return lacking(changes, tx, clock.now_ms())


def test_the_first_change_that_the_database_lacks_is_named(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    for _ in range(3):
        change(trail, clock, database)
    assert not found(tmp_path, clock, database)
    lost = [change(trail, clock, None) for _ in range(2)]
    change(trail, clock, database)  # whoever goes on afterwards hides nothing
    trail.close()
    [problem] = found(tmp_path, clock, database)
    assert (problem.chain, problem.segment, problem.event_id) == ("n1-a", 1, lost[0])
    assert (
        problem.what
        == "the database is of an older moment: it lacks this change, which was committed, and 1 later ones"
    )


def test_what_did_not_commit_or_is_not_known_to_have_is_not_missed(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    for committed in (False, "unknown"):
        intent = trail.note("intent", {})
        trail.note("outcome", {"intent": intent, "committed": committed})
    trail.note("intent", {})
    trail.note("call", {})
    trail.close()
    assert not found(tmp_path, clock, database)


def test_rows_that_were_pruned_are_not_missed(tmp_path: Path, clock: TurnedClock, database: Storage) -> None:
    trail = open_trail(tmp_path, clock)
    change(trail, clock, database)
    clock.turn(days=7)
    with database.writing() as tx:
        store.prune_applied(tx, clock.now_ms())
    assert not found(tmp_path, clock, database)
    trail.close()


def test_rows_that_a_start_pruned_whose_clock_was_ahead_are_not_missed(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    change(trail, clock, database)
    trail.close()
    clock.turn(days=10)
    open_trail(tmp_path, clock).close()
    with database.writing() as tx:
        assert store.prune_applied(tx, clock.now_ms()) == 1
    clock.turn(days=-10)
    assert not found(tmp_path, clock, database)


def test_what_a_late_start_found_out_is_not_missed(tmp_path: Path, clock: TurnedClock, database: Storage) -> None:
    """Its row is as old as the change, and goes a week after that."""
    trail = open_trail(tmp_path, clock)
    intent = trail.note("intent", {})
    trail.settle()
    with database.writing() as tx:
        store.add_applied(tx, intent, clock.now_ms())
    kill(trail)
    clock.turn(days=3)
    again = open_trail(tmp_path, clock)
    assert resolve(again, database, clock.now_ms()) == 1
    again.close()
    clock.turn(days=5)
    with database.writing() as tx:
        assert store.prune_applied(tx, clock.now_ms()) == 1
    assert not found(tmp_path, clock, database)


def test_what_a_restored_database_is_known_to_lack_is_no_problem(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    change(trail, clock, database)
    change(trail, clock, None)
    with database.writing() as tx:
        accept_lack(newest_changes(tmp_path), tx)
    assert not found(tmp_path, clock, database)
    change(trail, clock, None)
    assert found(tmp_path, clock, database)
    trail.close()


def test_the_newest_changes_of_each_chain_are_asked_for(
    tmp_path: Path, clock: TurnedClock, database: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewound, "NEWEST", 5)
    chains = [open_trail(tmp_path, clock, slot=slot) for slot in "ab"]
    last = {trail.chain: [change(trail, clock, database) for _ in range(9)][-5:] for trail in chains}
    for trail in chains:
        trail.close()
    asked = newest_changes(tmp_path)
    assert {chain: [each.intent for each in asked.changes if each.chain == chain] for chain in last} == last
    assert newest_changes(tmp_path / "nothing").changes == []
    shutil.rmtree(tmp_path / "n1-b")
    assert len(newest_changes(tmp_path).changes) == 5
