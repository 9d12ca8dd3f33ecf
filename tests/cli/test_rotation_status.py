"""`geumgo rotation status`: how rotations stand, and the exit status that scripts look at."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geumgo.app import census
from geumgo.cli import group
from geumgo.edge.metrics import HELP
from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.services.secretsmanager import functions
from tests.services.secretsmanager.functions import Functions, Template

HOUR_MS = 3_600_000
VALUE = {"username": "app", "password": "first-password"}


@dataclass
class Desk:
    """A house whose operator asks how rotations stand."""

    house: House
    functions: Functions
    template: Template

    def rotate(self, name: str, **more: Any) -> str:
        client = self.house.client("secretsmanager")
        arn: str = client.create_secret(Name=name, SecretString=json.dumps(VALUE))["ARN"]
        client.rotate_secret(SecretId=name, RotationLambdaARN=self.functions.arn("f"), **more)
        self.house.run_jobs()
        return arn

    def breaks(self) -> None:
        def body(_event: dict[str, str]) -> None:
            raise ConnectionError("first-password")

        self.functions.bodies[self.functions.arn("f")] = body

    def status(self, *arguments: str) -> Result:
        return CliRunner().invoke(group, ["rotation", "status", *arguments, "--data", str(self.house.settings.data)])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    clock = TurnedClock()
    turn_botocore(monkeypatch, clock)
    monkeypatch.setattr("geumgo.app.operators.SystemClock", lambda: clock)
    house = House.build(tmp_path, clock)
    joined = functions.join(house)
    key = house.user("rotator", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    template = Template(house, key, {"app": "first-password"})
    joined.add("f", template)
    yield Desk(house, joined, template)
    house.close()


def test_what_was_never_set_up_is_said_so(desk: Desk) -> None:
    shown = desk.status()
    assert (shown.exit_code, shown.output) == (0, "No rotation was ever set up.\n")
    shown = desk.status("nothing")
    assert (shown.exit_code, shown.output) == (1, "nothing was never set up for rotation.\n")


def test_rotations_that_are_well_are_one_line_each_by_name(desk: Desk) -> None:
    desk.rotate("two", RotationRules={"ScheduleExpression": "cron(0 8 1 10 ? *)"})
    desk.rotate("one")
    shown = desk.status()
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        "at rest    -                     one",
        "at rest    2026-10-02T00:00:00Z  two",
    ]


def test_a_rotation_that_fails_says_why_since_when_and_when_it_is_tried_again(desk: Desk) -> None:
    desk.breaks()
    arn = desk.rotate("db")
    desk.house.clock.turn(ms=2_000)
    desk.house.run_jobs()
    for name in ("db", arn):
        shown = desk.status(name)
        assert shown.exit_code == 1
        lines = {line[:24].strip(): line[25:] for line in shown.output.splitlines()}
        assert lines["state"] == "failing"
        assert lines["failures in a row"] == "2"
        assert lines["last error"].endswith("during createSecret step: ConnectionError")
        assert lines["next attempt"] == "2026-09-21T14:13:25Z"
    (found,) = json.loads(desk.status("--json").output)
    assert found["state"] == "failing"
    assert found["next_attempt_at"] == "2026-09-21T14:13:25Z"
    assert "first-password" not in desk.status("--json").output + desk.status("db").output


def test_an_attempt_that_runs_is_told_and_not_when_the_next_window_opens(desk: Desk) -> None:
    desk.breaks()
    desk.rotate("db", RotationRules={"ScheduleExpression": "rate(10 days)"})
    seen: list[tuple[str, str | None, bool]] = []

    def body(_event: dict[str, str]) -> None:
        lines = {line[:24].strip(): line[25:] for line in desk.status("db").output.splitlines()}
        (found,) = json.loads(desk.status("--json").output)
        seen.append((lines["next attempt"], found["next_attempt_at"], found["attempt_runs"]))
        raise ConnectionError

    desk.functions.bodies[desk.functions.arn("f")] = body
    desk.house.clock.turn(ms=2_000)
    desk.house.run_jobs()
    assert seen == [("runs now", None, True)]
    (found,) = json.loads(desk.status("--json").output)
    assert (found["next_attempt_at"], found["attempt_runs"]) == ("2026-09-21T14:13:25Z", False)


def test_what_was_given_up_is_tried_again_when_the_next_window_opens(desk: Desk) -> None:
    desk.breaks()
    desk.rotate("db", RotationRules={"ScheduleExpression": "cron(0 8 * * ? *)", "Duration": "1h"})
    with desk.house.app.storage.writing() as tx:
        tx.run("UPDATE job SET state = 'parked' WHERE kind = 'secretsmanager.rotation_step'")
    (found,) = json.loads(desk.status("--json").output)
    assert (found["state"], found["attempt_runs"]) == ("stuck", False)
    assert found["next_attempt_at"].startswith("2026-09-22T08:")


def test_what_missed_its_window_is_overdue(desk: Desk) -> None:
    desk.rotate("db", RotationRules={"ScheduleExpression": "cron(0 8 * * ? *)", "Duration": "1h"})
    assert desk.status().exit_code == 0
    desk.house.clock.turn(ms=24 * HOUR_MS)
    shown = desk.status()
    assert shown.exit_code == 1
    assert shown.output.startswith("overdue    2026-09-22T09:00:00Z  db")


def test_a_clock_that_ran_ahead_is_told_until_it_is_put_right(desk: Desk) -> None:
    desk.rotate("db", RotationRules={"ScheduleExpression": "rate(10 days)"})
    desk.house.clock.turn(days=3_650)
    desk.house.run_jobs()
    desk.house.clock.turn(days=1)
    desk.house.run_jobs()
    desk.house.clock.turn(days=-3_651)
    shown = desk.status()
    assert shown.exit_code == 1
    assert shown.output.startswith("ahead ")
    desk.house.app.tick()  # the process looks after its clock
    desk.house.run_jobs()
    shown = desk.status()
    assert shown.output.startswith("at rest    2026-10-02T00:00:00Z")
    assert shown.exit_code == 0


def test_a_step_that_was_given_up_is_stuck(desk: Desk) -> None:
    desk.rotate("db")
    desk.breaks()
    client = desk.house.client("secretsmanager")
    client.rotate_secret(SecretId="db")
    with desk.house.app.storage.writing() as tx:
        tx.run("UPDATE job SET state = 'parked' WHERE kind = 'secretsmanager.rotation_step'")
    shown = desk.status("db")
    assert shown.exit_code == 1
    assert "stuck" in shown.output


def test_what_is_switched_off_or_deleted_is_no_fault(desk: Desk) -> None:
    client = desk.house.client("secretsmanager")
    desk.breaks()
    desk.rotate("off")
    client.cancel_rotate_secret(SecretId="off")
    desk.rotate("gone")
    client.delete_secret(SecretId="gone")
    shown = desk.status()
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.splitlines()] == ["deleted", "off"]


# -- the same for machines that watch ---------------------------------------------------------------------------------


class Numbers(dict[str, int]):
    """A page of numbers."""

    def add(self, key: str, amount: int = 1) -> None:
        self[key] = self.get(key, 0) + amount

    def set(self, key: str, value: int) -> None:
        self[key] = value


def test_metrics_count_jobs_and_the_rotations_that_are_in_trouble(desk: Desk) -> None:
    def counted() -> Numbers:
        numbers = Numbers()
        census.count(desk.house.app.storage, desk.house.clock, numbers)
        return numbers

    desk.rotate("well", RotationRules={"ScheduleExpression": "cron(0 8 * * ? *)", "Duration": "1h"})
    before = counted()
    assert (before['geumgo_rotations{state="failing"}'], before['geumgo_rotations{state="overdue"}']) == (0, 0)
    assert before["geumgo_jobs_late_seconds"] == 0
    desk.breaks()
    desk.rotate("db")
    desk.rotate("gone")
    desk.house.client("secretsmanager").delete_secret(SecretId="gone")
    after = counted()
    assert after['geumgo_rotations{state="failing"}'] == 1
    assert after['geumgo_jobs{state="waiting"}'] > before['geumgo_jobs{state="waiting"}']
    desk.house.clock.turn(days=1)
    late = counted()
    assert late['geumgo_rotations{state="overdue"}'] == 1
    assert late["geumgo_jobs_late_seconds"] > HOUR_MS // 1000
    assert {name.partition("{")[0] for name in late} <= set(HELP)
