"""P7: any change of what is older than a second is found, offline, with the public key alone; and named."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from geumgo.audit.line import Head, build, encode_record, take_apart
from geumgo.audit.reader import records
from geumgo.audit.rewound import newest_changes
from geumgo.audit.trail import TrailKeys
from geumgo.audit.verify import Report, verify
from tests.audit.trails import KEYS, SMALL, anchor_of, files_of, keys_of, kill, open_trail
from tests.clock import TurnedClock

MUTATIONS = 1_200


class Log:
    """A log of three segments, the second one ended by a crash; and what an attacker may have kept of its past."""

    def __init__(self, directory: Path, clock: TurnedClock) -> None:
        self.directory = directory
        self.older = directory.parent / "older"
        anchor = None
        for run in range(3):
            trail = open_trail(directory, clock, anchor=anchor)
            for number in range(40):
                intent = trail.note("intent", {"run": run, "number": number, "name": "x" * (number * 7 % 300)})
                trail.settle()
                trail.note("outcome", {"intent": intent, "committed": True})
                trail.note("call", {"run": run, "number": number})
                trail.settle()
                clock.turn(ms=130)
                if run == 2 and number == 20:
                    trail.checkpoint()
                    shutil.copytree(directory, self.older)
            trail.checkpoint()
            anchor = anchor_of(trail)
            if run == 1:
                trail.note("call", {"torn": "by a crash"})
                trail.settle()
                kill(trail)
                data = files_of(directory)[-1].read_bytes()
                files_of(directory)[-1].write_bytes(data[: len(data.rstrip(b"\0")) - 60])
            else:
                trail.close()
        assert anchor is not None
        self.anchor: Head = anchor
        self.forger = open_trail(
            directory.parent / "forged", clock, keys=TrailKeys(KEYS.mac_key, keys_of(b"f" * 32).sign, KEYS.public_key)
        )

    def check(self) -> Report:
        return verify(self.directory, KEYS.public_key, [self.anchor])


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")


def flip_a_bit(log: Log, chance: random.Random) -> None:
    path = chance.choice(files_of(log.directory))
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def on_lines(change: Callable[[list[bytes], random.Random], None]) -> Callable[[Log, random.Random], None]:
    def mutate(log: Log, chance: random.Random) -> None:
        path = chance.choice(files_of(log.directory))
        rows = lines(path)
        change(rows, chance)
        path.write_bytes(b"\n".join(rows))

    mutate.__name__ = change.__name__
    return mutate


@on_lines
def delete_a_line(rows: list[bytes], chance: random.Random) -> None:
    del rows[chance.randrange(len(rows) - 2)]


@on_lines
def double_a_line(rows: list[bytes], chance: random.Random) -> None:
    rows.insert(chance.randrange(len(rows) - 1), chance.choice(rows[:-1]))


@on_lines
def swap_two_lines(rows: list[bytes], chance: random.Random) -> None:
    one, other = chance.sample(range(len(rows) - 2), 2)
    rows[one], rows[other] = rows[other], rows[one]


@on_lines
def truncate(rows: list[bytes], chance: random.Random) -> None:
    del rows[chance.randrange(len(rows) - 2) :]


@on_lines
def insert_a_forged_line(rows: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(1, len(rows) - 1)
    before = take_apart(rows[at - 1])
    if before is None:
        rows.insert(1, b"{}")
        return
    rows.insert(at, forged(before.seq + 1, before.hash, chance))


@on_lines
def rewrite_to_the_end(rows: list[bytes], chance: random.Random) -> None:
    """Whoever does not hold the keys can make a chain of hashes that fits: what follows is hashed again, signatures and all."""
    at = chance.randrange(1, len(rows) - 4)
    changed = False
    for place in range(at, len(rows) - 1):
        line = take_apart(rows[place])
        before = take_apart(rows[place - 1])
        if line is None or before is None:
            break
        record = line.record()
        if line.kind not in ("checkpoint", "segment") and not changed:
            record, changed = {**record, "number": -1}, True
        rows[place] = build(
            chain="n1-a", seq=line.seq, prev=before.hash, at_ms=line.at_ms, kind=line.kind, event_id=line.id,
            record=encode_record(record), mac_key=b"?" * 32,
        )[0][:-1]  # fmt: skip
    if not changed:
        del rows[1]


def forged(seq: int, prev: str, chance: random.Random) -> bytes:
    record = encode_record({"number": chance.randrange(1_000)})
    event_id = f"{chance.randrange(1 << 32):08x}-0000-4000-8000-000000000000"
    return build(
        chain="n1-a", seq=seq, prev=prev, at_ms=0, kind="call", event_id=event_id, record=record, mac_key=b"?" * 32
    )[0][:-1]


def remove_a_segment(log: Log, chance: random.Random) -> None:
    chance.choice(files_of(log.directory)).unlink()


def exchange_two_segments(log: Log, chance: random.Random) -> None:
    one, other = chance.sample(files_of(log.directory), 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def double_a_segment(log: Log, chance: random.Random) -> None:
    files = files_of(log.directory)
    shutil.copy(chance.choice(files), files[0].parent / f"{len(files) + 1:08}.trail")


def restore_an_old_segment(log: Log, chance: random.Random) -> None:
    shutil.copy(files_of(log.older)[-1], files_of(log.directory)[-1])


def restore_the_whole_past(log: Log, chance: random.Random) -> None:
    shutil.rmtree(log.directory)
    shutil.copytree(log.older, log.directory)


def sign_it_oneself(log: Log, chance: random.Random) -> None:
    """A segment written with all that is public, by the program itself, but with another signing key."""
    trail = log.forger
    trail.note("call", {"number": chance.randrange(1_000)})
    trail.checkpoint()
    files = files_of(log.directory)
    if chance.random() < 0.5:
        shutil.copy(files_of(trail._directory.parent)[0], chance.choice(files))
    else:
        shutil.copy(files_of(trail._directory.parent)[0], files[0].parent / f"{len(files) + 1:08}.trail")


def remove_the_chain(log: Log, chance: random.Random) -> None:
    shutil.rmtree(log.directory / "n1-a")


def put_a_stranger_there(log: Log, chance: random.Random) -> None:
    (log.directory / "n1-a" / chance.choice(("0000001.trail", "note.txt", "00000001.trail.bak"))).write_bytes(b"?")


KINDS = [
    flip_a_bit, flip_a_bit, flip_a_bit, delete_a_line, double_a_line, swap_two_lines, truncate, insert_a_forged_line, rewrite_to_the_end,
    remove_a_segment, exchange_two_segments, double_a_segment, restore_an_old_segment, restore_the_whole_past, sign_it_oneself,
    remove_the_chain, put_a_stranger_there,
]  # fmt: skip


@pytest.fixture
def log(tmp_path: Path, clock: TurnedClock) -> Log:
    return Log(tmp_path / "audit", clock)


def test_a_log_that_nobody_touched_is_sound(log: Log) -> None:
    report = log.check()
    assert report.ok, report.problems
    assert report.chains == 1
    assert report.records > 360
    assert report.torn_bytes > 0
    assert report.unsigned == 0


def test_every_mutation_is_found(log: Log, tmp_path: Path) -> None:
    chance = random.Random(7)
    original = tmp_path / "original"
    shutil.copytree(log.directory, original)
    state = {path.relative_to(original): path.read_bytes() for path in original.rglob("*") if path.is_file()}
    missed = []
    for number in range(MUTATIONS):
        kind = KINDS[number % len(KINDS)]
        kind(log, chance)
        if now_of(log.directory) == state:
            continue  # a swap of a line with its like
        if log.check().ok:
            missed.append(kind.__name__)
        shutil.rmtree(log.directory)
        shutil.copytree(original, log.directory)
    assert not missed
    assert log.check().ok


def now_of(directory: Path) -> dict[Path, bytes]:
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_problem_names_the_record(log: Log) -> None:
    path = files_of(log.directory)[0]
    rows = lines(path)
    assert b'"number":' in rows[10]
    line = take_apart(rows[10])
    assert line is not None
    rows[10] = rows[10].replace(b'"number":', b'"Number":')
    path.write_bytes(b"\n".join(rows))
    [first, *_] = log.check().problems
    assert (first.chain, first.segment, first.line, first.seq) == ("n1-a", 1, 11, line.seq)
    path.write_bytes(b"\n".join(rows[:10] + rows[11:]))
    follower = take_apart(rows[11])
    assert follower is not None
    [first, *_] = log.check().problems
    assert (first.line, first.seq, first.event_id) == (11, follower.seq, follower.id)
    assert first.what == f"record {line.seq} is missing here, or this one is out of order"
    assert str(first).startswith("n1-a/00000001.trail line 11")


def test_one_change_is_one_problem_or_two(log: Log) -> None:
    """The walk goes on behind a change, and what follows is not blamed for it."""
    path = files_of(log.directory)[0]
    data = bytearray(path.read_bytes())
    data[5_000] ^= 1
    path.write_bytes(data)
    report = log.check()
    assert 1 <= len(report.problems) <= 2
    assert report.records > 360


def test_an_attack_that_a_restart_follows_is_found_for_good(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    for _ in range(10):
        trail.note("call", {})
    trail.checkpoint()
    anchor = anchor_of(trail)
    kill(trail)
    path = files_of(tmp_path)[-1]
    path.write_bytes(b"\n".join(lines(path)[:6]) + b"\n")
    again = open_trail(tmp_path, clock, anchor=anchor)
    for _ in range(20):
        again.note("call", {})
    again.checkpoint()
    again.close()
    problems = verify(tmp_path, KEYS.public_key, again.heads()).problems
    assert [problem.what for problem in problems] == [
        f"when this segment was opened, the files had lost records: record {anchor.seq if anchor else 0} had been anchored"
    ]


def test_damage_in_the_middle_is_not_taken_for_a_torn_end(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    for _ in range(10):
        trail.note("call", {})
        trail.settle()
        clock.turn(ms=1_000)
    kill(trail)
    path = files_of(tmp_path)[-1]
    data = bytearray(path.read_bytes())
    data[len(data.rstrip(b"\0")) // 2] ^= 1
    path.write_bytes(data)
    assert not verify(tmp_path, KEYS.public_key).ok
    again = open_trail(tmp_path, clock, anchor=None)
    again.close()
    assert not verify(tmp_path, KEYS.public_key, again.heads()).ok


def test_the_newest_lines_are_checked_with_the_key(tmp_path: Path, clock: TurnedClock) -> None:
    trail = open_trail(tmp_path, clock)
    trail.note("call", {})
    trail.settle()
    path = files_of(tmp_path)[-1]
    data = path.read_bytes()
    text = data.rstrip(b"\0")
    last = take_apart(text.splitlines()[-1])
    assert last is not None
    trail.settle()
    kill(trail)
    path.write_bytes((text + forged(last.seq + 1, last.hash, random.Random(0)) + b"\n").ljust(SMALL, b"\0"))
    assert (
        verify(tmp_path, KEYS.public_key, mac_key=KEYS.mac_key)
        .problems[0]
        .what.startswith("this line was not written by")
    )
    again = open_trail(tmp_path, clock)  # a start does not go on from it, and leaves it as evidence
    again.note("call", {"after": "the attack"})
    again.close()
    assert [record.get("after") for record in records(tmp_path)][-1] == "the attack"
    assert not verify(tmp_path, KEYS.public_key, again.heads()).ok


def test_an_anchor_that_was_made_up_is_found(log: Log) -> None:
    made_up = Head(log.anchor.chain, log.anchor.seq, log.anchor.hash, log.anchor.at_ms, "00" * 64)
    assert not verify(log.directory, KEYS.public_key, [made_up]).ok


@pytest.mark.parametrize("kind", ["checkpoint", "segment", "outcome"])
def test_a_record_that_nests_deeper_than_can_be_read_is_named_and_stops_nobody(
    tmp_path: Path, clock: TurnedClock, kind: str
) -> None:
    """Whoever writes the file can make a line of the right form of it."""
    trail = open_trail(tmp_path, clock)
    trail.note("call", {})
    trail.checkpoint()
    kill(trail)
    path = files_of(tmp_path)[-1]
    whole = path.read_bytes().rstrip(b"\0")
    before = take_apart(whole.splitlines()[-1])
    assert before is not None
    deep, _ = build(
        chain="n1-a", seq=before.seq + 1, prev=before.hash, at_ms=0, kind=kind, event_id="0" * 8 + "-0000-4000-8000-" + "0" * 12,
        record=b'{"a":' * 4_000 + b"1" + b"}" * 4_000, mac_key=b"?" * 32,
    )  # fmt: skip
    path.write_bytes((whole + deep).ljust(SMALL, b"\0"))
    for mac_key in (None, KEYS.mac_key) if kind != "outcome" else (KEYS.mac_key,):
        assert not verify(tmp_path, KEYS.public_key, [*trail.heads()], mac_key=mac_key).ok
    assert newest_changes(tmp_path).changes == []
    again = open_trail(tmp_path, clock, anchor=anchor_of(trail))
    again.close()
    assert not verify(tmp_path, KEYS.public_key, again.heads()).ok


def test_a_key_that_is_not_trusted_is_named(log: Log) -> None:
    report = verify(log.directory, keys_of(b"o" * 32).public_key)
    assert any("not trusted" in problem.what for problem in report.problems)


def test_nothing_is_sound_unless_something_was_anchored(tmp_path: Path, log: Log) -> None:
    assert verify(tmp_path / "empty", KEYS.public_key).ok
    assert verify(tmp_path / "empty", KEYS.public_key, [log.anchor]).problems[0].what == "the whole chain is missing"
