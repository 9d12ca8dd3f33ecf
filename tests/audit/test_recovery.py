"""After a crash the trail learns from the database what became of the writes that it announced."""

from pathlib import Path

import msgspec
import pytest

from geumgo.audit import TABLES, store
from geumgo.audit.line import Head
from geumgo.audit.reader import inner_event_id, records
from geumgo.audit.recovery import resolve
from geumgo.audit.trail import TrailFull
from geumgo.audit.verify import verify
from geumgo.storage import Storage, Taken
from geumgo.storage.migrate import migrate
from tests.audit.trails import KEYS, SMALL, SmallDisk, anchor_of, files_of, kill, open_trail
from tests.clock import DAY_MS, TurnedClock


@pytest.fixture
def database(storage: Storage) -> Storage:
    migrate(storage, [TABLES])
    return storage


def outcomes_of(directory: Path) -> dict[str, object]:
    found = {}
    for path in files_of(directory):
        for raw in path.read_bytes().rstrip(b"\0").splitlines():
            line = msgspec.json.decode(raw)
            if line["kind"] == "outcome":
                found[line["record"]["intent"]] = line["record"]["committed"]
    return found


def test_writes_that_committed_are_told_from_those_that_did_not(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    kept, lost = (trail.note("intent", {"eventName": name}) for name in ("CreateSecret", "DeleteSecret"))
    trail.settle()
    with database.writing() as tx:
        store.add_applied(tx, kept, clock.now_ms())
    kill(trail)
    again = open_trail(tmp_path, clock, anchor=anchor_of(trail))
    assert resolve(again, database, clock.now_ms()) == 2
    assert outcomes_of(tmp_path) == {kept: True, lost: False}
    assert [record["eventName"] for record in records(tmp_path)] == ["CreateSecret"]
    assert resolve(again, database, clock.now_ms()) == 0
    again.close()
    assert verify(tmp_path, KEYS.public_key, again.heads()).ok


def test_what_was_found_not_to_have_committed_can_commit_no_more(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    intent = trail.note("intent", {})
    trail.settle()
    kill(trail)
    again = open_trail(tmp_path, clock, anchor=anchor_of(trail))
    resolve(again, database, clock.now_ms())
    with pytest.raises(Taken), database.writing() as tx:
        store.add_applied(tx, intent, clock.now_ms())


def test_a_crash_between_the_answer_and_its_record_changes_no_answer(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    intent = trail.note("intent", {})
    trail.settle()
    kill(trail)
    with database.writing() as tx:
        assert not store.was_applied(tx, intent, clock.now_ms())
    again = open_trail(tmp_path, clock, anchor=anchor_of(trail))
    resolve(again, database, clock.now_ms())
    assert outcomes_of(tmp_path) == {intent: False}


def test_an_intent_that_is_older_than_the_rows_is_unknown(
    tmp_path: Path, clock: TurnedClock, database: Storage
) -> None:
    trail = open_trail(tmp_path, clock)
    kept, lost = trail.note("intent", {}), trail.note("intent", {})
    trail.settle()
    with database.writing() as tx:
        store.add_applied(tx, kept, clock.now_ms())
    kill(trail)
    clock.turn(ms=store.KEEP_APPLIED_MS + 1)
    again = open_trail(tmp_path, clock, anchor=anchor_of(trail))
    resolve(again, database, clock.now_ms())
    assert outcomes_of(tmp_path) == {kept: True, lost: "unknown"}


def test_what_could_not_be_written_is_resolved_later(tmp_path: Path, clock: TurnedClock, database: Storage) -> None:
    trail = open_trail(tmp_path, clock)
    intent = trail.note("intent", {})
    trail.settle()
    kill(trail)
    disk = SmallDisk(free=SMALL)
    again = open_trail(tmp_path, clock, anchor=anchor_of(trail), disk=disk)
    for _ in range(4):
        again.note("call", {"filling": "x" * 15_500})
    with pytest.raises(TrailFull):
        resolve(again, database, clock.now_ms())
    disk.free = SMALL
    resolve(again, database, clock.now_ms())
    assert outcomes_of(tmp_path) == {intent: False}


def test_rows_are_kept_for_a_week(clock: TurnedClock, database: Storage) -> None:
    with database.writing() as tx:
        store.add_applied(tx, "old", clock.now_ms())
        store.add_applied(tx, "new", clock.now_ms() + DAY_MS)
        assert store.prune_applied(tx, clock.now_ms() + store.KEEP_APPLIED_MS) == 0
        assert store.prune_applied(tx, clock.now_ms() + store.KEEP_APPLIED_MS + 1) == 1
        assert store.was_applied(tx, "new", 0)


def test_an_anchor_never_goes_back(database: Storage) -> None:
    older, newer = (Head("n1-a", seq, f"hash {seq}", seq * 1_000, f"signature {seq}") for seq in (7, 9))
    other = Head("n2-a", 1, "h", 0, "s")
    with database.writing() as tx:
        store.keep_heads(tx, "n1", [newer])
        store.keep_heads(tx, "n1", [older])
        store.keep_heads(tx, "n2", [other])
    with database.reading() as tx:
        assert store.heads(tx, "n1") == [newer]
        assert store.head(tx, "n1-a") == newer
        assert store.head(tx, "n2-a") == other
        assert store.head(tx, "n3-a") is None


def test_a_write_shows_with_its_service_events_once_it_is_committed(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    events = [{"eventName": "RotationStarted"}, {"eventName": "ReplicationStarted"}]
    kept = trail.note("intent", {"eventName": "RotateSecret", "serviceEvents": events})
    lost = trail.note("intent", {"eventName": "DeleteSecret", "serviceEvents": events})
    unsure = trail.note("intent", {"eventName": "PutSecretValue", "serviceEvents": []})
    trail.settle()
    assert list(records(tmp_path)) == []
    for intent, committed in ((lost, False), (kept, True), (unsure, "unknown")):
        trail.note("outcome", {"intent": intent, "committed": committed})
    trail.settle()
    assert list(records(tmp_path)) == [
        {"eventName": "RotateSecret", "eventID": kept},
        {"eventName": "RotationStarted", "eventID": inner_event_id(kept, 0)},
        {"eventName": "ReplicationStarted", "eventID": inner_event_id(kept, 1)},
        {"eventName": "PutSecretValue", "eventID": unsure},
    ]


def test_the_records_of_several_writers_are_in_the_order_of_their_time(tmp_path: Path, clock: TurnedClock) -> None:
    trails = [open_trail(tmp_path, clock, slot=slot) for slot in "abc"]
    noted = []
    for number in range(30):
        noted.append(trails[number * 7 % 3].note("call", {"number": number}))
        clock.turn(ms=10)
    for trail in trails:
        trail.close()
    assert [record["eventID"] for record in records(tmp_path)] == noted
