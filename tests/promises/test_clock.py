"""P18: a clock that jumps never brings a session back to life, and never stops the house."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo import app
from geumgo.clock import STEP_MS, ForwardClock
from tests.clock import DAY_MS, TurnedClock
from tests.house import House, Key, turn_botocore

HOUR_MS = 3_600_000


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: TurnedClock) -> Iterator[House]:
    turn_botocore(monkeypatch, clock)
    made = House.build(tmp_path, clock)
    yield made
    made.close()


def session(house: House, key: Key | None = None) -> Key:
    made = house.client("sts", key).get_session_token(DurationSeconds=900)["Credentials"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def lives(house: House, key: Key) -> bool:
    try:
        house.client("sts", key).get_caller_identity()
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] != "ExpiredToken":
            raise
        return False
    return True


@pytest.mark.parametrize("back_ms", [HOUR_MS, DAY_MS, 3_650 * DAY_MS])
def test_a_session_that_has_ended_does_not_come_back_with_the_clock(house: House, back_ms: int) -> None:
    ann = house.user("ann", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    old = session(house, ann)
    assert lives(house, old)
    house.clock.turn(ms=HOUR_MS)
    house.app.tick()
    house.clock.turn(ms=-back_ms)
    house.app.tick()
    assert not lives(house, old)
    new = session(house, ann)
    assert lives(house, new)
    house.clock.turn(ms=HOUR_MS)
    assert not lives(house, new)


def test_nor_when_the_clock_was_set_back_while_nobody_was_there(house: House) -> None:
    old = session(house, house.user("ann"))
    house.clock.turn(ms=HOUR_MS)
    house.app.tick()
    house.app.close()
    house.clock.turn(ms=-2 * HOUR_MS)
    house.app = app.build(house.settings, slot="api-0", clock=house.clock)
    assert not lives(house, old)
    assert lives(house, session(house))


def test_between_the_jump_and_the_next_look_the_time_stands_still(house: House) -> None:
    old = session(house, house.user("ann"))
    before_ms = house.clock.now_ms()
    house.clock.turn(ms=HOUR_MS)
    house.app.tick()
    house.clock.turn(ms=-HOUR_MS)
    assert house.app.anchor.clock.now_ms() == before_ms + HOUR_MS
    with pytest.raises(ClientError):  # its signature is an hour too old, and if it were not the session is over
        house.client("sts", old).get_caller_identity()


def test_a_small_step_back_ends_nothing(house: House) -> None:
    key = session(house, house.user("ann"))
    house.clock.turn(ms=-STEP_MS + 1_000)
    house.app.tick()
    assert lives(house, key)


def test_two_processes_that_see_one_jump_begin_one_time_line(house: House) -> None:
    other = app.build(house.settings, slot="api-1", clock=house.clock)
    try:
        house.clock.turn(ms=-HOUR_MS)
        house.app.tick()
        key = session(house)
        house.clock.turn(ms=900)
        other.tick()
        assert lives(house, key)
    finally:
        other.close()


def test_a_time_line_that_somebody_forged_lets_nobody_in(house: House) -> None:
    old = session(house, house.user("ann"))
    house.clock.turn(ms=-HOUR_MS)
    house.app.tick()
    with house.app.storage.writing() as tx:
        tx.run("UPDATE sts_time_line SET number = 0")
    with pytest.raises(ClientError, match=r"InternalFailure|InternalServiceError"):
        house.client("sts", old).get_caller_identity()


def test_a_house_that_lets_the_clock_go_back_is_caught(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: the wall clock only."""
    monkeypatch.setattr(ForwardClock, "now_ms", lambda self: self._behind.now_ms())
    monkeypatch.setattr(ForwardClock, "set_back_ms", property(lambda _self: 0))
    old = session(house, house.user("ann"))
    house.clock.turn(ms=HOUR_MS)
    house.app.tick()
    house.clock.turn(ms=-HOUR_MS)
    house.app.tick()
    assert lives(house, old)


def test_the_clock_goes_forward_only_and_says_by_how_much_it_was_set_back(clock: TurnedClock) -> None:
    forward: Any = ForwardClock(clock)
    start_ms = forward.now_ms()
    clock.turn(ms=-10_000)
    assert (forward.now_ms(), forward.set_back_ms) == (start_ms, 0)
    clock.turn(ms=-STEP_MS)
    assert (forward.now_ms(), forward.set_back_ms) == (start_ms, STEP_MS + 10_000)
    assert forward.follow() == start_ms - STEP_MS - 10_000
    assert forward.set_back_ms == 0
