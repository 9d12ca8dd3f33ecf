"""What the attempts at more rights have in common: principals that come and go, a second account, sessions, and what a refusal looks like."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo import app
from tests.house import House, Key

OTHER_ACCOUNT = "999988887777"
DENIED = ("AccessDenied", "AccessDeniedException")
UNKNOWN = ("InvalidClientTokenId", "UnrecognizedClientException")


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, on: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def trusts(principal: str | dict[str, str], *actions: str, **more: Any) -> str:
    """A trust policy for one principal."""
    who = {"AWS": principal} if isinstance(principal, str) else principal
    found = {
        "Effect": "Allow",
        "Principal": who,
        "Action": list(actions or ("sts:AssumeRole", "sts:TagSession")),
        **more,
    }
    return document(found)


@contextmanager
def refused(*codes: str) -> Iterator[list[ClientError]]:
    """What happens inside is refused with one of `codes` (a denial, if none is given), and is no fault of ours."""
    caught: list[ClientError] = []
    with pytest.raises(ClientError) as found:
        yield caught
    caught.append(found.value)
    answer = found.value.response
    assert answer["Error"]["Code"] in (codes or DENIED), answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] < 500, answer


def other_account(house: House) -> House:
    """The same house, entered by the administrator of another account."""
    first = app.create_account(house.settings, OTHER_ACCOUNT)
    key = Key(first.access_key_id, first.secret_access_key)
    return replace(house, admin=key, account=OTHER_ACCOUNT, clients={})


def user_arn(house: House, name: str) -> str:
    return f"arn:aws:iam::{house.account}:user/{name}"


def role_arn(house: House, name: str) -> str:
    return f"arn:aws:iam::{house.account}:role/{name}"


def delete_user(house: House, name: str) -> None:
    """The user is gone, with everything that hangs on it."""
    iam = house.client("iam")
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


def make_role(house: House, name: str, trust: str, *statements: dict[str, Any], **more: Any) -> str:
    """A role with one inline policy, or none. Answers its ARN."""
    iam = house.client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **more)["Role"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=document(*statements))
    return str(made["Arn"])


def delete_role(house: House, name: str) -> None:
    iam = house.client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def session(house: House, who: Key | None, role: str, **more: Any) -> Key:
    """The key of a session of `role`, which `who` assumes."""
    asked = {"RoleArn": role, "RoleSessionName": "worker", **more}
    made = house.client("sts", who).assume_role(**asked)["Credentials"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
