"""What a denial tells an administrator, and nobody else."""

import json
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.access.authorization_message import LIFETIME_MS, Denied, opened, sealed
from geumgo.access.demand import Demand, Target
from geumgo.context import Caller
from geumgo.domain.policy import Decision, Reason
from geumgo.sealing.random import key as random_key
from geumgo.sealing.root import RootKeys
from tests.house import House, Key

HEADER = "x-geumgo-authorization-message"
MAY_DECODE = {"Effect": "Allow", "Action": "sts:DecodeAuthorizationMessage", "Resource": "*"}


def denied(house: House, who: Key, service: str, operation: str, **params: Any) -> str:
    """The message that comes with a denial."""
    with pytest.raises(ClientError) as refusal:
        getattr(house.client(service, who), operation)(**params)
    message: str = refusal.value.response["ResponseMetadata"]["HTTPHeaders"][HEADER]
    return message


def decoded(house: House, message: str, who: Key | None = None) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(
        house.client("sts", who).decode_authorization_message(EncodedMessage=message)["DecodedMessage"]
    )
    return said


def conditions(said: dict[str, Any]) -> dict[str, list[str]]:
    return {
        each["key"]: [value["value"] for value in each["values"]["items"]]
        for each in said["context"]["conditions"]["items"]
    }


def refused(house: House, message: str, who: Key | None = None) -> str:
    with pytest.raises(ClientError) as refusal:
        house.client("sts", who).decode_authorization_message(EncodedMessage=message)
    code: str = refusal.value.response["Error"]["Code"]
    return code


def test_a_message_says_who_asked_for_what_and_that_nothing_allowed_it(house: House) -> None:
    ann = house.user("ann")
    said = decoded(house, denied(house, ann, "secretsmanager", "get_secret_value", SecretId="db"))
    assert (said["allowed"], said["explicitDeny"], said["matchedStatements"]) == (False, False, {"items": []})
    principal = said["context"]["principal"]
    assert principal["arn"] == f"arn:aws:iam::{house.account}:user/ann"
    assert principal["id"].startswith("AIDA")
    assert principal["name"] == "ann"
    assert (said["context"]["action"], said["context"]["resource"]) == ("secretsmanager:GetSecretValue", "db")
    seen = conditions(said)
    assert seen["aws:SourceIp"] == ["198.51.100.7"]
    assert seen["aws:username"] == ["ann"]


def test_a_message_shows_the_statement_that_denied(house: House) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    never = {"Sid": "Never", "Effect": "Deny", "Action": "kms:Create*", "Resource": "*"}
    said = decoded(house, denied(house, house.user("ann", everything, never), "kms", "create_key"))
    assert said["explicitDeny"] is True
    (statement,) = said["matchedStatements"]["items"]
    assert (statement["statementId"], statement["effect"]) == ("Never", "DENY")
    assert statement["actions"] == {"items": [{"value": "kms:Create*"}]}
    assert statement["resources"] == {"items": [{"value": "*"}]}


def test_a_message_of_a_query_service_opens_too(house: House) -> None:
    message = denied(house, house.user("ann"), "iam", "list_users")
    assert decoded(house, message)["context"]["action"] == "iam:ListUsers"


def test_only_who_has_the_permission_may_open_a_message(house: House) -> None:
    ann, auditor = house.user("ann"), house.user("auditor", MAY_DECODE)
    message = denied(house, ann, "kms", "list_keys")
    assert refused(house, message, ann) == "AccessDenied"
    assert decoded(house, message, auditor)["context"]["action"] == "kms:ListKeys"


def test_only_the_account_that_was_denied_opens_its_message(house: House) -> None:
    from geumgo.app import create_account

    other = create_account(house.settings, "999999999999")
    stranger = Key(other.access_key_id, other.secret_access_key)
    message = denied(house, house.user("ann"), "kms", "list_keys")
    assert refused(house, message, stranger) == "InvalidAuthorizationMessageException"


def test_a_message_grows_old(house: House) -> None:
    message = denied(house, house.user("ann"), "kms", "list_keys")
    house.clock.turn(ms=LIFETIME_MS - 1)
    decoded(house, message)
    house.clock.turn(ms=1)
    assert refused(house, message) == "InvalidAuthorizationMessageException"


@pytest.mark.parametrize("junk", ["x", "AAAA", "é", "a\nb", "A" * 10_240])
def test_what_is_no_message_is_refused(house: House, junk: str) -> None:
    assert refused(house, junk) == "InvalidAuthorizationMessageException"


def test_a_session_token_is_no_message(house: House) -> None:
    key = house.user("ann")
    token = house.client("sts", key).get_session_token()["Credentials"]["SessionToken"]
    assert refused(house, token) == "InvalidAuthorizationMessageException"


def test_every_message_has_the_same_length_and_what_is_too_long_for_it_is_left_out(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="there", SecretString="x", Tags=[{"Key": "k", "Value": "v"}])
    ann = house.user("ann")
    noise = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(64))[:512]
    messages = [
        denied(house, ann, "secretsmanager", "get_secret_value", SecretId=name) for name in ("there", "absent", noise)
    ]
    assert len({len(message) for message in messages}) == 1
    assert decoded(house, messages[2])["context"]["resource"] == noise


@pytest.mark.parametrize(("first", "last"), [(0x21, 0x7E), (0x80, 0xD7FF), (0xDC00, 0xDFFF), (0x10000, 0x1F000)])
def test_the_longest_principal_asking_for_the_strangest_thing_gets_a_message_too(first: int, last: int) -> None:
    """Text that cannot be packed: code points from everywhere, each up to twelve characters in JSON."""
    chance, sealing = random.Random(1), RootKeys({1: random_key()})

    def text(characters: int, lowest: int = 0x21, highest: int = 0x7E) -> str:
        return "".join(chr(chance.randint(lowest, highest)) for _ in range(characters))

    arn = f"arn:aws:iam::123456789012:user/{text(511)}/{text(64)}"
    caller = Caller("IAMUser", "123456789012", arn, "AIDA" + "X" * 17, name=text(64))
    strange = text(2_048, first, last)
    demand = Demand("secretsmanager:GetSecretValue", Target(strange, strange, "123456789012"))
    sent = {f"aws:RequestTag/{text(128)}": (text(256),) for _ in range(50)}
    asked = Denied(caller, demand, Decision(False, Reason.NO_IDENTITY_POLICY), None, sent)
    said = json.loads(opened(sealing, sealed(sealing, asked, 0).decode(), caller.account, 0))
    assert strange.startswith(said["context"]["resource"])
    assert said["context"]["principal"]["arn"] == arn


def test_a_message_tells_nothing_of_the_resource(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="there", SecretString="x", Tags=[{"Key": "k", "Value": "v"}])
    ann = house.user("ann")
    there, absent = (
        decoded(house, denied(house, ann, "secretsmanager", "describe_secret", SecretId=name))
        for name in ("there", "absent")
    )
    absent["context"]["resource"] = "there"
    assert there == absent


def test_what_was_not_denied_by_policy_has_no_message(house: House) -> None:
    with pytest.raises(ClientError) as refusal:
        house.client("secretsmanager").get_secret_value(SecretId="absent")
    assert HEADER not in refusal.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert not any(name.decode() == HEADER for name, _ in house.send("POST", b"/", [], b"").headers)
