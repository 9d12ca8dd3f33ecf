"""A read that comes again is answered, noted and refused exactly as if it were worked out anew."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.context import as_datetime
from geumgo.pipeline import Pipeline
from tests.house import House, Key

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
READS = {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "kms:Decrypt"], "Resource": "*"}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that were answered by their courses."""
    names: list[str] = []
    again = Pipeline._again

    def counted(self: Pipeline, turn: Any, course: Any, permit: Any) -> Any:
        names.append(course.call.operation.name)
        return again(self, turn, course, permit)

    monkeypatch.setattr(Pipeline, "_again", counted)
    return names


@pytest.fixture
def ann(house: House) -> Key:
    house.client("secretsmanager").create_secret(Name="db", SecretString='{"password":"\\u00e9\\u0000 \\"x"}')
    return house.user("ann", READS)


def read(house: House, key: Key, **asked: str) -> dict[str, Any]:
    answer: dict[str, Any] = house.client("secretsmanager", key).get_secret_value(**{"SecretId": "db", **asked})
    del answer["ResponseMetadata"]
    return answer


def begin_a_day(house: House) -> None:
    """It is midnight: no other one comes in between, after which dates of use are written anew."""
    house.clock.turn(ms=DAY_MS - house.clock.now_ms() % DAY_MS)


def alike(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what no two of them share."""
    return {**record, "eventID": 0, "requestID": 0, "eventTime": 0}


def read_often(house: House, key: Key, **asked: str) -> list[dict[str, Any]]:
    """The first read leaves dates of use, the second looks at rows, the third finds all of it kept: the fourth may be short."""
    return [read(house, key, **asked) for _ in range(4)]


def test_a_read_that_comes_again_is_answered_as_before(house: House, ann: Key, taken: list[str]) -> None:
    answers = read_often(house, ann)
    assert taken == ["GetSecretValue"]
    assert answers == [answers[0]] * 4


def test_its_records_are_those_of_before(house: House, ann: Key, taken: list[str]) -> None:
    read_often(house, ann)
    assert taken
    found = [each for each in house.trail() if each["userIdentity"].get("userName") == "ann"]
    kinds = [(each["eventName"], each["sourceIPAddress"]) for each in found]
    assert kinds == [("Decrypt", "secretsmanager.amazonaws.com"), ("GetSecretValue", house.peer)] * 4
    assert [alike(each) for each in found] == [alike(each) for each in found[:2]] * 4
    assert len({each["requestID"] for each in found}) == 4
    assert len({each["eventID"] for each in found}) == 8


def test_the_time_of_a_record_is_the_time_of_its_request(house: House, ann: Key, taken: list[str]) -> None:
    read_often(house, ann)
    house.clock.turn(ms=5_000)
    read(house, ann)
    assert len(taken) == 2
    assert house.trail()[-1]["eventTime"] == as_datetime(house.clock.now_ms()).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_bytes_come_again_as_bytes(house: House, ann: Key, taken: list[str]) -> None:
    house.client("secretsmanager").put_secret_value(SecretId="db", SecretBinary=bytes(range(256)))
    assert [each["SecretBinary"] for each in read_often(house, ann)] == [bytes(range(256))] * 4
    assert taken


def test_each_way_to_ask_has_a_course_of_its_own(house: House, ann: Key, taken: list[str]) -> None:
    admin = house.client("secretsmanager")
    first = read(house, ann)["VersionId"]
    admin.put_secret_value(SecretId="db", SecretString="second")
    assert read_often(house, ann)[-1]["SecretString"] == "second"
    assert read_often(house, ann, VersionStage="AWSPREVIOUS")[-1]["VersionId"] == first
    assert read_often(house, ann, VersionId=first)[-1]["VersionStages"] == ["AWSPREVIOUS"]
    assert read(house, ann)["SecretString"] == "second"
    assert len(taken) == 4


def test_whoever_else_may_has_his_own_records(house: House, ann: Key, taken: list[str]) -> None:
    bob = house.user("bob", READS)
    read_often(house, ann)
    taken.clear()
    assert read_often(house, bob) == read_often(house, ann)
    assert taken
    assert [each["userIdentity"]["userName"] for each in house.trail()[-16:]] == ["bob"] * 8 + ["ann"] * 8


def test_whoever_may_not_is_refused_beside_it(house: House, ann: Key) -> None:
    eve = house.user("eve")
    read_often(house, ann)
    with pytest.raises(ClientError, match="AccessDenied"):
        read(house, eve)


def test_the_day_of_use_is_kept_on_the_next_day(house: House, ann: Key, taken: list[str]) -> None:
    read_often(house, ann)
    taken.clear()
    house.clock.turn(ms=DAY_MS)
    read(house, ann)
    assert not taken
    said = house.client("secretsmanager").describe_secret(SecretId="db")["LastAccessedDate"]
    assert said == as_datetime(house.clock.now_ms() // DAY_MS * DAY_MS)


def test_the_day_of_use_of_one_secret_holds_up_no_other_reads(house: House, ann: Key, taken: list[str]) -> None:
    admin = house.client("secretsmanager")
    admin.create_secret(Name="mail", SecretString="x")
    for name in ("db", "mail"):
        read_often(house, ann, SecretId=name)
    admin.put_secret_value(SecretId="db", SecretString="y")
    read(house, ann)  # the new version has its first day of use
    taken.clear()
    read(house, ann, SecretId="mail")
    assert taken == ["GetSecretValue"]


def test_the_use_of_the_kms_key_is_kept_an_hour_later(house: House, ann: Key, taken: list[str]) -> None:
    read_often(house, ann)
    taken.clear()
    house.clock.turn(ms=HOUR_MS)
    read(house, ann)
    assert not taken
    kms = house.client("kms")
    key_id = kms.describe_key(KeyId="alias/aws/secretsmanager")["KeyMetadata"]["KeyId"]
    assert kms.get_key_last_usage(KeyId=key_id)["KeyLastUsage"]["Timestamp"] == as_datetime(house.clock.now_ms())


def test_the_use_of_an_access_key_is_kept_though_the_read_comes_again(house: House, ann: Key, taken: list[str]) -> None:
    bob = house.user("bob", READS)
    begin_a_day(house)
    house.clock.turn(ms=HOUR_MS)  # the hour of the KMS key begins now
    read_often(house, bob)
    house.clock.turn(ms=HOUR_MS // 2)
    read_often(house, ann)
    house.clock.turn(ms=HOUR_MS // 2)
    read_often(house, ann)
    taken.clear()
    house.clock.turn(ms=HOUR_MS // 2)
    read(house, ann)
    assert taken  # neither the secret's day nor the hour of the KMS key is over, but that of the access key is
    used = house.client("iam").get_access_key_last_used(AccessKeyId=ann.identity)["AccessKeyLastUsed"]
    assert used["LastUsedDate"] == as_datetime(house.clock.now_ms())


def test_a_right_that_asks_for_the_time_is_decided_each_time(house: House, taken: list[str]) -> None:
    end = as_datetime(house.clock.now_ms() + 60_000).strftime("%Y-%m-%dT%H:%M:%SZ")
    house.client("secretsmanager").create_secret(Name="db", SecretString="x")
    ann = house.user("ann", {**READS, "Condition": {"DateLessThan": {"aws:CurrentTime": end}}})
    read_often(house, ann)
    assert not taken


def in_another_process(house: House, change: Callable[[House], object]) -> None:
    """`change` is made through a pipeline that shares nothing with the reader's but the database."""
    own = house.app.pipeline
    try:
        object.__setattr__(house.app, "pipeline", naive(house))
        change(house)
    finally:
        object.__setattr__(house.app, "pipeline", own)


def naive(house: House) -> Pipeline:
    """A pipeline that keeps nothing from one request to the next."""
    return Pipeline(replace(house.app.pipeline._parts, most_derived=2))


CHANGES: dict[str, Callable[[House], object]] = {
    "another value": lambda h: h.client("secretsmanager").put_secret_value(SecretId="db", SecretString="new"),
    "a label that moves": lambda h: h.client("secretsmanager").update_secret_version_stage(
        SecretId="db",
        VersionStage="mine",
        MoveToVersionId=h.client("secretsmanager").get_secret_value(SecretId="db")["VersionId"],
    ),
    "its deletion": lambda h: h.client("secretsmanager").delete_secret(SecretId="db"),
    "a tag": lambda h: h.client("secretsmanager").tag_resource(SecretId="db", Tags=[{"Key": "closed", "Value": "yes"}]),
    "the user's policy": lambda h: h.client("iam").delete_user_policy(UserName="ann", PolicyName="only"),
    "the access key": lambda h: h.client("iam").update_access_key(
        UserName="ann",
        AccessKeyId=h.client("iam").list_access_keys(UserName="ann")["AccessKeyMetadata"][0]["AccessKeyId"],
        Status="Inactive",
    ),
    "a resource policy": lambda h: h.client("secretsmanager").put_resource_policy(
        SecretId="db", ResourcePolicy=document(denied(h, "secretsmanager:GetSecretValue"))
    ),
    "its KMS key": lambda h: h.client("kms").disable_key(KeyId=key_of(h)),
    "the policy of its KMS key": lambda h: h.client("kms").put_key_policy(
        KeyId=key_of(h), Policy=document(allowed(h), denied(h, "kms:Decrypt"))
    ),
}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def denied(house: House, action: str) -> dict[str, Any]:
    ann = {"AWS": f"arn:aws:iam::{house.account}:user/ann"}
    return {"Effect": "Deny", "Principal": ann, "Action": action, "Resource": "*"}


def allowed(house: House) -> dict[str, Any]:
    root = {"AWS": f"arn:aws:iam::{house.account}:root"}
    return {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}


def key_of(house: House) -> str:
    arn: str = house.client("secretsmanager").describe_secret(SecretId="db")["KmsKeyId"]
    return arn


@pytest.fixture
def ben(house: House) -> Key:
    """Somebody who reads under a KMS key of the account's own, while the secret is not closed."""
    key = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    house.client("secretsmanager").create_secret(Name="db", SecretString="old", KmsKeyId=key)
    open_ = {**READS, "Condition": {"StringNotEquals": {"aws:ResourceTag/closed": "yes"}}}
    return house.user("ann", {**READS, "Action": "kms:Decrypt"}, {**open_, "Action": "secretsmanager:GetSecretValue"})


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another process"])
def test_a_change_of_what_it_saw_is_seen_by_the_next_read(
    house: House, ben: Key, taken: list[str], how: str, *, elsewhere: bool
) -> None:
    old = read_often(house, ben)[-1]
    assert taken
    taken.clear()
    if elsewhere:
        in_another_process(house, CHANGES[how])
    else:
        CHANGES[how](house)
    new = told(house, ben)
    assert not taken
    assert new != old


def told(house: House, key: Key, **asked: str) -> dict[str, Any]:
    """The value, or the refusal."""
    try:
        return read(house, key, **asked)
    except ClientError as refused:
        error: dict[str, Any] = refused.response["Error"]
        return error


def test_a_value_that_does_not_open_any_more_is_no_value(house: House, ann: Key, taken: list[str]) -> None:
    read_often(house, ann)
    with house.app.storage.writing() as tx:  # somebody edits rows
        tx.run("UPDATE secret_version SET ciphertext = :other", other=b"\0" * 200)
    assert "SecretString" not in told(house, ann)


class Twins:
    """Random readers and changes, at a pipeline that keeps all it can and, after each read, at one that keeps nothing."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.dice = house, random.Random(seed)
        self.admin, self.iam = house.client("secretsmanager"), house.client("iam")
        self.names = ["a", "b"]
        for name in self.names:
            self.admin.create_secret(Name=name, SecretString=f"{name}-0")
        self.keys = [house.user(f"user{number}", READS) for number in range(2)]
        self.naive = naive(house)

    def step(self, number: int) -> None:
        if self.dice.random() < 0.95:
            self.read()
        else:
            self.change(number)

    def read(self) -> None:
        self.house.peer = self.dice.choice(["198.51.100.7", "203.0.113.9"])
        key, asked = self.dice.choice(self.keys), {"SecretId": self.dice.choice(self.names)}
        if self.dice.random() < 0.3:
            asked["VersionStage"] = self.dice.choice(["AWSCURRENT", "AWSPREVIOUS"])
        fast = told(self.house, key, **asked)
        own = self.house.app.pipeline
        object.__setattr__(self.house.app, "pipeline", self.naive)
        slow = told(self.house, key, **asked)
        object.__setattr__(self.house.app, "pipeline", own)
        assert fast == slow

    def change(self, number: int) -> None:
        name, user = self.dice.choice(self.names), self.dice.choice(["user0", "user1"])
        far = {**READS, "Condition": {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}}
        changes: list[Callable[[], object]] = [
            lambda: self.admin.put_secret_value(SecretId=name, SecretString=f"{name}-{number}"),
            lambda: self.admin.tag_resource(SecretId=name, Tags=[{"Key": "k", "Value": str(number)}]),
            lambda: self.set_policy(user, READS),
            lambda: self.set_policy(user, far),
            lambda: self.set_policy(user, {**READS, "Effect": "Deny"}),
            lambda: self.house.clock.turn(ms=self.dice.choice([1_000, HOUR_MS, DAY_MS])),
        ]
        self.dice.choice(changes)()

    def set_policy(self, user: str, statement: dict[str, Any]) -> None:
        self.iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=document(statement))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_between_reads_they_are_answered_as_if_nothing_were_kept(
    house: House, taken: list[str], seed: int
) -> None:
    twins = Twins(house, seed)
    for number in range(250):
        twins.step(number)
    assert len(taken) > 5


def test_who_signed_is_found_out_anew_when_the_date_of_use_has_moved(house: House, ann: Key) -> None:
    begin_a_day(house)
    read_often(house, ann)
    writes = house.app.storage.writing
    counted: list[None] = []

    def counting(**how: Any) -> Any:
        counted.append(None)
        return writes(**how)

    house.clock.turn(ms=HOUR_MS)
    read(house, ann)
    object.__setattr__(house.app.storage, "writing", counting)
    for _ in range(5):
        read(house, ann)
    assert not counted


def test_a_session_ends_though_its_reads_come_again(house: House, ann: Key, taken: list[str]) -> None:
    begin_a_day(house)
    said = house.client("sts", ann).get_session_token(DurationSeconds=900)["Credentials"]
    session = Key(said["AccessKeyId"], said["SecretAccessKey"], said["SessionToken"])
    read_often(house, session)
    assert taken
    taken.clear()
    house.clock.turn(ms=899_000)
    read(house, session)
    assert taken
    house.clock.turn(ms=1_000)
    assert told(house, session)["Code"] == "ExpiredTokenException"


def test_a_signature_that_does_not_hold_is_refused_beside_those_that_do(house: House, ann: Key) -> None:
    read_often(house, ann)
    forger = Key(ann.identity, "another secret")
    assert told(house, forger)["Code"] == "InvalidSignatureException"


# -- what a service asks of itself ------------------------------------------------------------------------------------------


def read_together(house: House, key: Key, *names: str) -> dict[str, Any]:
    answer: dict[str, Any] = house.client("secretsmanager", key).batch_get_secret_value(SecretIdList=list(names))
    del answer["ResponseMetadata"]
    return answer


@pytest.fixture
def several(house: House) -> Key:
    for name in ("one", "two", "three"):
        house.client("secretsmanager").create_secret(Name=name, SecretString=f"value of {name}")
    all_ = {"Effect": "Allow", "Action": ["secretsmanager:*", "kms:Decrypt"], "Resource": "*"}
    arn = "arn:aws:secretsmanager:*:*:secret:three-*"
    return house.user("ann", all_, {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": arn})


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that rooms were asked for and that were worked out."""
    names: list[str] = []
    inner = Pipeline._inner

    def counted(self: Pipeline, *arguments: Any) -> Any:
        names.append(arguments[5])
        return inner(self, *arguments)

    monkeypatch.setattr(Pipeline, "_inner", counted)
    return names


def test_what_is_read_together_again_only_opens_its_values(house: House, several: Key, worked_out: list[str]) -> None:
    answers = [read_together(house, several, "one", "two") for _ in range(4)]
    assert answers == [answers[0]] * 4
    worked_out.clear()
    assert read_together(house, several, "two", "one")["SecretValues"] == answers[0]["SecretValues"][::-1]
    assert worked_out == []


def test_each_of_them_is_noted_as_before(house: House, several: Key) -> None:
    for _ in range(5):
        read_together(house, several, "one", "two")
    found = [each for each in house.trail() if each["userIdentity"].get("userName") == "ann"]
    one_round = ["Decrypt", "GetSecretValue", "Decrypt", "GetSecretValue", "BatchGetSecretValue"]
    assert [each["eventName"] for each in found] == one_round * 5
    assert [alike(each) for each in found] == [alike(each) for each in found[:5]] * 5
    assert [each["requestID"] for each in found[-5:]] == [found[-1]["requestID"]] * 5


def test_a_change_of_one_of_them_is_seen_by_the_next_read(house: House, several: Key, worked_out: list[str]) -> None:
    for _ in range(4):
        read_together(house, several, "one", "two")
    worked_out.clear()
    in_another_process(house, lambda h: h.client("secretsmanager").put_secret_value(SecretId="two", SecretString="new"))
    worked_out.clear()
    values = read_together(house, several, "one", "two")["SecretValues"]
    assert [each["SecretString"] for each in values] == ["value of one", "new"]
    assert worked_out == ["GetSecretValue", "Decrypt"]


def test_one_that_is_refused_is_refused_each_time(house: House, several: Key) -> None:
    for _ in range(5):
        said = read_together(house, several, "one", "three")
        assert [each["SecretString"] for each in said["SecretValues"]] == ["value of one"]
        assert [each["ErrorCode"] for each in said["Errors"]] == ["AccessDeniedException"]


def test_one_caller_at_two_addresses_has_a_course_at_each(house: House, ann: Key, taken: list[str]) -> None:
    addresses = ("198.51.100.7", "203.0.113.9")
    for _ in range(4):
        for house.peer in addresses:
            read(house, ann)
    taken.clear()
    for house.peer in addresses * 2:
        read(house, ann)
    assert len(taken) == 4
    assert [each["sourceIPAddress"] for each in house.trail()[-7::2]] == [*addresses * 2]
