"""Rules that run on a schedule."""

from datetime import UTC, datetime
from typing import Any

import pytest

from geumgo.services.events import domain
from geumgo.services.events.domain_schedule import InvalidSchedule, parse_schedule
from tests.house import House
from tests.services.events.conftest import Log

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = round(datetime(2026, 3, 1, 10, 7, 30, tzinfo=UTC).timestamp() * 1000)


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate(1 minute)", START + MINUTE),
        ("rate(5 minutes)", START + 5 * MINUTE),
        ("rate(1 hour)", START + HOUR),
        ("rate(7 days)", START + 7 * DAY),
        ("cron(0 12 * * ? *)", moment("2026-03-01T12:00:00")),
        ("cron(15 10 ? * MON-FRI *)", moment("2026-03-02T10:15:00")),
        ("cron(0/10 * ? * * *)", moment("2026-03-01T10:10:00")),
        ("cron(0 8 L * ? *)", moment("2026-03-31T08:00:00")),
        ("cron(0 8 ? * 6#3 2027)", moment("2027-01-15T08:00:00")),
        ("cron(0 0 1 1 ? 2020)", None),
    ],
)
def test_the_first_moment(text: str, expected: int | None) -> None:
    assert parse_schedule(text).next_ms(START, START) == expected


@pytest.mark.parametrize(
    "text",
    [
        "rate(1 minutes)", "rate(2 minute)", "rate(0 minutes)", "rate(-1 hours)", "rate(1.5 hours)", "rate(1 week)", "rate(1  day)",
        "rate(999999999 days)", "Rate(1 day)", "cron()", "cron(0 12 * * *)", "cron(0 12 * * * *)", "cron(60 12 * * ? *)", "at(2026-01-01)", "5",
    ],
)  # fmt: skip
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse_schedule(text)


def test_a_rate_counts_from_its_beginning_and_what_was_missed_is_missed() -> None:
    every = parse_schedule("rate(10 minutes)")
    assert every.next_ms(START, START + 25 * MINUTE) == START + 30 * MINUTE
    assert every.next_ms(START, START + 30 * MINUTE) == START + 40 * MINUTE


def test_a_scheduled_rule_makes_its_event_again_and_again(house_on_each: House) -> None:
    house = house_on_each
    events, log = house.client("events"), Log(house, "/clock")
    begun = house.clock.now_ms()
    arn = events.put_rule(Name="clock", ScheduleExpression="rate(10 minutes)")["RuleArn"]
    events.put_targets(Rule="clock", Targets=[{"Id": "t", "Arn": log.arn}])
    house.run_jobs()
    assert log.lines() == []
    house.clock.turn(ms=10 * MINUTE)
    house.run_jobs()
    (line,) = log.lines()
    assert (line["source"], line["detail-type"], line["resources"], line["detail"]) == (
        "aws.events", "Scheduled Event", [arn], {},
    )  # fmt: skip
    assert line["time"] == domain.event_time(begun + 10 * MINUTE)
    house.clock.turn(ms=35 * MINUTE)  # nobody worked for three periods
    house.run_jobs()
    assert [line["time"] for line in log.lines()[1:]] == [domain.event_time(begun + 20 * MINUTE)]
    house.clock.turn(ms=5 * MINUTE)
    house.run_jobs()
    assert log.lines()[-1]["time"] == domain.event_time(begun + 50 * MINUTE)


def test_a_schedule_that_is_changed_or_stopped_does_not_run_as_it_was(house: House, events: Any, log: Log) -> None:
    events.put_rule(Name="clock", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="clock", Targets=[{"Id": "t", "Arn": log.arn}])
    events.put_rule(Name="clock", ScheduleExpression="rate(1 hour)")
    house.clock.turn(ms=MINUTE)
    house.run_jobs()
    assert log.lines() == []
    events.disable_rule(Name="clock")
    house.clock.turn(ms=HOUR)
    house.run_jobs()
    assert log.lines() == []
    events.enable_rule(Name="clock")
    house.clock.turn(ms=HOUR - 1)
    house.run_jobs()
    assert log.lines() == []
    house.clock.turn(ms=1)
    house.run_jobs()
    assert len(log.lines()) == 1
    events.remove_targets(Rule="clock", Ids=["t"])
    events.delete_rule(Name="clock")
    house.clock.turn(days=2)
    house.run_jobs()
    assert len(log.lines()) == 1
    with house.app.storage.reading() as tx:
        assert tx.one("SELECT COUNT(*) FROM job WHERE kind LIKE 'events.%'") == (0,)
