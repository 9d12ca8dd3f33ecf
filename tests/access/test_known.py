"""What is known to be permitted is permitted again exactly when it would be decided so again."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.context import as_datetime
from geumgo.domain.policy import decide
from tests.house import House, Key


def reader(house: House, name: str, condition: dict[str, Any] | None = None) -> Key:
    statement = {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "kms:Decrypt"], "Resource": "*"}
    return house.user(name, {**statement, **({"Condition": condition} if condition else {})})


@pytest.fixture
def secret(house: House) -> str:
    name: str = house.client("secretsmanager").create_secret(Name="db", SecretString="value")["Name"]
    return name


def read(house: House, key: Key, secret: str) -> str:
    value: str = house.client("secretsmanager", key).get_secret_value(SecretId=secret)["SecretString"]
    return value


def refused(house: House, key: Key, secret: str) -> bool:
    with pytest.raises(ClientError) as caught:
        read(house, key, secret)
    return bool(caught.value.response["Error"]["Code"] == "AccessDeniedException")


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actions that were decided on."""
    made: list[str] = []

    def counted(asked: Any, standing: Any) -> Any:
        made.append(asked.action)
        return decide(asked, standing)

    monkeypatch.setattr("geumgo.access.gate.decide", counted)
    return made


def test_the_same_question_is_decided_once(house: House, secret: str, decisions: list[str]) -> None:
    ann = reader(house, "ann")
    for _ in range(3):  # the first leaves dates of use behind, which are writes
        read(house, ann, secret)
    decisions.clear()
    assert read(house, ann, secret) == "value"
    assert decisions == []


def test_another_caller_is_decided_on_by_himself(house: House, secret: str, decisions: list[str]) -> None:
    ann, eve = reader(house, "ann"), house.user("eve")
    for _ in range(3):
        read(house, ann, secret)
    assert refused(house, eve, secret)
    decisions.clear()
    assert refused(house, eve, secret)
    assert decisions == ["secretsmanager:GetSecretValue"]
    read(house, ann, secret)
    assert refused(house, eve, secret)


def test_another_address_is_another_question(house: House, secret: str) -> None:
    ann = reader(house, "ann", {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}})
    for _ in range(3):
        read(house, ann, secret)
    house.peer = "203.0.113.9"
    assert refused(house, ann, secret)
    house.peer = "198.51.100.8"
    assert read(house, ann, secret) == "value"


def test_a_right_that_ends_at_a_time_ends_at_it(house: House, secret: str) -> None:
    end = as_datetime(house.clock.now_ms() + 60_000).strftime("%Y-%m-%dT%H:%M:%SZ")
    ann = reader(house, "ann", {"DateLessThan": {"aws:CurrentTime": end}})
    for _ in range(3):
        read(house, ann, secret)
    house.clock.turn(ms=59_000)
    assert read(house, ann, secret) == "value"
    house.clock.turn(ms=2_000)
    assert refused(house, ann, secret)


def test_a_header_that_is_missing_is_another_question(house: House, secret: str) -> None:
    ann = reader(house, "ann", {"StringNotEquals": {"aws:Referer": "https://eve.example"}})
    client = house.client("secretsmanager", ann)
    for _ in range(3):
        read(house, ann, secret)

    def sent_from_eve(request: Any, **_: Any) -> None:
        request.headers["Referer"] = "https://eve.example"

    client.meta.events.register_first("before-sign", sent_from_eve)
    assert refused(house, ann, secret)
    client.meta.events.unregister("before-sign", sent_from_eve)
    assert read(house, ann, secret) == "value"


DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


def deny_secret(house: House) -> None:
    arn = house.client("iam").get_user(UserName="ann")["User"]["Arn"]
    statement = {"Effect": "Deny", "Principal": {"AWS": arn}, "Action": "secretsmanager:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    house.client("secretsmanager").put_resource_policy(SecretId="db", ResourcePolicy=document)


REVOKED: dict[str, Callable[[House], object]] = {
    "the policy is deleted": lambda h: h.client("iam").delete_user_policy(UserName="ann", PolicyName="only"),
    "a deny is added": lambda h: h.client("iam").put_user_policy(
        UserName="ann", PolicyName="never", PolicyDocument=json.dumps(DENY)
    ),
    "a boundary is set": lambda h: h.client("iam").put_user_permissions_boundary(
        UserName="ann", PermissionsBoundary="arn:aws:iam::aws:policy/IAMReadOnlyAccess"
    ),
    "the secret denies": deny_secret,
}


@pytest.mark.parametrize("how", REVOKED)
def test_what_was_permitted_is_not_any_more(house: House, secret: str, how: str) -> None:
    ann = reader(house, "ann")
    for _ in range(3):
        read(house, ann, secret)
    REVOKED[how](house)
    assert refused(house, ann, secret)


def test_a_grant_that_is_revoked_permits_nothing_more(house: House) -> None:
    kms = house.client("kms")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{house.account}:user/{name}"},
                "Action": actions,
                "Resource": "*",
            }
            for name, actions in [
                (house.client("sts").get_caller_identity()["Arn"].partition("/")[2], "kms:*"),
            ]
        ],
    }
    key_id = kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["KeyId"]
    house.client("secretsmanager").create_secret(Name="granted", SecretString="value", KmsKeyId=key_id)
    ann = house.user("ann", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    assert refused(house, ann, "granted")
    arn = house.client("iam").get_user(UserName="ann")["User"]["Arn"]
    grant = kms.create_grant(KeyId=key_id, GranteePrincipal=arn, Operations=["Decrypt"])["GrantId"]
    for _ in range(3):
        assert read(house, ann, "granted") == "value"
    kms.revoke_grant(KeyId=key_id, GrantId=grant)
    assert refused(house, ann, "granted")
