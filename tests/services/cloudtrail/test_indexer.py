"""The index: each record once, whatever happens in between; what EventBridge is told; what is forgotten."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import (
    dictionaries,
    fixed_dictionaries,
    integers,
    just,
    lists,
    none,
    one_of,
    sampled_from,
    text,
)

from geumgo import app
from geumgo.audit.follow import Found, Position, Where
from geumgo.audit.line import build, encode_record, take_apart
from geumgo.context import Event, Place
from geumgo.services.cloudtrail import indexer, store
from geumgo.services.cloudtrail.briefs import Brief, Who, brief_of
from geumgo.services.cloudtrail.domain import attributes_of, first_number, number_of, span_of, topic_of
from geumgo.services.cloudtrail.domain_resources import resources_of
from geumgo.services.cloudtrail.feeder import Feeder
from geumgo.services.cloudtrail.sinks import sink_of
from geumgo.services.cloudtrail.store import Entry
from geumgo.storage import Tx
from tests.house import House
from tests.services.cloudtrail.test_sinks import Numbers, outbound

DAY_MS = 86_400_000


class Heard:
    """A publisher that remembers what was committed: what it was told in a transaction that came to its end."""

    def __init__(self) -> None:
        self.events: list[tuple[Place, Event]] = []
        self.fails_at = -1

    def hears(self, tx: Tx, place: Place, *, reads: bool) -> bool:
        return True

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        if len(self.events) == self.fails_at:
            self.fails_at = -1
            raise KeyboardInterrupt
        self.events.append((place, event))


def indexed(house: House) -> list[str]:
    with house.app.storage.reading() as tx:
        events = [row[0] for row in tx.all("SELECT event FROM cloudtrail_record ORDER BY event")]
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


UNREADABLE_RECORDS = {
    "call": [b"{}", b"{]}", b'{"eventTime":"never"}', b'{"a":' * 4_000 + b"1" + b"}" * 4_000],
    "outcome": [b"{}", b"{]}", b'{"intent":[]}', b'{"intent":1,"committed":true}'],
}


@pytest.mark.parametrize(
    ("kind", "record"), [(kind, record) for kind, records in UNREADABLE_RECORDS.items() for record in records]
)
def test_a_line_that_cannot_be_read_holds_up_no_reader(house: House, tmp_path: Path, kind: str, record: bytes) -> None:
    """Somebody who can write the file has put it there. `verify` names it; what comes behind it is found all the same."""
    house.client("secretsmanager").create_secret(Name="before", SecretString="x")
    house.app.close()
    (path,) = [each for each in house.settings.audit.rglob("*.trail") if b"CreateSecret" in each.read_bytes()]
    whole = path.read_bytes().rstrip(b"\0")
    last = take_apart(whole.splitlines()[-1])
    assert last is not None
    forged, _ = build(
        chain=last.chain, seq=last.seq + 1, prev=last.hash, at_ms=last.at_ms, kind=kind, event_id=f"{0:08}-0000-4000-8000-{0:012}",
        record=record, mac_key=b"?" * 32,
    )  # fmt: skip
    path.write_bytes(whole + forged)
    again = replace(house, app=app.build(house.settings, slot="api-0", clock=house.clock), clients={})
    again.client("secretsmanager").create_secret(Name="behind", SecretString="x")
    again.app.tick()
    again.index()
    found = again.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateSecret"}]
    )["Events"]
    assert len(found) == 2
    entry = f"file:{tmp_path / 'sink'}"
    sink = sink_of(entry, outbound(), "")
    Feeder(1, entry, sink, again.app.indexer.files, again.clock, Numbers()).feed(again.app.storage)
    assert (tmp_path / "sink").read_text().count('"eventName":"CreateSecret"') == 2
    assert [each.get("eventName") for each in again.trail()].count("CreateSecret") == 2
    assert not app.verify_trail(again.settings).ok
    again.close()


def test_a_death_in_the_middle_tells_nothing_twice_and_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    house.app.indexer.publisher = heard
    sm = house.client("secretsmanager")
    monkeypatch.setattr(indexer, "BATCH", 100)
    monkeypatch.setattr(indexer, "LARGE_BATCH", 100)
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
    assert old <= {record["eventID"] for record in house.trail()}  # the trail itself forgets nothing
    house.clock.turn(ms=7 * DAY_MS)
    sm.create_secret(Name="newest", SecretString="x")
    house.index()
    with house.app.storage.reading() as tx:
        (spans,) = tx.all("SELECT MIN(span) FROM cloudtrail_posting")
    assert spans[0] > span_of(first_number(house.clock.now_ms() // 1000 - (house.settings.history_days + 7) * 86_400))


def entry(where: Where, *topics: int) -> Entry:
    brief = Brief(Who(("111122223333",), "us-east-1", "", topics), (), (), "", read_only=False, at_s=0)
    return Entry(Found(where, 0, "e", b"{}"), brief, None)


def add(tx: Tx, *wanted: tuple[int, Entry]) -> list[int]:
    """The numbers of those that were not there."""
    entries = store.numbered(wanted)
    return list(store.add(tx, entries, store.postings_of(entries)))


def test_records_of_one_moment_in_two_chains_are_both_there(house: House) -> None:
    number = number_of(1_790_000_000, 1_790_000_000_000, 512, -1)
    one, two = entry(Where("n1-a", 1, 512, 400), 5), entry(Where("n1-b", 1, 512, 400), 5)
    three = entry(Where("n1-b", 2, 512, 400), 5)
    with house.app.storage.writing() as tx:
        assert add(tx, (number, one)) == [number]
        assert add(tx, (number, two), (number, three)) == [number + 1, number + 2]
        assert add(tx, (number, two), (number, three)) == []
        assert add(tx, (number, three)) == []
        assert add(tx, (number, one)) == []
        found = store.newest(tx, 5, first=0, before=number + 10, most=10)
    assert [row.event for row in found] == [number + 2, number + 1, number]
    assert [row.where for row in found] == [each.found.where for each in (three, two, one)]


@pytest.mark.parametrize("most", [1, 2, 7, 50])
def test_pages_of_any_size_show_each_event_once_in_order_however_the_batches_fell(house: House, most: int) -> None:
    """Two chains write at the same time, now much and now little; rows of one moment overlap."""
    chance = random.Random(most)
    at_ms, wanted = 1_790_000_000_000, []
    with house.app.storage.writing() as tx:
        for batch in range(30):
            at_ms += chance.choice((0, 3, 700, 40_000, 900_000_000))
            chain, entries = f"n1-{batch % 2}", []
            for line in range(chance.choice((1, 2, 150))):
                start = (batch * 1_000 + line) * 512
                number = number_of(at_ms // 1000, at_ms + chance.randrange(400) * line // 50, start, -1)
                entries.append((number, entry(Where(chain, 1, start, 400), 7, 8)))
            wanted += add(tx, *entries)
    wanted.sort(reverse=True)
    shown: list[int] = []
    with house.app.storage.reading() as tx:
        before = 1 << 62
        while page := [row.event for row in store.newest(tx, 7, first=0, before=before, most=most)]:
            shown += page
            before = page[-1]
            if most < 50 and len(shown) > 200:
                break
        middle = wanted[len(wanted) // 3]
        part = [row.event for row in store.newest(tx, 8, first=wanted[-5], before=middle, most=10_000)]
        rows = tx.one("SELECT COUNT(*) FROM cloudtrail_posting WHERE topic = 7")
    assert shown == wanted[: len(shown)]
    assert most < 50 or shown == wanted
    assert part == [event for event in wanted if wanted[-5] <= event < middle]
    assert rows is not None
    assert rows[0] < len(wanted) / 2  # events of one moment share rows


def test_a_secret_is_found_by_its_name_and_its_arns_in_one_place() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-a1B2c3"
    within = f"arn:aws:secretsmanager:us-east-1:111122223333:secret:{arn}-a1B2c3"
    for name in (arn, within):
        assert topic_of("1", "r", "ResourceName", name) == topic_of("1", "r", "ResourceName", "app/db")
    assert topic_of("1", "r", "Username", arn) != topic_of("1", "r", "Username", "app/db")


@given(
    source=sampled_from(["secretsmanager.amazonaws.com", "kms.amazonaws.com", "sts.amazonaws.com", "signin.amazonaws.com"]),
    identity=sampled_from([
        {"type": "IAMUser", "accountId": "1" * 12, "userName": "ann", "accessKeyId": "AKIA1"},
        {"type": "AssumedRole", "accountId": "2" * 12, "arn": "arn:aws:sts::2:assumed-role/app/i-1"},
        {"type": "AWSService", "invokedBy": "x"}, {}, None,
    ]),
    parts=fixed_dictionaries(
        {},
        optional={
            name: one_of(none(), dictionaries(
                sampled_from(["secretId", "SecretId", "name", "keyId", "roleArn", "other", "\u0080\\\""]),
                one_of(text(max_size=9), integers(), lists(text(max_size=5), max_size=3), just("x" * 900)), max_size=4,
            ))
            for name in ("requestParameters", "responseElements", "additionalEventData")
        },
    ),
    resources=one_of(none(), lists(sampled_from([
        {"ARN": "arn:aws:secretsmanager:r:111122223333:secret:a-123456", "type": "AWS::SecretsManager::Secret"}, {"ARN": "k"},
    ]), max_size=3)),
    reads=sampled_from([True, False, None]),
)  # fmt: skip
def test_a_brief_says_what_the_whole_record_says(
    source: str, identity: Any, parts: dict[str, Any], resources: Any, reads: bool | None
) -> None:
    record = {
        "eventTime": "2026-11-29T00:00:07Z", "eventSource": source, "eventName": "Any", "awsRegion": "eu-west-1", "eventType": "AwsApiCall",
        "recipientAccountId": "1" * 12, "userIdentity": identity, "resources": resources, "readOnly": reads, **parts,
    }  # fmt: skip
    about = attributes_of({**record, "eventID": "some-id"})
    for _ in range(2):  # worked out, then known
        brief = brief_of(encode_record(record), "some-id")
        assert brief.who.accounts == about.accounts
        assert (brief.who.region, brief.who.source, brief.kind) == ("eu-west-1", source, "AwsApiCall")
        assert (brief.at_s, brief.read_only) == (about.at_s, about.read_only)
        wanted = {
            topic_of(account, "eu-west-1", key, value)
            for account in about.accounts
            for key, value in [
                ("Everything", ""),
                *about.single(),
                *(("ResourceName", name) for resource in about.resources for name in resource.names),
                *(("ResourceType", resource.type) for resource in about.resources),
            ]
        }
        assert {*brief.who.topics, *brief.touched, *brief.own} == wanted


def test_a_record_is_encoded_with_its_id_and_without_the_service_events_inside(house: House) -> None:
    sm = house.client("secretsmanager")
    arn = sm.create_secret(Name="app/db", Description="금고", SecretString="x")["ARN"]
    sm.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    seen = []
    for chain in house.app.indexer.files.chains():
        for found in house.app.indexer.files.follow(chain, Position(), 1_000)[0]:
            assert json.loads(found.encoded) == found.record
            assert found.encoded.isascii()
            seen.append(found.record)
    assert any(found["eventName"] == "StartSecretVersionDelete" for found in seen)
    assert not any("serviceEvents" in found for found in seen)
    assert sorted(found["eventID"] for found in seen) == sorted(record["eventID"] for record in house.trail())


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
