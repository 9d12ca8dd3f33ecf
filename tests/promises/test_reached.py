"""Parts of a long form add up, and none of them counts that found something."""

import json
from pathlib import Path

import pytest

from tests.promises.reached import at_most, main, reaching


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "reached"
    monkeypatch.setenv("REACHED", str(place))
    return place


def summed(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    main(file)
    return capsys.readouterr().out


def end_with(fault: BaseException, seed: int, kills: int) -> None:
    with reaching("P0", seed) as so_far:
        so_far.add(kills=kills)
        raise fault


def test_runs_of_one_promise_add_up(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, seconds in ((7, 1.0), (8, 3.0)):
        with reaching("P0", seed) as so_far:
            so_far.add(kills=600, kept_writes=2)
            so_far.took(ready_again=seconds)
    with reaching("P00", 9) as so_far:
        so_far.add(kills=1)
    said = summed(file, capsys).splitlines()
    assert said[0].startswith(
        "P0: 1,200 kills; 4 kept writes; ready again: p50 1.00 s, p99 3.00 s, most 3.00 s (seed 7, 8;"
    )
    assert said[1].startswith("P00: 1 kills")


def test_of_one_run_the_last_line_counts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reaching("P0", 7) as so_far:
        so_far.add(kills=3)
        so_far.say()
        so_far.add(kills=2)
    assert len(file.read_text().splitlines()) == 2
    assert summed(file, capsys).startswith("P0: 5 kills")


def test_a_run_that_is_broken_off_counts_for_what_it_had_looked_at(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        end_with(KeyboardInterrupt(), seed=7, kills=3)
    assert summed(file, capsys).startswith("P0: 3 kills")


def test_a_run_that_found_something_says_what_and_counts_for_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reaching("P0", 7) as so_far:
        so_far.add(kills=3)
    with pytest.raises(AssertionError):
        end_with(AssertionError("two writes were lost"), seed=8, kills=5)
    said = summed(file, capsys)
    assert said.startswith("P0: 3 kills")
    assert "seed 8 FOUND AssertionError: two writes were lost" in said
    assert json.loads(file.read_text().splitlines()[-1])["counts"] == {"kills": 5}


def test_what_was_never_timed_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with reaching("P3", 1) as so_far:
        so_far.add(kills=1)
        assert so_far.seconds["went_on"] == []
    assert "P3: 1 kills (seed 1; load" in capsys.readouterr().out


def test_the_least_value_that_a_share_does_not_exceed() -> None:
    values = [float(each) for each in range(1, 101)]
    assert (at_most(values, 0.5), at_most(values, 0.99), at_most(values, 1.0)) == (50.0, 99.0, 100.0)
    assert at_most([4.0], 0.99) == 4.0
