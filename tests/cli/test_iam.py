"""`geumgo iam explain`: what it says is what the server does, and why."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from geumgo.cli import group
from tests.house import House, Key
from tests.promises.tricks import DENIED, allow, deny, document, make_role, session, trusts, user_arn


def explained(house: House, principal: str, action: str, resource: str = "*", **context: str) -> dict[str, Any]:
    asked = ["iam", "explain", "--data", str(house.settings.data), "--json"]
    asked += ["--principal", principal, "--action", action, "--resource", resource]
    for key, value in context.items():
        asked += ["--context", f"{key.replace('__', ':')}={value}"]
    done = CliRunner().invoke(group, asked)
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.output)
    assert (done.exit_code == 0) is found["allowed"]
    return found


def may(house: House, who: Key | None, action: str, resource: str) -> bool:
    """Whether the server lets them, asked with a real call."""
    calls = {
        "secretsmanager:DescribeSecret": ("secretsmanager", lambda c: c.describe_secret(SecretId=resource)),
        "secretsmanager:GetSecretValue": ("secretsmanager", lambda c: c.get_secret_value(SecretId=resource)),
        "kms:DescribeKey": ("kms", lambda c: c.describe_key(KeyId=resource)),
        "kms:Encrypt": ("kms", lambda c: c.encrypt(KeyId=resource, Plaintext=b"x")),
        "sts:AssumeRole": ("sts", lambda c: c.assume_role(RoleArn=resource, RoleSessionName="asked")),
    }
    service, call = calls[action]
    try:
        call(house.client(service, who))
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED:
            raise
        return False
    return True


def test_it_says_what_the_server_does(house: House) -> None:
    root = {"AWS": f"arn:aws:iam::{house.account}:root"}
    kms, sm = house.client("kms"), house.client("secretsmanager")
    ann = house.user(
        "ann", allow("secretsmanager:*", "kms:*", Condition={"StringEquals": {"aws:ResourceTag/team": "a"}})
    )
    bob = house.user("bob", allow("sts:*"))
    mine = sm.create_secret(Name="mine", SecretString="x", Tags=[{"Key": "team", "Value": "a"}])["ARN"]
    theirs = sm.create_secret(Name="theirs", SecretString="x")["ARN"]
    opened = {**allow("secretsmanager:DescribeSecret"), "Principal": {"AWS": user_arn(house, "bob")}}
    sm.put_resource_policy(SecretId=theirs, ResourcePolicy=document(opened))
    delegating = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]["Arn"]
    closed = kms.create_key(
        Policy=document({**allow("kms:*"), "Principal": {"AWS": user_arn(house, "admin")}}), Tags=[{"TagKey": "team", "TagValue": "a"}]
    )["KeyMetadata"]["Arn"]  # fmt: skip
    granted = kms.create_key(Policy=document({**allow("kms:*"), "Principal": root}))["KeyMetadata"]["Arn"]
    kms.create_grant(KeyId=granted, GranteePrincipal=user_arn(house, "bob"), Operations=["Encrypt"])
    role = make_role(house, "reader", trusts(user_arn(house, "bob")), allow("kms:DescribeKey"))
    questions = [("secretsmanager:DescribeSecret", arn) for arn in (mine, theirs)]
    questions += [
        (action, arn) for action in ("kms:DescribeKey", "kms:Encrypt") for arn in (delegating, closed, granted)
    ]
    questions += [("sts:AssumeRole", role)]
    people = {user_arn(house, "ann"): ann, user_arn(house, "bob"): bob, user_arn(house, "admin"): house.admin, role: session(house, bob, role)}  # fmt: skip
    seen = set()
    for arn, key in people.items():
        for action, resource in questions:
            told = explained(house, arn, action, resource)
            assert told["allowed"] is may(house, key, action, resource), (arn, action, resource, told)
            seen.add(told["allowed"])
    assert seen == {True, False}


def test_it_names_the_statement_that_decided_as_people_wrote_it(house: House) -> None:
    house.user("ann", allow("kms:ListKeys"), {"Sid": "NotThese", **deny("kms:ListAliases")}, allow("kms:*"))
    ann = user_arn(house, "ann")
    allowed = explained(house, ann, "kms:ListKeys")
    assert (allowed["policy"], allowed["statement"]) == ("only", "#1")
    denied = explained(house, ann, "kms:ListAliases")
    assert (denied["policy"], denied["statement"]) == ("only", "NotThese")
    assert json.loads(denied["text"])["Effect"] == "Deny"
    assert denied["reason"] == "with an explicit deny in an identity-based policy"
    nothing = explained(house, ann, "secretsmanager:ListSecrets")
    assert nothing["reason"] == "because no identity-based policy allows the secretsmanager:ListSecrets action"
    assert nothing["statement"] == ""
    opened = {**allow("kms:*"), "Principal": {"AWS": [ann, f"arn:aws:iam::{house.account}:root"]}}
    key = house.client("kms").create_key(Policy=document(opened))["KeyMetadata"]["Arn"]
    by_key = explained(house, ann, "kms:Encrypt", key)
    assert by_key["policy"] == "key policy"
    assert json.loads(by_key["text"])["Principal"]["AWS"][0] == ann


def test_it_says_which_circumstances_nobody_told_it(house: House) -> None:
    current = {
        "StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
    }
    house.user("ann", allow("secretsmanager:GetSecretValue", Condition=current))
    arn = house.client("secretsmanager").create_secret(Name="db", SecretString="x")["ARN"]
    ann = user_arn(house, "ann")
    told = explained(house, ann, "secretsmanager:GetSecretValue", arn)
    assert told["allowed"] is False
    assert told["missing"] == ["aws:SourceIp", "secretsmanager:VersionStage"]
    given = {"secretsmanager__VersionStage": "AWSCURRENT", "aws__SourceIp": "10.1.2.3"}
    told = explained(house, ann, "secretsmanager:GetSecretValue", arn, **given)
    assert told["allowed"] is True
    assert told["missing"] == []


def test_a_boundary_has_its_say(house: House) -> None:
    iam = house.client("iam")
    house.user("ann", allow("kms:*"))
    limit = iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("kms:ListKeys")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="ann", PermissionsBoundary=limit)
    told = explained(house, user_arn(house, "ann"), "kms:ListAliases")
    assert (told["allowed"], told["boundary"]) == (False, limit)
    assert told["reason"] == "because no permissions boundary allows the kms:ListAliases action"
    assert explained(house, user_arn(house, "ann"), "kms:ListKeys")["allowed"] is True


def test_people_read_it_in_plain_words(house: House) -> None:
    house.user("ann", allow("kms:ListKeys"))
    asked = ["iam", "explain", "--data", str(house.settings.data), "--principal", user_arn(house, "ann"), "--action"]
    allowed = CliRunner().invoke(group, [*asked, "kms:ListKeys"])
    assert allowed.exit_code == 0
    assert allowed.output.startswith("ALLOWED  kms:ListKeys\n")
    assert 'statement #1 of only\n                   {"Effect": "Allow"' in allowed.output
    denied = CliRunner().invoke(group, [*asked, "kms:CreateKey"])
    assert denied.exit_code == 1
    assert denied.output.startswith("DENIED  kms:CreateKey\n")


@pytest.mark.parametrize("wrong", [
    ["--principal", "arn:aws:iam::111122223333:user/nobody", "--action", "kms:ListKeys"],
    ["--principal", "nobody", "--action", "kms:ListKeys"],
    ["--principal", "arn:aws:iam::111122223333:root", "--action", "kms:ListKeys"],
    ["--principal", "arn:aws:sts::111122223333:assumed-role/x/y", "--action", "kms:ListKeys"],
    ["--principal", "nobody", "--action", "ListKeys"],
    ["--principal", "nobody", "--action", "kms:ListKeys", "--context", "nothing"],
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_a_sentence(house: House, wrong: list[str]) -> None:
    done = CliRunner().invoke(group, ["iam", "explain", "--data", str(house.settings.data), *wrong])
    assert done.exit_code == 2
    assert "Error: " in done.output
