"""Who may: the permissions that each operation asks for, their condition keys, and what a denial says."""

import json
from typing import Any

import pytest

from geumgo.services.secretsmanager import ROOM
from tests.house import House
from tests.services.secretsmanager.asking import EVERYTHING, NO_SECRET, refused, token


def allow(action: str, resource: str = "*", **condition: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": f"secretsmanager:{action}", "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def denial(house: House, user: str, action: str, shown: str | None, tail: str = "") -> str:
    where = f" on resource: {shown}" if shown is not None else ""
    tail = tail or f"because no identity-based policy allows the secretsmanager:{action} action"
    return f"User: arn:aws:iam::{house.account}:user/{user} is not authorized to perform: secretsmanager:{action}{where} {tail}"


def test_a_denial_does_not_tell_whether_the_secret_exists(house: House, sm: Any) -> None:
    arn = sm.create_secret(Name="there", SecretString="x")["ARN"]
    ann = house.client("secretsmanager", house.user("ann"))
    for secret_id in ("there", "nowhere", arn, arn[:-7], arn[:-6] + "zzzzzz"):
        for operation, more in (
            ("GetSecretValue", {}),
            ("DescribeSecret", {}),
            ("DeleteSecret", {"ForceDeleteWithoutRecovery": True}),
        ):
            with refused("AccessDeniedException", denial(house, "ann", operation, secret_id)):
                ann._make_api_call(operation, {"SecretId": secret_id, **more})
    for name in ("there", "nowhere"):
        with refused("AccessDeniedException", denial(house, "ann", "CreateSecret", name)):
            ann.create_secret(Name=name)
    with refused("AccessDeniedException", denial(house, "ann", "ListSecrets", None)):
        ann.list_secrets()


def test_only_who_may_read_the_name_learns_that_nothing_has_it(house: House) -> None:
    ann = house.client("secretsmanager", house.user("ann", allow("*", "arn:aws:secretsmanager:*:*:secret:mine-??????")))
    with refused("ResourceNotFoundException", NO_SECRET):
        ann.get_secret_value(SecretId="mine")
    with refused("AccessDeniedException"):
        ann.get_secret_value(SecretId="yours")


def test_a_policy_on_the_old_arn_does_not_reach_the_new_secret(house: House, sm: Any) -> None:
    arn = sm.create_secret(Name="s", SecretString="x")["ARN"]
    ann = house.client("secretsmanager", house.user("ann", allow("*", arn)))
    assert ann.get_secret_value(SecretId="s")["SecretString"] == "x"
    sm.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    sm.create_secret(Name="s", SecretString="y")
    with refused("AccessDeniedException"):
        ann.get_secret_value(SecretId="s")


ARN = "arn:aws:secretsmanager:us-east-1:*:secret:s-??????"
KEYS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("GetSecretValue", {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, {"VersionStage": "AWSCURRENT"}, {}),
    ("GetSecretValue", {"StringEquals": {"secretsmanager:VersionId": token(0)}}, {"VersionId": token(0)}, {}),
    ("UpdateSecretVersionStage", {"StringEquals": {"secretsmanager:VersionStage": "x"}}, {"VersionStage": "x", "MoveToVersionId": token(0)}, {"VersionStage": "y", "MoveToVersionId": token(0)}),
    ("UpdateSecret", {"StringEquals": {"secretsmanager:Description": "x"}}, {"Description": "x"}, {"Description": "y"}),
    ("UpdateSecret", {"StringEquals": {"secretsmanager:KmsKeyId": "alias/aws/secretsmanager"}}, {"KmsKeyId": "alias/aws/secretsmanager"}, {"KmsKeyId": "other"}),
    ("UpdateSecret", {"ArnLike": {"secretsmanager:KmsKeyArn": "arn:aws:kms:us-east-1:*:key/*"}}, {"KmsKeyId": "alias/aws/secretsmanager"}, {"KmsKeyId": "alias/nothing"}),
    ("DeleteSecret", {"NumericGreaterThanEquals": {"secretsmanager:RecoveryWindowInDays": "10"}}, {"RecoveryWindowInDays": 10}, {"RecoveryWindowInDays": 9}),
    ("DeleteSecret", {"Bool": {"secretsmanager:ForceDeleteWithoutRecovery": "false"}}, {"ForceDeleteWithoutRecovery": False}, {"ForceDeleteWithoutRecovery": True}),
    ("PutResourcePolicy", {"Bool": {"secretsmanager:BlockPublicPolicy": "true"}}, {"BlockPublicPolicy": True, "ResourcePolicy": "{}"}, {"ResourcePolicy": "{}"}),
    ("TagResource", {"StringEquals": {"aws:RequestTag/team": "a"}}, {"Tags": [{"Key": "team", "Value": "a"}]}, {"Tags": [{"Key": "team", "Value": "b"}]}),
    ("TagResource", {"ForAllValues:StringEquals": {"aws:TagKeys": "team"}}, {"Tags": [{"Key": "team", "Value": "a"}]}, {"Tags": [{"Key": "cost", "Value": "a"}]}),
    ("UntagResource", {"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}}, {"TagKeys": ["team"]}, {"TagKeys": ["cost"]}),
    ("DescribeSecret", {"StringEquals": {"aws:ResourceTag/env": "test"}}, {}, {"SecretId": "t"}),
    ("DescribeSecret", {"StringEquals": {"secretsmanager:ResourceTag/env": "test"}}, {}, {"SecretId": "t"}),
    ("DescribeSecret", {"ArnLike": {"secretsmanager:SecretId": ARN}}, {}, {"SecretId": "t"}),
    ("DescribeSecret", {"StringEquals": {"secretsmanager:SecretPrimaryRegion": "us-east-1"}}, {}, {"SecretId": "nowhere"}),
    ("CreateSecret", {"StringLike": {"secretsmanager:Name": "new/*"}}, {"Name": "new/x"}, {"Name": "old/x"}),
    ("CreateSecret", {"StringEquals": {"aws:RequestTag/team": "a"}}, {"Name": "n", "Tags": [{"Key": "team", "Value": "a"}]}, {"Name": "n"}),
    ("CreateSecret", {"StringEquals": {"aws:ResourceTag/team": "a"}}, {"Name": "n", "Tags": [{"Key": "team", "Value": "a"}]}, {"Name": "n"}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "condition", "good", "bad"), KEYS)
def test_a_condition_decides(
    house: House, sm: Any, operation: str, condition: dict[str, Any], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    sm.create_secret(Name="s", SecretString="x", Tags=[{"Key": "env", "Value": "test"}], ClientRequestToken=token(0))
    sm.create_secret(Name="t", SecretString="x", ClientRequestToken=token(0))
    statements = [allow(operation, **condition), {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]
    if operation == "CreateSecret":
        statements.append(allow("TagResource"))
    ann = house.client("secretsmanager", house.user("ann", *statements))
    base = {} if operation == "CreateSecret" else {"SecretId": "s"}
    with refused("AccessDeniedException"):
        ann._make_api_call(operation, {**base, **bad})
    if "ResourcePolicy" in good:
        with refused("MalformedPolicyDocumentException"):
            ann._make_api_call(operation, {**base, **good})
    else:
        ann._make_api_call(operation, {**base, **good})


def test_tags_at_creation_need_their_own_permission(house: House) -> None:
    ann = house.client("secretsmanager", house.user("ann", allow("CreateSecret")))
    with refused("AccessDeniedException", denial(house, "ann", "TagResource", "s")):
        ann.create_secret(Name="s", Tags=[{"Key": "a", "Value": "b"}])
    ann.create_secret(Name="s")


def test_replicas_at_creation_need_their_own_permission(house: House) -> None:
    ann = house.client("secretsmanager", house.user("ann", allow("CreateSecret")))
    with refused("AccessDeniedException", denial(house, "ann", "ReplicateSecretToRegions", "s")):
        ann.create_secret(Name="s", AddReplicaRegions=[{"Region": "eu-west-1"}])


def test_nobody_tags_himself_out_of_his_rights(house: House, sm: Any) -> None:
    sm.create_secret(Name="s", SecretString="x", Tags=[{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}])
    ann = house.client("secretsmanager", house.user("ann", allow("*", StringEquals={"aws:ResourceTag/team": "a"})))
    with refused("AccessDeniedException"):
        ann.tag_resource(SecretId="s", Tags=[{"Key": "team", "Value": "b"}])
    with refused("AccessDeniedException"):
        ann.untag_resource(SecretId="s", TagKeys=["team", "cost"])
    ann.untag_resource(SecretId="s", TagKeys=["cost"])
    ann.tag_resource(SecretId="s", Tags=[{"Key": "cost", "Value": "2"}])
    assert sm.describe_secret(SecretId="s")["Tags"] == [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "2"}]


def test_a_resource_policy_alone_lets_a_user_of_the_account_in_and_keeps_everybody_out(house: House, sm: Any) -> None:
    sm.create_secret(Name="s", SecretString="x")
    ann = house.client("secretsmanager", house.user("ann"))
    eve = house.client("secretsmanager", house.user("eve", EVERYTHING))
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{house.account}:user/ann"}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{house.account}:user/eve"}, "Action": "secretsmanager:*", "Resource": "*"},
    ]  # fmt: skip
    sm.put_resource_policy(SecretId="s", ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    assert ann.get_secret_value(SecretId="s")["SecretString"] == "x"
    with refused("AccessDeniedException"):
        ann.describe_secret(SecretId="s")
    with refused(
        "AccessDeniedException",
        denial(house, "eve", "GetSecretValue", "s", "with an explicit deny in a resource-based policy"),
    ):
        eve.get_secret_value(SecretId="s")


def test_no_declaration_lets_a_value_or_a_rotation_token_into_the_trail() -> None:
    sensitive = {"SecretString", "SecretBinary", "RotationToken", "RandomPassword", "SecretValues", "Plaintext"}
    for operation in ROOM.operations.values():
        assert not sensitive & {*operation.access.recorded, *operation.access.answered}, operation.name
