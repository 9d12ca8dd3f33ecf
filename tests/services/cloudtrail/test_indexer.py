"""The index: each record once, whatever happens in between; what EventBridge is told; what is forgotten."""

import json
from pathlib import Path
from typing import Any

import pytest

from geumgo.context import Event, Place
from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.domain import attributes_of, first_number, number_of
from geumgo.services.cloudtrail.domain_resources import resources_of
from geumgo.storage import Tx
from tests.house import House

DAY_MS = 86_400_000


class Heard:
    """A publisher that remembers what was committed: what it was told in a transaction that came to its end."""

    def __init__(self) -> None:
        self.events: list[tuple[Place, Event]] = []
        self.fails_at = -1

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        if len(self.events) == self.fails_at:
            self.fails_at = -1
            raise KeyboardInterrupt
        self.events.append((place, event))


def indexed(house: House) -> list[str]:
    with house.app.storage.reading() as tx:
        events = [row[0] for row in tx.all("SELECT event FROM cloudtrail_event ORDER BY event")]
        rows = [store.find(tx, event) for event in events]
    found = [house.app.pipeline._parts.archive.record(row.where) for row in rows if row is not None]
    return [record["eventID"] for record in found if record is not None]


def test_each_record_is_indexed_once_in_order_however_often_it_is_looked(house: House) -> None:
    sm = house.client("secretsmanager")
    for number in range(30):
        sm.create_secret(Name=f"s{number}", SecretString="x")
        house.clock.turn(ms=number)
        if number % 7 == 0:
            house.index()
    house.index()
    assert house.index() == 0
    assert sorted(indexed(house)) == sorted(record["eventID"] for record in house.trail())


def test_a_death_in_the_middle_tells_nothing_twice_and_loses_nothing(house: House) -> None:
    heard = Heard()
    house.app.indexer.publisher = heard
    sm = house.client("secretsmanager")
    for number in range(60):
        sm.create_secret(Name=f"s{number}", SecretString="x")
    heard.fails_at = 110  # in the second batch
    with pytest.raises(KeyboardInterrupt):
        house.index()
    before = len(indexed(house))
    assert 0 < before < 120
    heard.events = heard.events[:before]  # what was told in the transaction that was lost, was not told
    house.index()
    told = [event.detail["eventID"] for _, event in heard.events]
    assert len(told) == len(set(told))
    assert sorted(told) == sorted(record["eventID"] for record in house.trail())


def test_a_position_that_was_lost_indexes_and_tells_nothing_twice(house: House) -> None:
    heard = Heard()
    house.app.indexer.publisher = heard
    for number in range(5):
        house.client("secretsmanager").create_secret(Name=f"s{number}", SecretString="x")
    house.index()
    told = len(heard.events)
    with house.app.storage.writing() as tx:
        tx.run("DELETE FROM cloudtrail_position")
    house.index()
    assert len(heard.events) == told
    assert len(indexed(house)) == len(house.trail())


def test_what_eventbridge_hears_of(house: House) -> None:
    heard = Heard()
    house.app.indexer.publisher = heard
    kms = house.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.describe_key(KeyId=key)
    house.client("events").put_events(Entries=[{"Source": "app", "DetailType": "x", "Detail": "{}"}])
    house.index()
    by_name = {event.detail["eventName"]: (place, event) for place, event in heard.events}
    place, event = by_name["CreateKey"]
    assert (place.account, place.region) == (house.account, "us-east-1")
    assert (event.source, event.detail_type) == ("aws.kms", "AWS API Call via CloudTrail")
    assert event.detail in house.trail()
    assert "DescribeKey" in by_name  # rules that want reads hear of them; see the events room
    assert "PutEvents" not in by_name  # a data event: whoever hears of it would set himself off


def test_a_rule_hears_of_writes_and_of_reads_only_if_it_asks(house: House) -> None:
    events, sm = house.client("events"), house.client("secretsmanager")
    for name, state in (("writes", "ENABLED"), ("all", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")):
        pattern = {"source": ["aws.secretsmanager"], "detail-type": ["AWS API Call via CloudTrail"]}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern), State=state)
        arn = f"arn:aws:logs:us-east-1:{house.account}:log-group:{name}"
        events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": arn}])
    house.index()
    sm.create_secret(Name="app/db", SecretString="hidden-value-2")
    sm.get_secret_value(SecretId="app/db")
    house.index()
    house.index()
    house.run_jobs()

    def heard(name: str) -> list[dict[str, Any]]:
        path: Path = house.settings.data / "events" / house.account / "us-east-1" / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    assert [each["detail"]["eventName"] for each in heard("writes")] == ["CreateSecret"]
    assert sorted(each["detail"]["eventName"] for each in heard("all")) == ["CreateSecret", "GetSecretValue"]
    assert heard("writes")[0]["detail"] in house.trail()
    assert "hidden-value-2" not in json.dumps(heard("all"))


def test_a_service_event_is_told_as_one(house: House) -> None:
    heard = Heard()
    house.app.indexer.publisher = heard
    sm = house.client("secretsmanager")
    arn = sm.create_secret(Name="app/db", SecretString="x")["ARN"]
    sm.delete_secret(SecretId="app/db", ForceDeleteWithoutRecovery=True)
    house.index()
    kinds = {event.detail["eventName"]: event for _, event in heard.events if event.detail_type.startswith("AWS Serv")}
    assert "StartSecretVersionDelete" in kinds
    event = kinds["StartSecretVersionDelete"]
    assert event.detail_type == "AWS Service Event via CloudTrail"
    assert event.source == "aws.secretsmanager"
    assert resources_of(event.detail)[0].name == arn


def test_what_is_older_than_the_retention_is_forgotten(house: House) -> None:
    sm = house.client("secretsmanager")
    sm.create_secret(Name="old", SecretString="x")
    house.index()
    old = set(indexed(house))
    house.clock.turn(ms=house.settings.history_days * DAY_MS + 2_000)
    sm.create_secret(Name="new", SecretString="x")
    house.index()
    assert not old & set(indexed(house))
    assert indexed(house)
    with house.app.storage.reading() as tx:
        assert tx.one(
            "SELECT COUNT(*) FROM cloudtrail_topic WHERE event < :old",
            old=first_number(house.clock.now_ms() // 1000 - 3_600),
        ) == (0,)
    assert old <= {record["eventID"] for record in house.trail()}  # the trail itself forgets nothing


def test_records_of_one_moment_in_two_chains_are_both_there(house: House) -> None:
    from geumgo.audit.follow import Where

    about = attributes_of({"eventID": "e", "eventTime": "2026-11-29T00:00:00Z"})
    number = number_of(about.at_s, about.at_s * 1000, 512, -1)
    topics = {"EventId": 1, "EventName": 2, "EventSource": 3, "ReadOnly": 4, "Everything": 5}
    with house.app.storage.writing() as tx:
        one, two = Where("n1-a", 1, 512, 400), Where("n1-b", 1, 512, 400)
        assert store.add_event(tx, number, one, topics, None) == number
        assert store.add_event(tx, number, two, topics, None) == number + 1
        assert store.add_event(tx, number, two, topics, None) is None
        assert store.add_event(tx, number, one, topics, None) is None


def test_the_attributes_of_those_who_ask() -> None:
    def user(identity: dict[str, Any]) -> str:
        record = {"eventID": "e", "eventTime": "2026-11-29T00:00:00Z", "userIdentity": identity}
        return attributes_of(record).username

    assert user({"type": "IAMUser", "userName": "ann"}) == "ann"
    assert user({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/app/i-1"}) == "i-1"
    assert user({"type": "Root"}) == "root"
    assert user({"type": "AWSService", "invokedBy": "secretsmanager.amazonaws.com"}) == ""
    assert attributes_of({"eventID": "e", "eventTime": "2026-11-29T00:00:00Z", "userIdentity": {}}).accounts == ()


def test_indexing_drops_nothing_that_others_keep_in_memory(house: House, tmp_path: Path) -> None:
    """Answers go on from what was derived from rows before: no row of the index decides anything for them."""
    from geumgo.app.directory import open_storage
    from geumgo.outbound import Allowed, Outbound
    from geumgo.services.cloudtrail.feeder import Feeder
    from geumgo.services.cloudtrail.sinks import sink_of

    trail = house.client("cloudtrail")
    trail.create_trail(Name="main", S3BucketName="bucket")
    trail.start_logging(Name="main")
    house.client("secretsmanager").create_secret(Name="first", SecretString="x")
    house.index()  # the delivery is promised now
    house.client("secretsmanager").create_secret(Name="second", SecretString="x")
    other = open_storage(house.settings)
    before = other.mark()
    assert house.index() > 0
    feeder = Feeder(
        1,
        "file",
        sink_of(f"file:{tmp_path / 'sink'}", Outbound(Allowed.of(())), ""),
        house.app.indexer.files,
        house.clock,
    )
    assert feeder.feed(house.app.storage) > 0
    assert other.mark() == before
    other.close()
