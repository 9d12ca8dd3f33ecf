"""Old segments go with a signed floor in their place; whoever takes any away without one is found."""

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from geumgo.audit import retention
from geumgo.audit.floor import NAME, Floor, floor_of, keep_floor, message, standing
from geumgo.audit.line import Head, build, take_apart
from geumgo.audit.reader import records
from geumgo.audit.retention import AT_ONCE, Pruned, prune
from geumgo.audit.segment import path_of
from geumgo.audit.trail import Trail, TrailKeys
from geumgo.audit.verify import Report, verify
from tests.audit.trails import KEYS, anchor_of, files_of, keys_of, open_trail
from tests.clock import TurnedClock

DAY_MS = 86_400_000
TRUSTED = {KEYS.public_key: KEYS.mac_key}
FAR = 10_000  # no reader is behind
NEWER = replace(keys_of(b"n" * 32, term=2), older={1: KEYS.mac_key}, older_public=[KEYS.public_key])
RENEWED = {KEYS.public_key: None, NEWER.public_key: NEWER.mac_key}  # term 1 was dropped
verifying = importlib.import_module("geumgo.audit.verify")  # the module: the package has a function of that name


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


def nest_the_floor_deeper_than_it_can_be_read(chain: Chain, _older: Path) -> None:
    (chain.place / NAME).write_text("[" * 4_000)


@pytest.mark.parametrize(
    "attack",
    [
        take_one_more,
        take_the_floor,
        bring_the_older_floor,
        change_the_floor,
        sign_it_as_somebody_else,
        break_the_floor,
        nest_the_floor_deeper_than_it_can_be_read,
    ],
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


# -- a root key of an earlier term in somebody's hands ----------------------------------------------------------------------


class Renewed(Chain):
    """Eight days under the first root key, of which three were pruned then; five more days under the next one, which dropped it."""

    def __init__(self, directory: Path, clock: TurnedClock) -> None:
        super().__init__(directory, clock)
        assert self.prune(5).segments == 2
        self.trail.close()
        self.trail = open_trail(directory, clock, anchor=anchor_of(self.trail), keys=NEWER)
        for day in range(8, 13):
            self.trail.note("call", {"day": day})
            self.trail.settle()
            self.trail._end_segment()
            clock.turn(ms=DAY_MS)
        self.trail.note("call", {"day": 13})
        self.trail.checkpoint()

    def check(self, anchor: Head | None = None) -> Report:
        return verify(self.directory, RENEWED, [anchor or self.trail.heads()[0]])

    def prune(self, days: int, *, below: int = FAR, keys: TrailKeys | None = None) -> Pruned:
        if self.trail._keys is KEYS:
            return super().prune(days, below=below)
        now_ms = self.clock.now_ms()
        return prune(
            self.place,
            before_ms=now_ms - days * DAY_MS,
            below=below,
            keys=keys or NEWER,
            trusted=RENEWED,
            now_ms=now_ms,
        )

    def head_before(self, number: int) -> Head:
        line = take_apart(path_of(self.place, number).read_bytes().split(b"\n", 1)[0])
        assert line is not None
        return Head(line.chain, line.seq - 1, line.prev, line.at_ms, "")

    def sign_a_floor(self, keys: TrailKeys, number: int) -> None:
        """What comes before segment `number` is gone, and a floor that `keys` sign says that it may be."""
        before = self.head_before(number)
        said = (self.place.name, number, before.seq, before.hash, self.clock.now_ms())
        keep_floor(self.place, Floor(*said, keys.public_key, keys.sign(message(*said)).hex()))

    def take_below(self, number: int) -> None:
        for each in self.numbers():
            if each < number:
                path_of(self.place, each).unlink()


@pytest.fixture
def renewed(tmp_path: Path, clock: TurnedClock) -> Renewed:
    return Renewed(tmp_path / "audit", clock)


def floor_problems(report: Report) -> list[tuple[int, str]]:
    return [(problem.segment, problem.what.split(",")[0]) for problem in report.problems]


LATE = "the floor is signed with an older key than this segment"


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("number", [5, 8, 9, 11, 14])
def test_whoever_keeps_a_root_key_that_was_dropped_signs_no_later_floor(
    renewed: Renewed, monkeypatch: pytest.MonkeyPatch, number: int, *, gone: bool
):
    """Of its own time or of a later one; whether what lies below is gone by now or not."""
    assert renewed.check().ok
    renewed.sign_a_floor(KEYS, number)
    if gone:
        renewed.take_below(number)
    assert floor_problems(renewed.check()) == [(max(9, number) if gone else 9, LATE)]
    with monkeypatch.context() as mutant:  # a floor of whatever term is as good as any
        mutant.setattr(verifying._Walk, "_check_floor", lambda *_: None)
        assert renewed.check().ok


def test_what_such_a_floor_gives_up_is_kept_and_no_good_one_is_put_in_its_place(renewed: Renewed):
    renewed.sign_a_floor(KEYS, 6)
    before = renewed.numbers()
    pruned = renewed.prune(1)
    assert pruned.segments == 0
    assert floor_problems(Report(problems=[*pruned.problems])) == [(9, LATE)]
    assert renewed.numbers() == before
    assert floor_problems(renewed.check()) == [(9, LATE)]


def test_the_floor_that_the_next_term_has_found_is_good_and_so_is_each_that_the_next_term_signs(renewed: Renewed):
    found = floor_of(renewed.place)
    assert found is not None
    assert found.public_key == KEYS.public_key
    assert renewed.check().ok
    for days in (8, 3):
        assert renewed.prune(days).segments > 0
        assert renewed.check().ok
    keep_floor(renewed.place, found)  # the old one again: what it names is gone
    assert not renewed.check().ok


def test_a_process_with_older_root_keys_signs_no_floor_of_a_chain_that_has_gone_on_under_newer_ones(renewed: Renewed):
    """It may end a moment later than the others: nobody could tell its floor from that of a thief."""
    assert renewed.prune(1, keys=KEYS).segments == 0
    assert renewed.check().ok
    assert renewed.prune(1, keys=NEWER).segments > 0


def test_no_floor_changes_while_a_segment_says_which_one_it_has_found(renewed: Renewed):
    with standing(renewed.place, changes=False) as stays, standing(renewed.place, changes=False) as stays_too:
        assert stays
        assert stays_too  # of another chain
        assert renewed.prune(1).segments == 0
    assert renewed.prune(1).segments > 0
    with standing(renewed.place, changes=True) as alone:
        assert alone
        assert not says_a_floor(renewed)
    assert says_a_floor(renewed) == floor_of(renewed.place).segment  # type: ignore[union-attr]


def says_a_floor(chain: Renewed) -> int | None:
    """What a segment that is begun now says of the floor."""
    chain.trail._end_segment()
    chain.trail.note("call", {})
    chain.trail.checkpoint()
    line = take_apart(files_of(chain.directory)[-1].read_bytes().split(b"\n", 1)[0])
    assert line is not None
    found: int | None = line.record()["floor"]
    return found


def test_a_segment_finds_no_floor_that_is_not_signed(renewed: Renewed):
    """Somebody without any key could raise what the next term will have found."""
    genuine = (renewed.place / NAME).read_bytes()
    renewed.sign_a_floor(replace(KEYS, sign=keys_of(b"f" * 32).sign), 9)
    assert says_a_floor(renewed) is None
    for broken in ("{", "[" * 4_000):
        (renewed.place / NAME).write_text(broken)
        assert says_a_floor(renewed) is None
    (renewed.place / NAME).write_bytes(genuine)
    assert says_a_floor(renewed) == 3
    assert renewed.check().ok


def test_segments_of_a_release_that_says_no_floor_verify(
    tmp_path: Path, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
):
    """Of them it is known only that no key signs a floor above its own term."""
    with monkeypatch.context() as older:
        older.setattr(Trail, "_floor", lambda _: None)
        chain = Renewed(tmp_path / "audit", clock)
    assert chain.check().ok
    chain.sign_a_floor(KEYS, 8)
    assert chain.check().ok
    assert says_a_floor(chain) == 8, "from the next segment on it is known"
    chain.sign_a_floor(KEYS, 9)
    assert floor_problems(chain.check()) == [(9, LATE)]


def test_an_anchor_is_of_the_term_in_which_it_stands(renewed: Renewed):
    """Whoever writes rows and keeps a dropped root key could else cut off the tail behind any record."""
    newest = renewed.trail.heads()[0]
    said = verifying.head_message(newest.chain, newest.seq, newest.hash)
    assert renewed.check(replace(newest, signature=NEWER.sign(said).hex())).ok
    report = renewed.check(replace(newest, signature=KEYS.sign(said).hex()))
    assert [problem.what for problem in report.problems] == ["the signature of the anchor is not good"]


def test_no_chain_is_made_with_a_root_key_that_was_dropped(renewed: Renewed, clock: TurnedClock):
    """Its records would be shown among the others. One of a machine that has not gone on yet has its head in the database."""
    trail = open_trail(renewed.directory, clock, slot="z")
    trail.note("call", {"forged": True})
    trail.close()
    report = renewed.check()
    assert [(problem.chain, problem.what.split(",")[0]) for problem in report.problems] == [
        ("n1-z", "this chain ends under a root key that was dropped")
    ]
    assert verify(renewed.directory, RENEWED, [*renewed.trail.heads(), *trail.heads()]).ok
    shutil.rmtree(renewed.directory / "n1-z")
    newer = open_trail(renewed.directory, clock, slot="y", keys=NEWER)  # nor is one that has no head yet
    newer.close()
    assert renewed.check().ok
