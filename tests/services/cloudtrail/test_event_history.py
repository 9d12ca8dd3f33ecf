"""LookupEvents: what is found, in which order, by whom, and that it is exactly what the trail has."""

import hashlib
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.audit.line import encode_record
from geumgo.services.cloudtrail.copies import read_copy
from tests.house import House


@pytest.fixture
def trail(house: House) -> Any:
    return house.client("cloudtrail")


def names(answer: Any) -> list[str]:
    return [event["EventName"] for event in answer["Events"]]


def look(house: House, key: str = "", value: str = "", client: Any = None, **more: Any) -> Any:
    house.index()
    attributes = {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]} if key else {}
    return (client or house.client("cloudtrail")).lookup_events(**attributes, **more)


def at(house: House, offset_s: int = 0) -> datetime:
    return datetime.fromtimestamp(house.clock.now_ms() // 1000 + offset_s, UTC)


def refusal(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


def test_an_event_is_exactly_what_the_trail_has_on_each_engine(house_on_each: House) -> None:
    house = house_on_each
    sm = house.client("secretsmanager")
    sm.create_secret(Name="app/db", SecretString="hidden-value-1")
    sm.get_secret_value(SecretId="app/db")
    house.client("kms").create_key()
    events = look(house)["Events"]
    kept = {record["eventID"]: record for record in house.trail()}
    assert events
    for event in events:
        assert json.loads(event["CloudTrailEvent"]) == kept[event["EventId"]]
        assert "hidden-value-1" not in event["CloudTrailEvent"]
    assert {record["eventID"] for record in house.trail()} - {event["EventId"] for event in events} <= {
        record["eventID"] for record in house.trail() if record["eventName"] == "LookupEvents"
    }
    (read,) = look(house, "EventName", "GetSecretValue")["Events"]
    assert read["ReadOnly"] == "true"
    assert read["EventSource"] == "secretsmanager.amazonaws.com"
    assert read["AccessKeyId"] == house.admin.identity
    assert read["Username"] == "admin"
    assert {each["ResourceType"] for each in read["Resources"]} == {"AWS::SecretsManager::Secret"}
    with house.app.storage.reading() as tx:
        (copies,) = tx.all("SELECT COUNT(*) FROM cloudtrail_record WHERE copy IS NOT NULL")
    assert (copies[0] > 0) is bool(house.settings.database)


def test_every_attribute_finds_what_has_it(house: House) -> None:
    sm = house.client("secretsmanager")
    arn = sm.create_secret(Name="app/db", SecretString="x")["ARN"]
    ann = house.user("ann", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    house.clock.turn(ms=5_000)
    house.client("secretsmanager", ann).get_secret_value(SecretId="app/db")
    house.client("secretsmanager", ann).get_secret_value(SecretId=arn)
    newest = look(house, "EventName", "GetSecretValue")["Events"][0]
    assert names(look(house, "EventId", newest["EventId"])) == ["GetSecretValue"]
    assert set(names(look(house, "EventSource", "iam.amazonaws.com"))) == {
        "CreateUser", "PutUserPolicy", "CreateAccessKey"
    }  # fmt: skip
    assert names(look(house, "Username", "ann")).count("GetSecretValue") == 2
    assert names(look(house, "AccessKeyId", ann.identity)).count("GetSecretValue") == 2
    assert names(look(house, "ResourceName", "app/db")) == ["GetSecretValue", "GetSecretValue", "CreateSecret"]
    assert names(look(house, "ResourceName", arn))[:2] == ["GetSecretValue", "GetSecretValue"]
    assert "CreateUser" in names(look(house, "ResourceType", "AWS::IAM::User"))
    assert "CreateUser" in names(look(house, "ReadOnly", "false"))
    assert "CreateUser" not in names(look(house, "ReadOnly", "true"))
    assert names(look(house, "EventName", "getsecretvalue")) == []  # Source: case sensitive, LookupEvents


def test_who_read_a_secret_last_is_one_call(house: House) -> None:
    sm = house.client("secretsmanager")
    arn = sm.create_secret(Name="app/db", SecretString="x")["ARN"]
    for name in ("ann", "bob"):
        key = house.user(name, {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
        house.clock.turn(ms=60_000)
        house.client("secretsmanager", key).get_secret_value(SecretId="app/db")
    sm.describe_secret(SecretId="app/db")
    reads = [e for e in look(house, "ResourceName", arn)["Events"] if e["EventName"] == "GetSecretValue"]
    assert [event["Username"] for event in reads] == ["bob", "ann"]


def test_pages_are_newest_first_and_whole_while_new_records_come(house: House, trail: Any) -> None:
    sm = house.client("secretsmanager")
    for number in range(23):
        sm.create_secret(Name=f"s{number}", SecretString="x")
        if number % 3 == 0:
            house.clock.turn(ms=1_500)
    house.index()
    asked: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateSecret"}],
        "MaxResults": 5,
    }
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = trail.lookup_events(**asked, **token)
        seen += [json.loads(event["CloudTrailEvent"])["requestParameters"]["name"] for event in answer["Events"]]
        sm.create_secret(Name=f"later-{len(seen)}", SecretString="x")
        house.index()
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert seen == [f"s{number}" for number in reversed(range(23))]


def test_both_ends_of_a_time_range_belong_to_it(house: House) -> None:
    sm = house.client("secretsmanager")
    house.clock.turn(ms=100_000)
    for name in ("a", "b", "c"):
        house.clock.turn(ms=10_000)
        sm.create_secret(Name=name, SecretString="x")
    last = at(house)

    def found(**range_: Any) -> list[str]:
        answer = look(house, "EventName", "CreateSecret", **range_)
        return [json.loads(event["CloudTrailEvent"])["requestParameters"]["name"] for event in answer["Events"]]

    ten = at(house, -10)
    assert found(StartTime=ten) == ["c", "b"]
    assert found(EndTime=ten) == ["b", "a"]
    assert found(StartTime=ten, EndTime=ten) == ["b"]
    assert found(StartTime=last, EndTime=last) == ["c"]
    assert found(StartTime=at(house, -9), EndTime=at(house, -1)) == []


def test_what_makes_no_sense_is_refused(house: House, trail: Any) -> None:
    call = trail.lookup_events
    one = {"AttributeKey": "EventName", "AttributeValue": "x"}
    assert refusal(call, LookupAttributes=[one, one]) == "InvalidLookupAttributesException"
    wrong = [{**one, "AttributeKey": "Colour"}]
    assert refusal(call, LookupAttributes=wrong) == "InvalidLookupAttributesException"
    assert refusal(call, StartTime=at(house), EndTime=at(house, -60)) == "InvalidTimeRangeException"
    assert refusal(call, NextToken="nonsense") == "InvalidNextTokenException"
    assert refusal(call, EventCategory="management") == "InvalidEventCategoryException"
    assert call(EventCategory="insight")["Events"] == []
    trail.meta.events.register("provide-client-params.cloudtrail.LookupEvents", lambda params, **_: params)
    for most in (-1, 0, 51):
        assert _raw_max_results(house, most) == "InvalidMaxResultsException"


def _raw_max_results(house: House, most: int) -> str:
    from botocore.config import Config
    from botocore.session import Session

    client = Session().create_client(
        "cloudtrail", "us-east-1", endpoint_url="http://geumgo.test", aws_access_key_id=house.admin.identity,
        aws_secret_access_key=house.admin.secret, config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    client.meta.events.register("before-send", house._carry)
    return refusal(client.lookup_events, MaxResults=most)


def test_a_token_holds_for_the_same_question_only(house: House, trail: Any) -> None:
    for number in range(4):
        house.client("secretsmanager").create_secret(Name=f"s{number}", SecretString="x")
    token = look(house, MaxResults=2)["NextToken"]
    assert refusal(trail.lookup_events, MaxResults=3, NextToken=token) == "InvalidNextTokenException"
    changed = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
    assert refusal(trail.lookup_events, MaxResults=2, NextToken=changed) == "InvalidNextTokenException"
    other = house.user("ann", {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"})
    assert house.client("cloudtrail", other).lookup_events(MaxResults=2, NextToken=token)["Events"]


def test_an_account_and_a_region_see_their_own(house: House) -> None:
    from geumgo.app import create_account
    from tests.house import Key

    first = create_account(house.settings, "444455556666")
    other = Key(first.access_key_id, first.secret_access_key)
    house.client("secretsmanager").create_secret(Name="mine", SecretString="x")
    house.client("secretsmanager", other).create_secret(Name="theirs", SecretString="x")
    mine = look(house, "EventName", "CreateSecret")["Events"]
    assert ["mine" in event["CloudTrailEvent"] for event in mine] == [True]
    theirs = look(house, "EventName", "CreateSecret", client=house.client("cloudtrail", other))["Events"]
    assert ["theirs" in event["CloudTrailEvent"] for event in theirs] == [True]
    assert "mine" not in json.dumps(theirs, default=str)


def test_a_call_into_another_account_is_found_in_both(house: House) -> None:
    from geumgo.app import create_account
    from tests.house import Key

    first = create_account(house.settings, "444455556666")
    other = Key(first.access_key_id, first.secret_access_key)
    arn = house.client("secretsmanager").create_secret(Name="shared", SecretString="x")["ARN"]
    with pytest.raises(ClientError):
        house.client("secretsmanager", other).get_secret_value(SecretId=arn)
    mine = look(house, "EventName", "GetSecretValue")["Events"]
    theirs = look(house, "EventName", "GetSecretValue", client=house.client("cloudtrail", other))["Events"]
    assert len(mine) == len(theirs) == 1
    assert mine[0]["EventId"] == theirs[0]["EventId"]
    assert json.loads(mine[0]["CloudTrailEvent"])["errorCode"] == "AccessDenied"


def test_a_row_that_was_changed_by_hand_shows_nobody_what_is_not_his(house: House) -> None:
    from geumgo.app import create_account
    from tests.house import Key

    first = create_account(house.settings, "444455556666")
    other = Key(first.access_key_id, first.secret_access_key)
    house.client("secretsmanager", other).create_secret(Name="theirs", SecretString="x")
    house.client("secretsmanager").create_secret(Name="mine", SecretString="x")
    house.index()
    with house.app.storage.writing() as tx:  # every row points to the record of the other account
        row = tx.all("SELECT segment, start_at, size_bytes, place FROM cloudtrail_record ORDER BY event LIMIT 1")[0]
        tx.run("UPDATE cloudtrail_record SET segment = :s, start_at = :a, size_bytes = :b, place = :p",
               s=row[0], a=row[1], b=row[2], p=row[3])  # fmt: skip
    assert "theirs" not in json.dumps(house.client("cloudtrail").lookup_events()["Events"], default=str)


def test_a_changed_copy_is_not_shown(house: House) -> None:
    house.app.indexer.copies = True
    house.client("secretsmanager").create_secret(Name="mine", SecretString="x")
    assert names(look(house, "EventName", "CreateSecret")) == ["CreateSecret"]
    with house.app.storage.writing() as tx:
        for event, copy in tx.all("SELECT event, copy FROM cloudtrail_record"):
            changed = copy[:-1] + bytes([copy[-1] ^ 1])
            tx.run("UPDATE cloudtrail_record SET copy = :copy WHERE event = :event", copy=changed, event=event)
    assert names(house.client("cloudtrail").lookup_events()) == []


def test_a_copy_that_an_older_program_packed_is_shown(house: House) -> None:
    house.app.indexer.copies = True
    house.client("secretsmanager").create_secret(Name="mine", SecretString="x")
    (wanted,) = look(house, "EventName", "CreateSecret")["Events"]
    sealing = house.app.indexer.sealing
    with house.app.storage.writing() as tx:
        for event, copy in tx.all("SELECT event, copy FROM cloudtrail_record"):
            packed = zlib.compress(encode_record(read_copy(sealing, copy)), 6)
            before = sealing.vouch("cloudtrail_event", {"record": hashlib.sha256(packed).digest()}) + packed
            assert len(copy) < 0.6 * len(before)
            tx.run("UPDATE cloudtrail_record SET copy = :copy WHERE event = :event", copy=before, event=event)
    (shown,) = [
        each for each in look(house, "EventName", "CreateSecret")["Events"] if each["EventId"] == wanted["EventId"]
    ]
    assert shown == wanted


def test_who_may_not_look_is_denied(house: House) -> None:
    ann = house.user("ann", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    assert refusal(house.client("cloudtrail", ann).lookup_events) == "AccessDeniedException"
