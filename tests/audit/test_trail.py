"""The writing end: what was noted is durable after settle, in one write and one sync, or the trail says that it is not."""

import errno
import json
import os
import stat
import threading
import uuid
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from geumgo.audit import trail as trails
from geumgo.audit.disk import FILLED_BYTES, Disk, Draft
from geumgo.audit.line import build_with, encode_record, hash_of, take_apart
from geumgo.audit.reader import records
from geumgo.audit.segment import find_end
from geumgo.audit.trail import Trail, TrailBroken, TrailFull
from geumgo.audit.verify import verify
from geumgo.sealing.keyed import keyed
from tests.audit.trails import (
    KEYS,
    SMALL,
    CountingDisk,
    FailingDisk,
    SmallDisk,
    anchor_of,
    files_of,
    keys_of,
    kill,
    open_trail,
)
from tests.clock import TurnedClock


def lines_of(directory: Path) -> list[bytes]:
    return [line for path in files_of(directory) for line in path.read_bytes().rstrip(b"\0").splitlines()]


def sound(directory: Path, trail: Trail | None = None) -> bool:
    report = verify(directory, KEYS.public_key, trail.heads() if trail is not None else (), mac_key=KEYS.mac_key)
    assert not report.problems, report.problems
    return True


def test_what_was_settled_is_on_the_disk(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    event_id = trail.note("call", {"eventName": "GetSecretValue"})
    assert list(records(tmp_path)) == []
    trail.settle()
    assert list(records(tmp_path)) == [{"eventName": "GetSecretValue", "eventID": event_id}]
    trail.close()
    assert sound(tmp_path, trail)


def test_a_batch_is_one_write_and_one_sync(tmp_path: Path, clock: TurnedClock) -> None:
    disk = CountingDisk()
    trail = open_trail(tmp_path, clock, disk=disk)
    for size in (1, 2, 20):
        disk.writes, disk.syncs = [], 0
        for number in range(size):
            trail.note("call", {"number": number})
        trail.settle()
        assert (len(disk.writes), disk.syncs) == (1, 1)
        assert disk.writes[0].count(b"\n") == size
    disk.writes, disk.syncs = [], 0
    trail.settle()
    assert (disk.writes, disk.syncs) == ([], 0)


def test_each_line_names_the_one_before(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    for number in range(5):
        trail.note("call", {"number": number})
        trail.settle()
    lines = [take_apart(raw) for raw in lines_of(tmp_path)]
    assert [line.kind for line in lines if line] == ["segment", "checkpoint", *["call"] * 5]
    for before, after in pairwise(lines):
        assert before is not None
        assert after is not None
        assert (after.seq, after.prev) == (before.seq + 1, before.hash)


def test_what_is_a_second_old_is_signed_with_the_next_batch(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    head = anchor_of(trail)
    for turned in (0, 999):
        clock.turn(ms=turned)
        trail.note("call", {})
        trail.settle()
        assert anchor_of(trail) == head
    clock.turn(ms=1)
    trail.note("call", {})
    trail.settle()
    after = anchor_of(trail)
    assert head is not None
    assert after is not None
    assert after.seq == head.seq + 3  # the checkpoint that the segment began with, and two calls
    assert [line.kind for line in map(take_apart, lines_of(tmp_path)) if line][-2:] == ["checkpoint", "call"]


def test_a_checkpoint_signs_what_there_is_and_nothing_twice(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    trail.note("call", {})
    trail.checkpoint()
    assert verify(tmp_path, KEYS.public_key, trail.heads()).unsigned == 0
    size = len(lines_of(tmp_path))
    trail.checkpoint()
    assert len(lines_of(tmp_path)) == size


def test_a_full_segment_is_ended_and_the_chain_goes_on(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    noted = [trail.note("call", {"number": number, "filling": "x" * (number % 1_500)}) for number in range(700)]
    trail.settle()
    for number in range(300):
        noted.append(trail.note("call", {"number": number, "filling": "y" * 900}))
        trail.settle()
        if not number % 7:
            clock.turn(ms=700)
            trail.checkpoint()
    trail.close()
    files = files_of(tmp_path)
    assert len(files) > 10
    assert [path.name for path in files] == [f"{number:08}.trail" for number in range(1, len(files) + 1)]
    assert all(path.stat().st_size <= SMALL for path in files)
    assert [record["eventID"] for record in records(tmp_path)] == noted
    assert sound(tmp_path, trail)


def test_only_its_owner_may_read_the_trail(tmp_path: Path, clock: TurnedClock) -> None:
    open_trail(tmp_path / "audit", clock)
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "audit" / "n1-a").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files_of(tmp_path / "audit")} == {0o600}


def test_the_names_of_new_directories_and_segments_are_durable(tmp_path: Path, clock: TurnedClock) -> None:
    class Noting(Disk):
        def __init__(self) -> None:
            self.synced: list[Path] = []

        def sync_directory(self, path: Path) -> None:
            self.synced.append(path)
            super().sync_directory(path)

    disk = Noting()
    open_trail(tmp_path / "audit", clock, disk=disk)
    assert disk.synced == [tmp_path, tmp_path / "audit", tmp_path / "audit" / "n1-a"]


def test_a_chain_has_one_writer(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    with pytest.raises(TrailBroken, match="another process"):
        open_trail(tmp_path, clock)
    other = open_trail(tmp_path, clock, slot="b")
    other.note("call", {})
    other.close()
    trail.close()
    open_trail(tmp_path, clock).close()
    assert sound(tmp_path)


def test_a_trail_that_was_closed_says_so(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    trail.close()
    trail.close()
    with pytest.raises(TrailBroken, match="closed"):
        trail.note("call", {})


@pytest.mark.parametrize("method", ["write", "sync", "create"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_after_the_first_fault_of_the_disk_nothing_is_acknowledged(
    tmp_path: Path, clock: TurnedClock, method: str, number: int
) -> None:
    disk = FailingDisk()
    trail = open_trail(tmp_path, clock, disk=disk)
    kept = trail.note("call", {"filling": "x" * 15_000})
    trail.settle()
    disk.fails = (method, number)
    recoverable = (method, number) == ("create", errno.ENOSPC)
    for _ in range(5):
        trail.note("call", {"filling": "x" * 15_000})
    with pytest.raises(TrailFull if recoverable else TrailBroken):
        trail.settle()
    disk.fails = None
    if not recoverable:
        for call in (trail.settle, trail.checkpoint, lambda: trail.note("call", {})):
            with pytest.raises(TrailBroken):
                call()
        kill(trail)
        trail = open_trail(tmp_path, clock, anchor=anchor_of(trail))
    trail.note("call", {})
    trail.settle()
    trail.close()
    found = [record["eventID"] for record in records(tmp_path)]
    assert found[0] == kept
    assert not recoverable or len(found) == 7
    assert sound(tmp_path, trail)


def test_a_full_disk_takes_the_space_that_was_held_back_and_recovers(tmp_path: Path, clock: TurnedClock) -> None:
    disk = SmallDisk(free=4 * SMALL)
    trail = open_trail(tmp_path, clock, disk=disk, reserve_bytes=2 * SMALL)
    reserve = tmp_path / "reserve"
    assert reserve.exists()
    noted = []

    def fill() -> None:
        for _ in range(1_000):
            noted.append(trail.note("call", {"filling": "x" * 1_000}))
            trail.settle()

    with pytest.raises(TrailFull):
        fill()
    assert trail.on_reserve
    assert len(files_of(tmp_path)) == 4
    for _ in range(3):
        with pytest.raises(TrailFull):
            trail.settle()
    disk.free += 4 * SMALL
    trail.settle()
    trail.checkpoint()
    assert reserve.stat().st_size == 2 * SMALL
    trail.close()
    assert [record["eventID"] for record in records(tmp_path)] == noted
    assert sound(tmp_path, trail)


def test_what_is_abandoned_was_never_there_but_outcomes_are_kept(tmp_path: Path, clock: TurnedClock) -> None:
    disk = SmallDisk(free=SMALL)
    trail = open_trail(tmp_path, clock, disk=disk)
    for _ in range(4):
        trail.note("call", {"filling": "x" * 14_500})
    intent = trail.note("intent", {"eventName": "CreateSecret"})
    trail.settle()
    trail.note("call", {"eventName": "not acknowledged", "filling": "x" * 15_000})
    trail.note("outcome", {"intent": intent, "committed": True})
    with pytest.raises(TrailFull):
        trail.settle()
    trail.abandon()
    disk.free = 2 * SMALL
    trail.note("call", {"eventName": "after"})
    trail.close()
    names = [record.get("eventName") for record in records(tmp_path)]
    assert names[-2:] == ["CreateSecret", "after"]
    assert not trail.unresolved
    assert sound(tmp_path, trail)


def test_what_waits_for_space_is_bounded(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock, disk=SmallDisk(free=SMALL))

    def flood() -> None:
        for _ in range(10_000):
            trail.note("call", {"filling": "x" * 15_000})

    with pytest.raises(TrailFull):
        flood()


def test_a_trail_that_finds_no_space_at_its_start_can_be_opened_later(tmp_path: Path, clock: TurnedClock) -> None:
    with pytest.raises(TrailFull):
        open_trail(tmp_path, clock, disk=SmallDisk(free=0))
    open_trail(tmp_path, clock).close()
    assert sound(tmp_path)


def test_a_record_that_is_too_long_loses_its_parameters_only(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    trail.note("call", {"eventName": "PutParameter", "requestParameters": {"name": "x" * SMALL}})
    trail.close()
    [found] = list(records(tmp_path))
    assert (found["eventName"], found["requestParameters"], found["omitted"]) == ("PutParameter", None, True)


def test_intents_without_an_outcome_are_known_after_a_restart(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    settled, open_ = (trail.note("intent", {"number": number}) for number in range(2))
    trail.settle()
    trail.note("outcome", {"intent": settled, "committed": True})
    trail.settle()
    at_ms = clock.now_ms()
    for _ in range(3):  # they are carried from segment to segment
        for _ in range(8):
            trail.note("call", {"filling": "x" * 15_000})
            trail.settle()
        kill(trail)
        clock.turn(ms=5_000)
        trail = open_trail(tmp_path, clock, anchor=anchor_of(trail))
        assert trail.unresolved == {open_: at_ms}
    trail.note("outcome", {"intent": open_, "committed": False})
    trail.close()
    assert not open_trail(tmp_path, clock, anchor=anchor_of(trail)).unresolved


def test_the_chain_of_a_new_root_key_goes_on(tmp_path: Path, clock: TurnedClock) -> None:
    newer = keys_of(b"n" * 32, term=2)
    trail = open_trail(tmp_path, clock)
    kept = trail.note("intent", {})
    trail.settle()
    kill(trail)
    trail = open_trail(tmp_path, clock, keys=newer, anchor=anchor_of(trail))
    assert list(trail.unresolved) == [kept]
    trail.note("call", {})
    trail.close()
    assert verify(tmp_path, [KEYS.public_key, newer.public_key], trail.heads()).ok
    assert not verify(tmp_path, newer.public_key, trail.heads()).ok


def test_a_clock_that_goes_back_stops_nothing(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    for days in (-3_000, 5_000, -1):
        clock.turn(days=days)
        trail.note("call", {})
        trail.settle()
    trail.close()
    assert sound(tmp_path, trail)


HOSTILE = [
    'line\nbreak","kind":"checkpoint"}\n{"chain":"n1-a"',
    "\x1b[2J\x1b]0;title\x07 red \x9b31m",
    "left\u2028right\u2029 \u202eesrever \ufeff",
    '\0\x7f\r\n\t\\"',
    "half \ud800 of a pair \udfff",
    "\U0001f511 \u6697\u53f7",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_caller_sends_stays_in_its_line(tmp_path: Path, clock: TurnedClock, text: str) -> None:
    trail = open_trail(tmp_path, clock)
    trail.note("call", {"userAgent": text, text: [text, {"deep": text}]})
    trail.close()
    lines = lines_of(tmp_path)
    assert len(lines) == 4
    for raw in lines:
        assert all(0x20 <= byte < 0x7F for byte in raw)
        assert isinstance(json.loads(raw), dict)
    [found] = list(records(tmp_path))
    readable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert found["userAgent"] == readable
    assert sound(tmp_path, trail)


def test_a_failed_open_leaves_no_descriptor_behind(tmp_path: Path, clock: TurnedClock) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(TrailFull):
            open_trail(tmp_path, clock, disk=SmallDisk(free=0))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_end_of_a_chain_of_an_old_root_key_is_found_as_surely(tmp_path: Path, clock: TurnedClock) -> None:
    """What somebody has written behind it without its key is no part of it, though it goes on in another term."""
    trail = open_trail(tmp_path, clock)
    trail.note("call", {"eventName": "genuine"})
    trail.settle()
    kill(trail)
    stranger = keys_of(b"s" * 32)
    ending = find_end(tmp_path / "n1-a", "n1-a", {1: KEYS.mac_key.reveal()})
    line, _ = build_with(
        keyed(stranger.mac_key.reveal()), b"n1-a", ending.seq + 1, ending.hash, 0, "call", str(uuid.uuid4()), b"{}"
    )
    path = files_of(tmp_path)[-1]
    path.write_bytes(path.read_bytes()[: ending.size_bytes] + line)
    assert find_end(tmp_path / "n1-a", "n1-a", {1: KEYS.mac_key.reveal()}).seq == ending.seq
    assert find_end(tmp_path / "n1-a", "n1-a", {2: KEYS.mac_key.reveal()}).seq == ending.seq + 1
    newer = replace(keys_of(b"n" * 32, term=2), older={1: KEYS.mac_key})
    again = open_trail(tmp_path, clock, keys=newer, anchor=anchor_of(trail))
    again.close()
    both = {KEYS.public_key: KEYS.mac_key, newer.public_key: newer.mac_key}
    assert not verify(tmp_path, both, again.heads()).ok, "it is left as evidence"


def test_each_segment_is_checked_with_the_keys_of_its_own_term(tmp_path: Path, clock: TurnedClock) -> None:
    newer = keys_of(b"n" * 32, term=2)
    open_trail(tmp_path, clock).close()
    trail = open_trail(tmp_path, clock, keys=newer)
    trail.note("call", {})
    trail.close()
    both = {KEYS.public_key: KEYS.mac_key, newer.public_key: newer.mac_key}
    assert verify(tmp_path, both, trail.heads()).ok
    assert verify(tmp_path, {**both, KEYS.public_key: None}, trail.heads()).ok, "the old term was dropped"
    wrong = verify(tmp_path, {KEYS.public_key: newer.mac_key, newer.public_key: newer.mac_key}, trail.heads())
    assert "not written by a holder of the key" in wrong.problems[0].what


def test_nobody_goes_back_to_an_older_root_key(tmp_path: Path, clock: TurnedClock) -> None:
    """Whoever has come by the old keys writes nothing with them behind the new ones."""
    newer = keys_of(b"n" * 32, term=2)
    open_trail(tmp_path, clock, keys=newer).close()
    trail = open_trail(tmp_path, clock)
    trail.close()
    report = verify(tmp_path, {KEYS.public_key: None, newer.public_key: newer.mac_key}, trail.heads())
    assert [problem.what for problem in report.problems] == [
        "this segment was signed with an older key than the one before it"
    ]


# -- a thread waits for the disk --------------------------------------------------------------------------------------------


class HeldDisk(FailingDisk):
    """A disk whose syncs take until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()

    def sync(self, descriptor: int) -> None:
        assert self.free.wait(60)
        super().sync(descriptor)


@pytest.fixture(name="held")
def a_slow_disk(monkeypatch: pytest.MonkeyPatch) -> HeldDisk:
    """It is held, and no trail takes it for a quick one."""
    monkeypatch.setattr(trails, "QUICK_SECONDS", 0)
    return HeldDisk()


def launched(trail: Trail, disk: HeldDisk, *names: str) -> threading.Event:
    """Those records are on their way to the disk. Answers what is set when they are there."""
    woken = threading.Event()
    disk.free.clear()
    for name in names:
        trail.note("call", {"eventName": name})
    assert trail.launch(woken.set)
    return woken


def names_in(directory: Path) -> list[str]:
    return [record["eventName"] for record in records(directory)]


def test_what_a_thread_waits_for_is_durable_when_it_has_landed(
    tmp_path: Path, clock: TurnedClock, held: HeldDisk
) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    woken = launched(trail, held, "a", "b")
    trail.note("call", {"eventName": "meanwhile"})
    assert not woken.is_set()
    assert names_in(tmp_path) == ["a", "b"], "written, and nothing behind them before they are synced"
    held.free.set()
    assert woken.wait(60)
    trail.land()
    trail.settle()
    assert names_in(tmp_path) == ["a", "b", "meanwhile"]
    assert not trail.launch(woken.set), "nothing waits"
    trail.close()
    assert sound(tmp_path, trail)


def test_whoever_settles_meanwhile_waits_for_what_is_on_its_way(
    tmp_path: Path, clock: TurnedClock, held: HeldDisk
) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    launched(trail, held, "a")
    trail.note("call", {"eventName": "b"})
    letting = threading.Timer(0.05, held.free.set)
    letting.start()
    trail.settle()
    assert held.free.is_set()
    trail.land()
    letting.join()
    assert names_in(tmp_path) == ["a", "b"]
    trail.close()
    assert sound(tmp_path, trail)


def test_an_outcome_on_its_way_settles_its_intent_when_it_has_landed(
    tmp_path: Path, clock: TurnedClock, held: HeldDisk
) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    intent = trail.note("intent", {"eventName": "a"})
    trail.settle()
    trail.note("outcome", {"intent": intent, "committed": True})
    held.free.clear()
    assert trail.launch(lambda: None)
    assert set(trail.unresolved) == {intent}
    held.free.set()
    trail.land()
    assert not trail.unresolved
    trail.close()


def test_a_sync_that_fails_in_a_thread_breaks_the_trail(tmp_path: Path, clock: TurnedClock, held: HeldDisk) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    held.fails = ("sync", errno.EIO)
    woken = launched(trail, held, "a")
    held.free.set()
    assert woken.wait(60), "whoever waits is told of a failure, too"
    for refused in (trail.land, trail.land, trail.settle, lambda: trail.launch(woken.set)):
        with pytest.raises(TrailBroken, match="cannot be written"):
            refused()
    trail.close()


def test_a_trail_that_is_closed_waits_for_what_is_on_its_way(
    tmp_path: Path, clock: TurnedClock, held: HeldDisk
) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    launched(trail, held, "a")
    letting = threading.Timer(0.05, held.free.set)
    letting.start()
    trail.close()
    letting.join()
    assert names_in(tmp_path) == ["a"]
    assert sound(tmp_path, trail)


def test_what_does_not_fit_into_the_segment_is_durable_at_once(
    tmp_path: Path, clock: TurnedClock, held: HeldDisk
) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    for _ in range(8):
        trail.note("call", {"eventName": "long", "filling": "x" * (SMALL // 5)})
    assert not trail.launch(lambda: pytest.fail("there is nothing to wait for"))
    assert names_in(tmp_path) == ["long"] * 8
    assert len(files_of(tmp_path)) > 1
    trail.close()
    assert sound(tmp_path, trail)


def test_a_full_disk_is_told_to_whoever_launches(tmp_path: Path, clock: TurnedClock, held: HeldDisk) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    for _ in range(8):
        trail.note("call", {"eventName": "long", "filling": "x" * (SMALL // 5)})
    held.fails = ("create", errno.ENOSPC)
    with pytest.raises(TrailFull):
        trail.launch(lambda: None)
    trail.abandon()
    held.fails = None
    trail.note("call", {"eventName": "afterwards"})
    trail.settle()
    assert names_in(tmp_path)[-1] == "afterwards"
    trail.close()
    assert sound(tmp_path, trail)


def test_no_thread_waits_for_a_quick_disk(tmp_path: Path, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trails, "QUICK_SECONDS", 60)
    trail = open_trail(tmp_path, clock)
    trail.note("call", {"eventName": "a"})
    assert not trail.launch(lambda: pytest.fail("there is nothing to wait for"))
    assert names_in(tmp_path) == ["a"]
    trail.close()


def test_one_of_many_syncs_is_waited_for_here_so_that_a_disk_that_has_become_quick_is_known(
    tmp_path: Path, clock: TurnedClock, held: HeldDisk
) -> None:
    trail = open_trail(tmp_path, clock, disk=held)
    by_a_thread = []
    for _ in range(2 * trails.LOOKS_EVERY + 2):
        trail.note("call", {"eventName": "a"})
        by_a_thread.append(trail.launch(lambda: None))
        trail.land()
    assert by_a_thread == 2 * [*(trails.LOOKS_EVERY * [True]), False]
    trail.close()
    assert len(list(records(tmp_path))) == len(by_a_thread)
    assert sound(tmp_path, trail)


# -- the next segment is made while this one fills --------------------------------------------------------------------------

MIB = 1 << 20


class Drafting(CountingDisk):
    """A disk that tells how much it filled at once, and fails a step of it when told."""

    def __init__(self) -> None:
        super().__init__()
        self.filled: list[int] = []
        self.filled_by: list[str] = []  # names of threads
        self.fails: tuple[str, int] | None = None

    def _may(self, method: str) -> None:
        if self.fails is not None and self.fails[0] == method:
            raise OSError(self.fails[1], os.strerror(self.fails[1]))

    def begin(self, path: Path, size_bytes: int) -> Draft:
        self._may("begin")
        return super().begin(path, size_bytes)

    def fill(self, draft: Draft) -> None:
        before = draft.filled
        try:
            self._may("fill")
        except OSError:
            self.discard(draft)
            raise
        super().fill(draft)
        self.filled.append(draft.filled - before)
        self.filled_by.append(threading.current_thread().name)

    def finish(self, draft: Draft, first: bytes) -> int:
        self.filled.append(draft.size_bytes - draft.filled)
        return super().finish(draft, first)


def write_mib(trail: Trail, count: float) -> None:
    for _ in range(int(count * 8)):
        trail.note("call", {"filling": "x" * (MIB // 8)})
        trail.settle()


def test_a_record_that_nests_too_deep_is_refused_and_not_followed_to_its_end() -> None:
    """Only one with half of a surrogate pair is walked through at all. What is noted is bounded before: see `record.plain`."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises((ValueError, RecursionError)):
        encode_record({"half": "\ud800", "deep": deep})


@pytest.mark.parametrize("length", [0, 1, 100, 160])
def test_a_line_that_is_too_short_for_a_hash_has_none_that_is_its_own(length: int) -> None:
    assert take_apart(b"x" * length) is None
    assert len(hash_of(b"x" * length)) == 64


def test_nobody_waits_for_a_whole_segment(tmp_path: Path, clock: TurnedClock) -> None:
    disk = Drafting()
    trail = open_trail(tmp_path, clock, disk=disk, segment_bytes=4 * MIB)
    assert disk.filled == [4 * MIB]
    disk.filled.clear()
    write_mib(trail, 12)
    assert max(disk.filled) <= 2 * FILLED_BYTES
    assert {path.stat().st_size for path in files_of(tmp_path)[1:-1]} <= {4 * MIB} | set(range(3 * MIB, 4 * MIB))
    assert len(files_of(tmp_path)) == 4
    trail.close()
    assert len(list(records(tmp_path))) == 96
    assert sound(tmp_path, trail)


def test_the_thread_that_waits_for_the_disk_makes_the_next_segment(
    tmp_path: Path, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trails, "QUICK_SECONDS", 0)
    disk = Drafting()
    trail = open_trail(tmp_path, clock, disk=disk, segment_bytes=4 * MIB)
    disk.filled.clear()
    disk.filled_by.clear()
    for _ in range(24):
        trail.note("call", {"filling": "x" * (MIB // 8)})
        trail.launch(lambda: None)
        trail.land()
    assert max(disk.filled) <= 2 * FILLED_BYTES
    assert {name.partition("_")[0] for name in disk.filled_by} == {"trail"}
    assert len(files_of(tmp_path)) == 1
    trail.close()
    assert len(list(records(tmp_path))) == 24
    assert sound(tmp_path, trail)


def test_a_draft_that_fails_is_known_before_its_sync_has_landed(
    tmp_path: Path, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trails, "QUICK_SECONDS", 0)
    disk = Drafting()
    trail = open_trail(tmp_path, clock, disk=disk, segment_bytes=4 * MIB)
    disk.fails = ("fill", errno.EIO)
    for _ in range(10):
        trail.note("call", {"filling": "x" * (MIB // 8)})
    assert trail.launch(lambda: None)
    trail.land()
    trail.note("call", {"eventName": "a"})
    assert trail.launch(lambda: None)
    with pytest.raises(TrailBroken, match="cannot be written"):
        trail.land()
    trail.close()


def test_where_space_is_short_the_thread_makes_no_segment(tmp_path: Path, clock: TurnedClock, held: HeldDisk) -> None:
    trail = open_trail(tmp_path, clock, disk=held, segment_bytes=4 * MIB, reserve_bytes=MIB)
    for _ in range(10):
        trail.note("call", {"eventName": "long", "filling": "x" * (MIB // 8)})
    trail.settle()
    assert len(list(tmp_path.rglob("*.new"))) == 1
    trail.give_up_reserve()
    assert trail.scarce
    woken = launched(trail, held, "a")
    held.free.set()
    assert woken.wait(20), "the thread waits for nobody"
    trail.land()
    assert not list(tmp_path.rglob("*.new"))
    trail.close()
    assert sound(tmp_path, trail)


def test_space_that_is_given_up_waits_for_a_draft_that_a_thread_makes(
    tmp_path: Path, clock: TurnedClock, held: HeldDisk
) -> None:
    trail = open_trail(tmp_path, clock, disk=held, segment_bytes=4 * MIB)
    for _ in range(10):
        trail.note("call", {"eventName": "long", "filling": "x" * (MIB // 8)})
    assert trail.launch(lambda: None)
    trail.land()
    launched(trail, held, "a")
    letting = threading.Timer(0.05, held.free.set)
    letting.start()
    trail.give_up_reserve()
    letting.join()
    assert not list(tmp_path.rglob("*.new"))
    trail.close()
    assert sound(tmp_path, trail)


def test_a_trail_that_is_closed_leaves_no_draft(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock, segment_bytes=4 * MIB)
    write_mib(trail, 2)
    assert len(list(tmp_path.rglob("*.new"))) == 1
    assert sound(tmp_path)
    trail.close()
    assert not list(tmp_path.rglob("*.new"))


def test_a_draft_that_was_left_behind_is_no_segment(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock, segment_bytes=4 * MIB)
    write_mib(trail, 2)
    kill(trail)
    trail = open_trail(tmp_path, clock, segment_bytes=4 * MIB, anchor=anchor_of(trail))
    assert not list(tmp_path.rglob("*.new"))
    assert len(list(records(tmp_path))) == 16
    trail.close()
    assert sound(tmp_path, trail)


@pytest.mark.parametrize("method", ["begin", "fill"])
def test_without_space_for_a_draft_the_segment_is_made_when_it_is_needed(
    tmp_path: Path, clock: TurnedClock, method: str
) -> None:
    disk = Drafting()
    trail = open_trail(tmp_path, clock, disk=disk, segment_bytes=4 * MIB)
    disk.fails = (method, errno.ENOSPC)
    write_mib(trail, 3)
    assert not list(tmp_path.rglob("*.new"))
    disk.fails = None
    write_mib(trail, 2)
    trail.close()
    assert len(list(records(tmp_path))) == 40
    assert sound(tmp_path, trail)


@pytest.mark.parametrize("method", ["begin", "fill"])
def test_a_fault_of_a_draft_is_a_fault_of_the_disk(tmp_path: Path, clock: TurnedClock, method: str) -> None:
    disk = Drafting()
    trail = open_trail(tmp_path, clock, disk=disk, segment_bytes=4 * MIB)
    disk.fails = (method, errno.EIO)
    with pytest.raises(TrailBroken):
        write_mib(trail, 2)
    with pytest.raises(TrailBroken):
        trail.settle()


def test_where_space_is_short_there_is_no_draft(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock, segment_bytes=4 * MIB, reserve_bytes=MIB)
    write_mib(trail, 2)
    assert list(tmp_path.rglob("*.new"))
    trail.give_up_reserve()
    assert not list(tmp_path.rglob("*.new"))
    write_mib(trail, 1)
    assert not list(tmp_path.rglob("*.new"))
    trail.close()
    assert sound(tmp_path, trail)
