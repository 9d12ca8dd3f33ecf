"""How services reach each other: a job that asks as its own service or as a role, an answer that lies outside, an event for EventBridge."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.context import Context, Event, Later, Params, Place, Work
from geumgo.errors import AccessDenied
from geumgo.jobs import promise
from geumgo.message import Answer
from geumgo.pipeline import Pipeline
from geumgo.room import Operation
from geumgo.storage import Tx
from tests.clock import TurnedClock
from tests.house import House, turn_botocore

SERVICE = "secretsmanager.amazonaws.com"
SOURCE = "arn:aws:secretsmanager:us-east-1:{}:secret:db-AbCdEf"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: TurnedClock) -> Iterator[House]:
    turn_botocore(monkeypatch, clock)
    made = House.build(tmp_path, clock)
    yield made
    made.close()


def key_for(house: House, *statements: dict[str, Any]) -> str:
    """A KMS key whose policy lets its account do everything, and says these statements too."""
    own = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{house.account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [own, *statements]})
    made: str = house.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return made


def admits_the_service(house: House, **condition: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": "kms:DescribeKey",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": house.account, **condition}},
    }


def role_for(house: House, name: str, trusts: str, action: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": trusts}, "Action": "sts:AssumeRole"}
    iam = house.client("iam")
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )
    may = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": may})
    iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=policy)
    arn: str = made["Role"]["Arn"]
    return arn


def in_a_job(house: House, does: Callable[[Work], Params]) -> Params | AccessDenied:
    """What a job of Secrets Manager gets for what it asks, or how it is refused."""
    got: list[Params | AccessDenied] = []

    def handler(work: Work, _payload: Params) -> None:
        try:
            got.append(does(work))
        except AccessDenied as refusal:
            got.append(refusal)
        with work.finishing():
            pass

    house.app.worker._handlers = {**house.app.worker._handlers, "secretsmanager.asks": handler}
    with house.app.storage.writing() as tx:
        place = Place(house.account, "us-east-1")
        promise(tx, "secretsmanager.asks", place, {}, run_at_ms=house.clock.now_ms())
    house.run_jobs()
    return got[0]


def records(house: House, name: str) -> list[dict[str, Any]]:
    return [each for each in house.trail() if each["eventName"] == name]


def test_a_job_asks_as_its_service_and_only_where_a_resource_admits_it(house: House) -> None:
    open_key, closed_key = key_for(house, admits_the_service(house)), key_for(house)
    allowed = in_a_job(house, lambda work: work.call("kms", "DescribeKey", KeyId=open_key))
    assert isinstance(allowed, dict)
    assert allowed["KeyMetadata"]["Arn"] == open_key
    assert isinstance(in_a_job(house, lambda work: work.call("kms", "DescribeKey", KeyId=closed_key)), AccessDenied)
    first, second = records(house, "DescribeKey")
    assert first["userIdentity"] == {"type": "AWSService", "accountId": house.account, "invokedBy": SERVICE}
    assert "errorCode" not in first
    assert second["errorCode"] == "AccessDenied"


def test_a_policy_sees_on_whose_account_a_service_asks(house: House) -> None:
    source = SOURCE.format(house.account)
    key = key_for(house, admits_the_service(house, **{"aws:SourceArn": source}))
    named = in_a_job(house, lambda work: work.call("kms", "DescribeKey", source_arn=source, KeyId=key))
    unnamed = in_a_job(house, lambda work: work.call("kms", "DescribeKey", KeyId=key))
    other = in_a_job(house, lambda work: work.call("kms", "DescribeKey", source_arn=source + "x", KeyId=key))
    assert isinstance(named, dict)
    assert isinstance(unnamed, AccessDenied)
    assert isinstance(other, AccessDenied)


def test_a_job_asks_as_a_role_that_trusts_its_service_and_may_what_the_role_may(house: House) -> None:
    key = key_for(house)
    trusting = role_for(house, "trusting", SERVICE, "kms:DescribeKey")
    weak = role_for(house, "weak", SERVICE, "kms:ListAliases")
    strange = role_for(house, "strange", "lambda.amazonaws.com", "kms:DescribeKey")
    asked = [
        in_a_job(house, lambda work, role=role: work.call("kms", "DescribeKey", role_arn=role, KeyId=key))  # type: ignore[misc]
        for role in (trusting, weak, strange)
    ]
    assert [isinstance(each, dict) for each in asked] == [True, False, False]
    assert records(house, "DescribeKey")[0]["userIdentity"]["arn"].endswith(":assumed-role/trusting/secretsmanager")


def test_what_a_job_changes_elsewhere_is_committed_with_its_record(house: House) -> None:
    may = role_for(house, "tagger", SERVICE, "kms:TagResource")
    key = key_for(house)
    tags = [{"TagKey": "by", "TagValue": "job"}]
    in_a_job(house, lambda work: work.call("kms", "TagResource", role_arn=may, KeyId=key, Tags=tags))
    assert house.client("kms").list_resource_tags(KeyId=key)["Tags"] == tags
    assert len(records(house, "TagResource")) == 1


def served_by(house: House, handler: Callable[[Context, Params], Any], *, writes: bool) -> None:
    """GetRandomPassword, which anybody with the permission may call, is done by `handler` from now on."""
    parts = house.app.pipeline._parts
    room = parts.rooms["secretsmanager"]
    known = room.operations["GetRandomPassword"]
    changed = Operation(known.name, handler, writes, known.access)
    other = type(room).__new__(type(room))
    other.__dict__.update({**vars(room), "operations": {**room.operations, known.name: changed}})
    rooms = {**parts.rooms, "secretsmanager": other}
    house.app.pipeline = Pipeline(replace(parts, rooms=rooms))


@pytest.mark.parametrize("writes", [False, True])
def test_an_answer_that_lies_outside_comes_when_it_is_fetched_and_others_are_served_meanwhile(
    house: House, writes: bool
) -> None:
    served_by(house, lambda _ctx, _params: Later(lambda: {"RandomPassword": "from outside"}), writes=writes)
    first: list[Answer] = []
    batch = house.app.pipeline.handle_batch

    def resuming(requests: Any) -> list[Answer]:
        answers = batch(requests)
        for answer in answers:
            if answer.fetch is not None:
                first.append(answer)
                assert not records(house, "GetRandomPassword"), "the record comes with the answer"
                house.app.pipeline.handle_batch = batch  # type: ignore[method-assign]
                house.client("secretsmanager").list_secrets()  # is not kept waiting
                return batch([answer.fetch()])
        return answers

    house.app.pipeline.handle_batch = resuming  # type: ignore[method-assign]
    assert house.client("secretsmanager").get_random_password()["RandomPassword"] == "from outside"
    assert len(first) == 1
    assert len(records(house, "GetRandomPassword")) == 1


def test_a_refusal_from_outside_is_told_and_recorded(house: House) -> None:
    def refuse() -> Params:
        raise AccessDenied("not out there")

    served_by(house, lambda _ctx, _params: Later(refuse), writes=False)
    with pytest.raises(ClientError, match="not out there"):
        house.client("secretsmanager").get_random_password()
    assert records(house, "GetRandomPassword")[0]["errorMessage"] == "not out there"


def test_a_job_waits_for_what_lies_outside(house: House) -> None:
    role = role_for(house, "asker", SERVICE, "secretsmanager:GetRandomPassword")
    served_by(house, lambda _ctx, _params: Later(lambda: {"RandomPassword": "from outside"}), writes=False)
    house.app.worker._ask = house.app.pipeline.act_alone
    got = in_a_job(house, lambda work: work.call("secretsmanager", "GetRandomPassword", role_arn=role))
    assert got == {"RandomPassword": "from outside"}


class Heard:
    """A publisher that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Place, Event]] = []

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        self.events.append((place, event))


@pytest.mark.parametrize("refused", [False, True])
def test_an_event_is_published_exactly_if_its_write_is_kept(house: House, refused: bool) -> None:
    def tells(ctx: Context, _params: Params) -> Params:
        ctx.publish("aws.secretsmanager", "Told", ["arn:x"], {"name": "db"})
        if refused:
            raise AccessDenied("no")
        return {"RandomPassword": "x"}

    served_by(house, tells, writes=True)
    heard = Heard()
    house.app.pipeline = Pipeline(replace(house.app.pipeline._parts, publisher=heard))
    try:
        house.client("secretsmanager").get_random_password()
    except ClientError:
        assert refused
    event = Event("aws.secretsmanager", "Told", ("arn:x",), {"name": "db"})
    assert heard.events == ([] if refused else [(Place(house.account, "us-east-1"), event)])
