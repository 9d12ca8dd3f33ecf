"""P7: whatever moment a crash comes at, what was acknowledged is there, and verify raises no false alarm."""

import random
import shutil
from pathlib import Path

import pytest

from geumgo.audit.line import Head
from geumgo.audit.reader import records
from geumgo.audit.verify import verify
from tests.audit.trails import KEYS, anchor_of, files_of, kill, open_trail
from tests.clock import TurnedClock

PAGE = 512  # bytes that a disk writes whole


def log_with_a_last_batch(directory: Path, clock: TurnedClock) -> tuple[bytes, bytes, list[str], Head | None]:
    """The last segment before and after its last batch was written, the events acknowledged before it, and the head kept."""
    trail = open_trail(directory, clock)
    acknowledged = []
    for number in range(30):
        acknowledged.append(trail.note("call", {"number": number, "filling": "x" * (11 * number)}))
        trail.settle()
        clock.turn(ms=150)
    anchor = anchor_of(trail)
    clock.turn(ms=2_000)  # so that the last batch begins with a checkpoint
    before = files_of(directory)[-1].read_bytes()
    for number in range(4):
        trail.note("intent", {"number": number, "filling": "y" * 90 * number})
    trail.settle()
    after = files_of(directory)[-1].read_bytes()
    kill(trail)
    return before, after, acknowledged, anchor


def crash_states(before: bytes, after: bytes) -> list[bytes]:
    """What may be on the disk: the batch cut at some byte, the file cut there, or some pages of the batch missing."""
    first = next(at for at in range(len(after)) if before[at] != after[at])
    last = len(after.rstrip(b"\0"))
    chance = random.Random(1)
    states = [after[:cut] + bytes(len(after) - cut) for cut in range(first, last + 1, 5)]
    states += [after[:cut] for cut in range(first, last + 1, 40)]
    pages = range(first // PAGE, last // PAGE + 1)
    for _ in range(120):
        state = bytearray(after)
        for page in pages:
            if chance.random() < 0.5:
                state[page * PAGE : (page + 1) * PAGE] = before[page * PAGE : (page + 1) * PAGE]
        states.append(bytes(state))
    return states


def test_no_crash_state_raises_a_false_alarm_or_loses_a_record(tmp_path: Path, clock: TurnedClock) -> None:
    original = tmp_path / "original"
    before, after, acknowledged, anchor = log_with_a_last_batch(original, clock)
    states = crash_states(before, after)
    assert len(states) > 500
    work = tmp_path / "work"
    for state in states:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(original, work)
        files_of(work)[-1].write_bytes(state)
        found = verify(work, KEYS.public_key, [anchor] if anchor else [], mac_key=KEYS.mac_key)
        assert not found.problems, found.problems
        trail = open_trail(work, clock, anchor=anchor)
        acknowledged_later = trail.note("call", {"after": "the crash"})
        trail.close()
        report = verify(work, KEYS.public_key, trail.heads(), mac_key=KEYS.mac_key)
        assert not report.problems, report.problems
        ids = [record["eventID"] for record in records(work)]
        assert ids == [*acknowledged, acknowledged_later]


def test_crashes_one_after_the_other_are_no_alarm(tmp_path: Path, clock: TurnedClock) -> None:
    chance = random.Random(2)
    anchor = None
    acknowledged = []
    for _ in range(60):
        trail = open_trail(tmp_path, clock, anchor=anchor)
        for _ in range(chance.randrange(4)):
            acknowledged.append(trail.note("call", {"filling": "x" * chance.randrange(400)}))
            trail.settle()
            clock.turn(ms=chance.randrange(900))
        anchor = anchor_of(trail)
        size = len(files_of(tmp_path)[-1].read_bytes().rstrip(b"\0"))
        trail.note("call", {"never": "acknowledged"})
        trail.settle()
        kill(trail)
        newest = files_of(tmp_path)[-1]
        data = newest.read_bytes()
        end = chance.randrange(size, len(data.rstrip(b"\0")))  # never the whole batch
        newest.write_bytes(data[:end] + bytes(len(data) - end))
        assert verify(tmp_path, KEYS.public_key, [anchor] if anchor else []).ok
    trail = open_trail(tmp_path, clock, anchor=anchor)
    trail.close()
    assert verify(tmp_path, KEYS.public_key, trail.heads()).ok
    assert [record["eventID"] for record in records(tmp_path)] == acknowledged


@pytest.mark.parametrize("left", ["draft", "nothing"])
def test_a_crash_while_a_segment_is_made_leaves_no_segment(tmp_path: Path, clock: TurnedClock, left: str) -> None:
    trail = open_trail(tmp_path, clock)
    trail.note("call", {})
    trail.close()
    if left == "draft":
        (tmp_path / "n1-a" / "00000002.new").write_bytes(b"half of a line")
    assert verify(tmp_path, KEYS.public_key, trail.heads()).ok
    again = open_trail(tmp_path, clock, anchor=anchor_of(trail))
    again.close()
    assert verify(tmp_path, KEYS.public_key, again.heads()).ok
    assert len(files_of(tmp_path)) == 2
