"""A reader that comes back: it tells each record once, wherever it stopped."""

from pathlib import Path

import pytest

from geumgo.audit.follow import Position, TrailFiles, Where
from tests.audit.trails import files_of, kill, open_trail
from tests.clock import TurnedClock


def read_on(files: TrailFiles, position: Position, most: int = 100) -> tuple[list[str], Position]:
    found, behind = files.follow("n1-a", position, most)
    return [each.record["name"] for each in found], behind


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_each_record_is_told_once_in_order_across_segments(tmp_path: Path, clock: TurnedClock, most: int) -> None:
    trail = open_trail(tmp_path, clock)
    files, position, told = TrailFiles(tmp_path), Position(), []
    for number in range(300):
        trail.note("call", {"name": f"r{number}", "pad": "x" * 700})
        if number % 9 == 0:
            trail.checkpoint()
        if number % 25 == 0:
            trail.settle()
            names, position = read_on(files, position, most)
            told += names
    trail.close()
    assert len(files_of(tmp_path)) > 2
    while True:
        names, behind = read_on(files, position, most)
        told += names
        if behind == position:
            break
        position = behind
    assert told == [f"r{number}" for number in range(300)]


def test_a_write_is_told_when_its_outcome_is_read_and_only_if_it_was_committed(
    tmp_path: Path, clock: TurnedClock
) -> None:
    trail, files = open_trail(tmp_path, clock), TrailFiles(tmp_path)
    kept = trail.note("intent", {"name": "kept", "serviceEvents": [{"name": "first"}, {"name": "second"}]})
    dropped = trail.note("intent", {"name": "dropped"})
    trail.settle()
    names, position = read_on(files, Position())
    assert names == []
    assert set(position.open) == {kept, dropped}
    trail.note("outcome", {"intent": kept, "committed": True})
    trail.note("outcome", {"intent": dropped, "committed": False})
    trail.settle()
    found, behind = files.follow("n1-a", position, 100)
    assert [each.record["name"] for each in found] == ["kept", "first", "second"]
    assert [each.where.place for each in found] == [-1, 0, 1]
    assert behind.open == {}
    assert len({each.record["eventID"] for each in found}) == 3
    assert [files.record(each.where) for each in found] == [each.record for each in found]


def test_the_outcome_may_stand_segments_behind_the_write(tmp_path: Path, clock: TurnedClock) -> None:
    trail, files = open_trail(tmp_path, clock), TrailFiles(tmp_path)
    intent = trail.note("intent", {"name": "late"})
    trail.settle()
    _, position = read_on(files, Position())
    kill(trail)
    again = open_trail(tmp_path, clock)
    again.note("outcome", {"intent": intent, "committed": True, "resolved": True})
    again.settle()
    assert read_on(files, position)[0] == ["late"]
    again.close()


def test_what_is_half_written_waits_and_what_is_no_line_is_passed_over(tmp_path: Path, clock: TurnedClock) -> None:
    trail, files = open_trail(tmp_path, clock), TrailFiles(tmp_path)
    trail.note("call", {"name": "first"})
    trail.note("call", {"name": "second"})
    trail.close()
    (path,) = files_of(tmp_path)
    whole = path.read_bytes()
    half = whole.index(b'"second"')
    path.write_bytes(whole[:half] + bytes(1000))
    names, position = read_on(files, Position())
    assert names == ["first"]
    path.write_bytes(whole)
    assert read_on(files, position)[0] == ["second"]
    path.write_bytes(whole.replace(b'"first"', b'"FIRST"'))
    assert read_on(files, Position())[0] == ["second"]


def test_a_record_that_is_not_there_is_none(tmp_path: Path, clock: TurnedClock) -> None:
    trail, files = open_trail(tmp_path, clock), TrailFiles(tmp_path)
    trail.note("call", {"name": "first"})
    trail.close()
    (found,), _ = files.follow("n1-a", Position(), 10)
    where = found.where
    assert files.record(where) is not None
    for wrong in (
        Where("n1-b", where.segment, where.start, where.size),
        Where("../n1-a", where.segment, where.start, where.size),
        Where(where.chain, 9, where.start, where.size),
        Where(where.chain, where.segment, where.start + 1, where.size),
        Where(where.chain, where.segment, where.start, where.size - 1),
        Where(where.chain, where.segment, where.start, 0),
        Where(where.chain, where.segment, -1, where.size),
        Where(where.chain, where.segment, where.start, where.size, 0),
    ):
        assert files.record(wrong) is None


def test_a_line_that_is_longer_than_what_is_read_at_once_is_whole(tmp_path: Path, clock: TurnedClock) -> None:
    trail, files = open_trail(tmp_path, clock, segment_bytes=2 << 20), TrailFiles(tmp_path)
    for name, size in (("short", 10), ("long", 200_000), ("longer", 250_000), ("last", 10)):
        trail.note("call", {"name": name, "pad": "x" * size})
    trail.settle()
    names, position = read_on(files, Position())
    assert names == ["short", "long", "longer", "last"]
    assert read_on(files, position) == ([], position)
    trail.close()
