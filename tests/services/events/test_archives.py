"""Archives and replays."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.house import House
from tests.promises.tricks import refused
from tests.services.events.conftest import Log, listen, tell

DAY = 86_400_000


def archive(house: House, name: str = "kept", **given: Any) -> str:
    bus = f"arn:aws:events:us-east-1:{house.account}:event-bus/{given.pop('bus', 'default')}"
    made: str = house.client("events").create_archive(ArchiveName=name, EventSourceArn=bus, **given)["ArchiveArn"]
    return made


def now(house: House) -> datetime:
    return datetime.fromtimestamp(house.clock.now_ms() / 1000, UTC)


def replay(house: House, name: str, source: str, *, last: timedelta = timedelta(days=1), **destination: Any) -> None:
    bus = f"arn:aws:events:us-east-1:{house.account}:event-bus/default"
    house.client("events").start_replay(
        ReplayName=name,
        EventSourceArn=source,
        EventStartTime=now(house) - last,
        EventEndTime=now(house) + timedelta(seconds=1),
        Destination={"Arn": bus, **destination},
    )


def test_what_was_kept_is_told_again(house_on_each: House) -> None:
    house = house_on_each
    events, log = house.client("events"), Log(house, "heard")
    source = archive(house, EventPattern='{"detail": {"keep": [true]}}')
    told = []
    for number in range(150):
        told.append(tell(events, {"keep": number % 5 != 0, "n": number}))
        house.clock.turn(ms=10)
    kept = events.describe_archive(ArchiveName="kept")
    assert kept["EventCount"] == 120
    assert kept["SizeBytes"] > 120 * 150
    listen(events, log.arn)  # after the fact
    replay(house, "again", source)
    assert events.describe_replay(ReplayName="again")["State"] == "STARTING"
    house.run_jobs()
    lines = log.lines()
    assert sorted(line["detail"]["n"] for line in lines) == [n for n in range(150) if n % 5]
    assert {line["replay-name"] for line in lines} == {"again"}
    assert {line["id"] for line in lines} <= set(told)
    ended = events.describe_replay(ReplayName="again")
    assert ended["State"] == "COMPLETED"
    assert ended["EventLastReplayedTime"] < ended["ReplayEndTime"]
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 120, "what is told again is not kept again"
    replay(house, "third", source)
    house.run_jobs()
    assert len(log.lines()) == 240


def test_a_replay_is_for_the_rules_that_it_names_and_for_its_time(house: House, events: Any, log: Log) -> None:
    source = archive(house)
    tell(events, {"when": "before"})
    house.clock.turn(days=1)
    tell(events, {"when": "in time"})
    other = Log(house, "other")
    chosen = listen(events, log.arn, rule="chosen")
    listen(events, other.arn, rule="other")
    replay(house, "some", source, last=timedelta(hours=1), FilterArns=[chosen])
    house.run_jobs()
    assert [line["detail"]["when"] for line in log.lines()] == ["in time"]
    assert other.lines() == []
    assert events.describe_replay(ReplayName="some")["Destination"]["FilterArns"] == [chosen]


def test_a_replay_that_is_cancelled_stops(house: House, events: Any, log: Log) -> None:
    source = archive(house)
    for _ in range(3):
        tell(events)
    listen(events, log.arn)
    replay(house, "stop", source)
    assert events.cancel_replay(ReplayName="stop")["State"] == "CANCELLING"
    house.run_jobs()
    assert events.describe_replay(ReplayName="stop")["State"] == "CANCELLED"
    assert log.lines() == []
    with refused("IllegalStatusException"):
        events.cancel_replay(ReplayName="stop")
    assert [each["State"] for each in events.list_replays(EventSourceArn=source)["Replays"]] == ["CANCELLED"]
    assert events.list_replays(State="RUNNING")["Replays"] == []


def test_events_are_kept_for_as_long_as_the_archive_says(house: House, events: Any) -> None:
    archive(house, RetentionDays=2)
    tell(events)
    house.clock.turn(days=1)
    tell(events)
    house.run_jobs()
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 2
    house.clock.turn(ms=DAY + 1000)
    house.run_jobs()
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 1
    events.update_archive(ArchiveName="kept", RetentionDays=0, Description="for ever")
    house.clock.turn(days=100)
    house.run_jobs()
    told = events.describe_archive(ArchiveName="kept")
    assert (told["EventCount"], told["RetentionDays"], told["Description"]) == (1, 0, "for ever")


def test_an_archive_is_told_listed_and_deleted(house: House, events: Any) -> None:
    source = archive(house)
    tell(events)
    listed = events.list_archives(NamePrefix="ke")["Archives"]
    assert [(each["ArchiveName"], each["EventCount"], each["State"]) for each in listed] == [("kept", 1, "ENABLED")]
    assert events.list_archives(State="DISABLED")["Archives"] == []
    with refused("ValidationException"):
        events.list_archives(State="ENABLED", NamePrefix="k")
    with refused("ResourceAlreadyExistsException") as caught:
        archive(house)
    assert caught[0].response["Error"]["Message"] == "Archive kept already exists."
    events.delete_archive(ArchiveName="kept")
    with refused("ResourceNotFoundException"):
        events.describe_archive(ArchiveName="kept")
    with refused("ValidationException") as caught:
        replay(house, "x", source)
    assert "Archive kept does not exist." in caught[0].response["Error"]["Message"]
    archive(house)
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 0
    tell(events)
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 1


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"bus": "none"}, "ResourceNotFoundException"),
        ({"EventPattern": "{"}, "InvalidEventPatternException"),
        ({"KmsKeyIdentifier": "alias/x"}, "ValidationException"),
    ],
)
def test_an_archive_that_cannot_be_made_is_refused(house: House, given: dict[str, str], code: str) -> None:
    with refused(code):
        archive(house, **given)


def test_a_replay_that_makes_no_sense_is_refused(house: House, events: Any) -> None:
    events.create_event_bus(Name="other")
    source = archive(house)
    arn = f"arn:aws:events:us-east-1:{house.account}:"
    with refused("ValidationException") as caught:
        replay(house, "r", source, Arn=arn + "event-bus/other")
    assert "Cross event bus replay is not permitted." in caught[0].response["Error"]["Message"]
    with refused("ValidationException"):
        replay(house, "r", source, last=timedelta(seconds=-2))
    with refused("ValidationException"):
        replay(house, "r", source, FilterArns=[arn + "rule/other/x"])
    replay(house, "r", source)
    with refused("ResourceAlreadyExistsException"):
        replay(house, "r", source)
    house.run_jobs()
    with refused("ResourceNotFoundException"):
        events.describe_replay(ReplayName="none")
    assert "StartReplay" in json.dumps(house.trail())
    house.clock.turn(days=91)
    replay(house, "later", source)
    assert [each["ReplayName"] for each in events.list_replays()["Replays"]] == ["later"]
