"""Old segments go with a signed floor in their place; whoever takes any away without one is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from geumgo.audit import retention
from geumgo.audit.floor import NAME, floor_of
from geumgo.audit.line import Head, build, take_apart
from geumgo.audit.reader import records
from geumgo.audit.retention import AT_ONCE, Pruned, prune
from geumgo.audit.verify import Report, verify
from tests.audit.trails import KEYS, anchor_of, files_of, keys_of, open_trail
from tests.clock import TurnedClock

DAY_MS = 86_400_000
TRUSTED = {KEYS.public_key: KEYS.mac_key}
FAR = 10_000  # no reader is behind


class Chain:
    """A chain with a segment of each of the last `days` days."""

    def __init__(self, directory: Path, clock: TurnedClock, days: int = 8) -> None:
        self.directory, self.clock = directory, clock
        self.trail = open_trail(directory, clock)
        for day in range(days):
            if day:
                self.trail._end_segment()
                clock.turn(ms=DAY_MS)
            for number in range(5):
                self.trail.note("call", {"day": day, "number": number})
                self.trail.settle()
        self.trail.checkpoint()
        clock.turn(ms=1)

    @property
    def place(self) -> Path:
        return self.directory / "n1-a"

    def prune(self, days: int, *, below: int = FAR) -> Pruned:
        now_ms = self.clock.now_ms()
        return prune(
            self.place, before_ms=now_ms - days * DAY_MS, below=below, keys=KEYS, trusted=TRUSTED, now_ms=now_ms
        )

    def numbers(self) -> list[int]:
        return [int(path.stem) for path in files_of(self.directory)]

    def check(self) -> Report:
        anchor: Head | None = anchor_of(self.trail)
        assert anchor is not None
        return verify(self.directory, KEYS.public_key, [anchor], mac_key=KEYS.mac_key)


@pytest.fixture
def chain(tmp_path: Path, clock: TurnedClock) -> Chain:
    return Chain(tmp_path / "audit", clock)


def days_in(chain: Chain) -> set[int]:
    return {record["day"] for record in records(chain.directory)}


def test_what_is_old_enough_goes_and_the_rest_verifies_from_the_floor_on(chain: Chain):
    before = chain.check()
    assert chain.prune(3).segments == 4
    assert chain.numbers() == [5, 6, 7, 8]
    assert days_in(chain) == {4, 5, 6, 7}
    after = chain.check()
    assert after.ok, after.problems
    assert after.pruned + after.records == before.records
    chain.trail.close()
    reopened = open_trail(chain.directory, chain.clock, anchor=anchor_of(chain.trail))
    reopened.note("call", {"day": 8})
    reopened.close()
    assert chain.check().ok
    assert chain.prune(1).segments == 2  # and the floor moves on
    assert chain.check().ok


def test_nothing_goes_that_is_young_or_that_somebody_has_yet_to_read(chain: Chain):
    assert chain.prune(100) == Pruned()
    assert chain.prune(0, below=0) == Pruned()
    assert chain.prune(0, below=3).segments == 2
    assert chain.numbers() == [3, 4, 5, 6, 7, 8]


def test_the_newest_segment_stays_however_old_it_is(chain: Chain):
    chain.clock.turn(ms=1_000 * DAY_MS)
    chain.prune(1)
    assert chain.numbers() == [8]
    assert chain.check().ok


def test_a_clock_that_jumps_takes_a_few_segments_at_a_time(tmp_path: Path, clock: TurnedClock):
    chain = Chain(tmp_path / "audit", clock, days=AT_ONCE + 10)
    clock.turn(ms=4_000 * DAY_MS)
    assert chain.prune(90).segments == AT_ONCE
    assert chain.check().ok


def test_what_a_crash_leaves_below_the_floor_goes_with_the_next_pass(chain: Chain, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as crash:
        crash.setattr(retention, "_take_away", lambda *_: 0)
        chain.prune(3)
    assert chain.numbers() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert chain.check().ok
    (chain.place / "00000001.trail").unlink()  # or a part of it
    assert chain.check().ok
    assert chain.prune(3).segments == 3
    assert chain.numbers() == [5, 6, 7, 8]


def take_one_more(chain: Chain, _older: Path) -> None:
    files_of(chain.directory)[0].unlink()


def take_the_floor(chain: Chain, _older: Path) -> None:
    (chain.place / NAME).unlink()


def bring_the_older_floor(chain: Chain, older: Path) -> None:
    shutil.copy2(older / NAME, chain.place)


def change_the_floor(chain: Chain, _older: Path) -> None:
    found = json.loads((chain.place / NAME).read_text())
    (chain.place / NAME).write_text(json.dumps({**found, "segment": found["segment"] + 1}))
    files_of(chain.directory)[0].unlink()


def sign_it_as_somebody_else(chain: Chain, _older: Path) -> None:
    stranger, now_ms = keys_of(b"f" * 32), chain.clock.now_ms()
    prune(chain.place, before_ms=now_ms - DAY_MS, below=FAR, keys=stranger, trusted=TRUSTED, now_ms=now_ms)


def break_the_floor(chain: Chain, _older: Path) -> None:
    (chain.place / NAME).write_text("{")


@pytest.mark.parametrize(
    "attack",
    [take_one_more, take_the_floor, bring_the_older_floor, change_the_floor, sign_it_as_somebody_else, break_the_floor],
)
def test_whoever_takes_records_away_without_the_key_is_found(
    chain: Chain, tmp_path: Path, attack: Callable[[Chain, Path], None]
):
    chain.prune(5)
    shutil.copytree(chain.place, tmp_path / "older")
    chain.prune(3)
    assert chain.check().ok
    attack(chain, tmp_path / "older")
    assert not chain.check().ok


def test_what_was_tampered_with_is_kept_and_named(chain: Chain):
    second = files_of(chain.directory)[1]
    second.write_bytes(second.read_bytes().replace(b'"number":3', b'"number":4'))
    pruned = chain.prune(3)
    assert pruned.segments == 0
    assert [problem.segment for problem in pruned.problems] == [2]
    assert len(chain.numbers()) == 8
    assert floor_of(chain.place) is None


def test_no_floor_is_made_of_an_opening_that_somebody_has_forged(chain: Chain):
    """What stands in the first line of a segment would be signed as what came before it."""
    fifth = files_of(chain.directory)[4]
    first, _, rest = fifth.read_bytes().partition(b"\n")
    line = take_apart(first)
    assert line is not None
    forged, _ = build(
        chain=line.chain, seq=line.seq, prev="f" * 64, at_ms=line.at_ms, kind=line.kind, event_id=line.id,
        record=first[line.record_at : first.rindex(b',"mac":')], mac_key=b"x" * 32,
    )  # fmt: skip
    fifth.write_bytes(forged + rest)
    assert chain.prune(3).segments == 3  # those before the last opening that is genuine
    assert chain.numbers() == [4, 5, 6, 7, 8]
    assert not chain.check().ok
