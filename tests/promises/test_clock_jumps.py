"""P18, for rotation: a clock that jumps causes no rotation twice in one window, none outside of a window, and loses none for long.

The clock jumps by up to a day to and fro while schedules run, and then goes on as it should.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from geumgo.domain.schedule import Schedule, Window
from geumgo.services.secretsmanager import domain_rotation as rules
from geumgo.services.secretsmanager.domain_rotation import schedule_of
from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.services.secretsmanager import functions
from tests.services.secretsmanager.functions import Template

JUMPS: Final = int(os.environ.get("JUMPS", "20"))
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LEAP_DAY_MS: Final = 1_835_308_800_000  # 2028-02-28T00:00:00Z
SCHEDULES: Final[tuple[dict[str, Any], ...]] = (
    {"ScheduleExpression": "rate(4 hours)"},
    {"ScheduleExpression": "cron(0 /8 * * ? *)"},
    {"ScheduleExpression": "cron(0 4 * * ? *)", "Duration": "2h"},
    {"ScheduleExpression": "rate(1 day)", "Duration": "3h"},
    {"AutomaticallyAfterDays": 1},
)
"""Dense ones: of a schedule of months a test sees nothing."""


@dataclass
class World:
    """A house with a secret for each of SCHEDULES, and the latest time that it has seen."""

    house: House
    latest_ms: int = 0

    def run(self) -> None:
        self.house.run_jobs()

    def rotations(self) -> dict[int, list[datetime]]:
        found: dict[int, list[datetime]] = {number: [] for number in range(len(SCHEDULES))}
        for record in self.house.trail():
            if record["eventName"] == "RotationStarted":
                number = int(record["additionalEventData"]["SecretId"].rpartition(":s")[2].partition("-")[0])
                found[number].append(datetime.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC))
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    clock = TurnedClock(LEAP_DAY_MS)
    turn_botocore(monkeypatch, clock)
    house = House.build(tmp_path, clock)
    joined = functions.join(house)
    key = house.user("rotator", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    joined.add("f", Template(house, key, {f"s{number}": "old" for number in range(len(SCHEDULES))}))
    client = house.client("secretsmanager")
    for number, given in enumerate(SCHEDULES):
        name = f"s{number}"
        client.create_secret(Name=name, SecretString=json.dumps({"username": name, "password": "old"}))
        client.rotate_secret(
            SecretId=name, RotationLambdaARN=joined.arn("f"), RotationRules=given, RotateImmediately=False
        )
    yield World(house)
    house.close()


def windows_around(schedule: Schedule, at: datetime) -> list[Window]:
    """The windows in which `at` lies, by a schedule that was given at midnight of any day before."""
    midnight = at.replace(hour=0, minute=0, second=0)
    found = [
        window
        for anchor in (midnight - timedelta(days=1), midnight - timedelta(seconds=1), midnight)
        for window in schedule.windows(anchor, 8)
    ]
    return [window for window in found if window.opens_at <= at < window.closes_at]


def jump(world: World, chance: random.Random) -> None:
    """Time goes on for some hours, in steps as a worker sees them; then, at times, the clock is set."""
    clock = world.house.clock
    for _ in range(chance.randrange(1, 20)):
        clock.turn(ms=HOUR_MS // 4)
        world.run()
    world.latest_ms = max(world.latest_ms, clock.now_ms())
    if chance.random() < 0.5:
        ms = chance.choice((-HOUR_MS, HOUR_MS, -DAY_MS, DAY_MS, -3 * HOUR_MS, 7 * HOUR_MS))
        clock.turn(ms=max(ms, world.latest_ms - DAY_MS - clock.now_ms()))  # never more than a day behind
        world.house.app.tick()
        world.run()


def wrong(world: World) -> list[str]:
    """Rotations in no window, and two in one."""
    problems = []
    for number, moments in world.rotations().items():
        schedule = schedule_of(SCHEDULES[number])
        assert schedule is not None
        taken: Counter[datetime] = Counter()
        for at in moments:
            inside = windows_around(schedule, at)
            if not inside:
                problems.append(f"{SCHEDULES[number]}: rotated at {at}, in no window")
            else:
                taken[inside[0].opens_at] += 1
        problems += [
            f"{SCHEDULES[number]}: {times} times in the window of {at}" for at, times in taken.items() if times > 1
        ]
    return problems


def jumps(world: World, count: int) -> list[str]:
    chance = random.Random(SEED)
    for _ in range(count):
        jump(world, chance)
    return wrong(world)


def test_no_rotation_happens_twice_early_or_never(world: World) -> None:
    problems = jumps(world, JUMPS)
    assert problems == [], f"seed {SEED}"
    before = {number: len(moments) for number, moments in world.rotations().items()}
    for _ in range(4 * 24 * 4):  # four days in which the clock is right
        world.house.clock.turn(ms=HOUR_MS // 4)
        world.run()
    assert wrong(world) == [], f"seed {SEED}"
    after = {number: len(moments) for number, moments in world.rotations().items()}
    print(f"\nseed {SEED}: {JUMPS} jumps, {sum(after.values())} rotations, 0 twice, 0 outside of a window")
    for number, rotations in after.items():
        assert rotations >= before[number] + 2, (
            f"seed {SEED}: {SCHEDULES[number]} was rotated {rotations - before[number]} times in four days"
        )


def forgets_when_it_rotated(patch: pytest.MonkeyPatch) -> None:
    """The next window is the first one that has not closed, whenever the last rotation was."""
    next_window = rules.next_window
    patch.setattr(
        rules, "next_window", lambda rotation, now_ms: next_window(replace(rotation, anchored_at_ms=0), now_ms)
    )


def begins_before_its_window(patch: pytest.MonkeyPatch) -> None:
    """A rotation begins a day before it is due."""
    moment = Window.moment
    patch.setattr(Window, "moment", lambda self, key: moment(self, key) - timedelta(hours=5))
    next_window = rules.next_window

    def early(rotation: Any, now_ms: int) -> Window | None:
        found = next_window(rotation, now_ms)
        return None if found is None else Window(found.opens_at - timedelta(hours=5), found.closes_at)

    patch.setattr(rules, "next_window", early)


@pytest.mark.parametrize("mutant", [forgets_when_it_rotated, begins_before_its_window])
def test_what_rotates_twice_or_early_is_caught(
    world: World, monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with monkeypatch.context() as patch:
        mutant(patch)
        clock = world.house.clock
        world.house.app.worker.run_due(20)
        for _ in range(30):
            clock.turn(ms=HOUR_MS)
            world.house.app.worker.run_due(20)  # what rotates again and again would never end
        assert wrong(world)
