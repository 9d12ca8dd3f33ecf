"""Two accounts of one server see nothing of each other, but for what a resource's policy opens, and then exactly that."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House, Key
from tests.promises.tricks import (
    OTHER_ACCOUNT,
    UNKNOWN,
    allow,
    delete_user,
    deny,
    document,
    make_role,
    other_account,
    refused,
    role_arn,
    session,
    trusts,
    user_arn,
)


@pytest.fixture
def other(house: House) -> House:
    return other_account(house)


def furnish(house: House) -> None:
    """A user, a group, a role, a policy, a profile and a provider, all called the same in every account."""
    iam = house.client("iam")
    house.user("ann", allow("*"))
    iam.create_group(GroupName="staff")
    make_role(house, "reader", trusts(user_arn(house, "ann")), allow("kms:ListKeys"))
    iam.create_policy(PolicyName="reading", PolicyDocument=document(allow("kms:ListKeys")))
    iam.create_instance_profile(InstanceProfileName="profile")


LISTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "users": ("Users", lambda iam: iam.list_users()),
    "groups": ("Groups", lambda iam: iam.list_groups()),
    "roles": ("Roles", lambda iam: iam.list_roles()),
    "policies": ("Policies", lambda iam: iam.list_policies(Scope="Local")),
    "profiles": ("InstanceProfiles", lambda iam: iam.list_instance_profiles()),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_shows_ones_own_account_only(house: House, other: House, kind: str) -> None:
    furnish(house)
    member, ask = LISTS[kind]
    assert ask(house.client("iam"))[member]
    shown = ask(other.client("iam"))[member]
    assert [one["Arn"] for one in shown if f"::{OTHER_ACCOUNT}:" not in one["Arn"]] == []
    assert len(shown) == (1 if kind == "users" else 0)


def test_names_are_looked_up_in_ones_own_account_only(house: House, other: House) -> None:
    furnish(house)
    iam = other.client("iam")
    for attempt in (
        lambda: iam.get_user(UserName="ann"),
        lambda: iam.get_group(GroupName="staff"),
        lambda: iam.get_role(RoleName="reader"),
        lambda: iam.get_policy(PolicyArn=f"arn:aws:iam::{house.account}:policy/reading"),
        lambda: iam.attach_user_policy(UserName="admin", PolicyArn=f"arn:aws:iam::{house.account}:policy/reading"),
        lambda: iam.create_access_key(UserName="ann"),
        lambda: iam.delete_role(RoleName="reader"),
    ):
        with refused("NoSuchEntity"):
            attempt()
    for attempt in (
        lambda: iam.create_policy_version(
            PolicyArn=f"arn:aws:iam::{house.account}:policy/reading", PolicyDocument=document(allow("*"))
        ),
        lambda: iam.delete_policy(PolicyArn=f"arn:aws:iam::{house.account}:policy/reading"),
        lambda: iam.set_default_policy_version(
            PolicyArn=f"arn:aws:iam::{house.account}:policy/reading", VersionId="v1"
        ),
    ):
        with refused():
            attempt()
    with refused("InvalidInput"):
        iam.simulate_principal_policy(PolicySourceArn=user_arn(house, "ann"), ActionNames=["kms:ListKeys"])
    house.client("iam").get_policy(PolicyArn=f"arn:aws:iam::{house.account}:policy/reading")


def test_what_is_told_of_anothers_key_id_is_its_account_and_no_more(house: House, other: House) -> None:
    with pytest.raises(ClientError) as foreign:
        other.client("iam").get_access_key_last_used(AccessKeyId=house.admin.identity)
    with pytest.raises(ClientError) as absent:
        other.client("iam").get_access_key_last_used(AccessKeyId=house.admin.identity[:-3] + "AAA")
    assert foreign.value.response["Error"]["Code"] == absent.value.response["Error"]["Code"]
    house.client("iam").get_access_key_last_used(AccessKeyId=house.admin.identity)


def test_the_marker_of_anothers_list_shows_nothing_of_it(house: House, other: House) -> None:
    for number in range(3):
        house.user(f"theirs-{number}")
        other.user(f"own-{number}")
    marker = house.client("iam").list_users(MaxItems=2)["Marker"]
    shown = other.client("iam").list_users(Marker=marker)["Users"]
    assert {user["Arn"].split(":")[4] for user in shown} <= {OTHER_ACCOUNT}
    own = other.client("iam").list_users(MaxItems=2)
    rest = other.client("iam").list_users(Marker=own["Marker"])["Users"]
    assert len(own["Users"]) + len(rest) == 4


# -- roles --------------------------------------------------------------------------------------------------------------


def test_a_role_of_another_account_needs_its_trust_and_ones_own_permission(house: House, other: House) -> None:
    closed = make_role(house, "closed", trusts(user_arn(house, "admin")), allow("kms:ListKeys"))
    opened = make_role(house, "opened", trusts(f"arn:aws:iam::{OTHER_ACCOUNT}:root"), allow("kms:ListKeys"))
    may, may_not = other.user("may", allow("sts:AssumeRole")), other.user("may-not")
    for who, role in [(may, closed), (may_not, opened), (other.admin, closed)]:
        with refused():
            session(other, who, role)
    held = session(other, may, opened)
    assert other.client("sts", held).get_caller_identity()["Account"] == house.account
    other.client("kms", held).list_keys()
    with refused():
        other.client("kms", held).create_key()


def test_naming_a_user_of_another_account_does_not_spare_him_his_own_accounts_consent(
    house: House, other: House
) -> None:
    ann = other.user("ann")
    role = make_role(house, "opened", trusts(user_arn(other, "ann")))
    with refused():
        session(other, ann, role)
    other.client("iam").put_user_policy(
        UserName="ann", PolicyName="p", PolicyDocument=document(allow("sts:AssumeRole", on=role))
    )
    session(other, ann, role)


def test_an_external_id_must_be_the_one_agreed_on(house: House, other: House) -> None:
    agreed = {"Condition": {"StringEquals": {"sts:ExternalId": "agreed"}}}
    role = make_role(house, "opened", trusts(f"arn:aws:iam::{OTHER_ACCOUNT}:root", "sts:AssumeRole", **agreed))
    for given in ({}, {"ExternalId": "AGREED"}, {"ExternalId": "agreed2"}):
        with refused():
            session(other, None, role, **given)
    session(other, None, role, ExternalId="agreed")


def test_a_role_that_is_missing_and_one_that_is_closed_are_refused_alike(house: House, other: House) -> None:
    closed = make_role(house, "closed", trusts(user_arn(house, "admin")))
    with refused() as shut:
        session(other, None, closed)
    with refused() as absent:
        session(other, None, role_arn(house, "absent"))
    assert str(shut[0]).replace("role/closed", "") == str(absent[0]).replace("role/absent", "")


def test_a_token_is_of_no_use_with_the_key_of_another_account(house: House, other: House) -> None:
    role = make_role(house, "reader", trusts(user_arn(house, "admin")), allow("kms:ListKeys"))
    theirs = make_role(other, "reader", trusts(user_arn(other, "admin")))
    strong, own = session(house, None, role), session(other, None, theirs)
    for mixed in (
        Key(own.identity, own.secret, strong.token),
        Key(strong.identity, own.secret, own.token),
        Key(other.admin.identity, other.admin.secret, strong.token),
    ):
        with refused(*UNKNOWN):
            house.client("kms", mixed).list_keys()
    house.client("kms", strong).list_keys()


# -- secrets ------------------------------------------------------------------------------------------------------------


def shared(house: House, *statements: dict[str, Any]) -> str:
    """A secret under a key of its own that the other account may decrypt with, with a policy. Answers its ARN."""
    root = {"AWS": f"arn:aws:iam::{house.account}:root"}
    through = {"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}
    key = house.client("kms").create_key(
        Policy=document(
            {**allow("kms:*"), "Principal": root},
            {**allow("kms:Decrypt", Condition=through), "Principal": {"AWS": OTHER_ACCOUNT}},
        )
    )["KeyMetadata"]["Arn"]
    made: str = house.client("secretsmanager").create_secret(Name="shared", SecretString="value", KmsKeyId=key)["ARN"]
    if statements:
        house.client("secretsmanager").put_resource_policy(SecretId=made, ResourcePolicy=document(*statements))
    return made


def test_a_secret_of_another_account_is_closed_by_name_and_by_arn(house: House, other: House) -> None:
    arn = shared(house)
    sm = other.client("secretsmanager")
    for attempt in (
        lambda: sm.get_secret_value(SecretId=arn),
        lambda: sm.describe_secret(SecretId=arn),
        lambda: sm.put_secret_value(SecretId=arn, SecretString="x"),
        lambda: sm.delete_secret(SecretId=arn),
        lambda: sm.put_resource_policy(SecretId=arn, ResourcePolicy=document()),
        lambda: sm.get_resource_policy(SecretId=arn),
    ):
        with refused():
            attempt()
    with refused("ResourceNotFoundException"):
        sm.get_secret_value(SecretId="shared")
    assert sm.list_secrets()["SecretList"] == []
    sm.create_secret(Name="shared", SecretString="own")
    assert sm.get_secret_value(SecretId="shared")["SecretString"] == "own"


def test_a_resource_policy_opens_exactly_what_it_says(house: House, other: House) -> None:
    root = {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}
    arn = shared(house, {**allow("secretsmanager:GetSecretValue"), "Principal": root})
    may = other.user("may", allow("secretsmanager:*", "kms:Decrypt"))
    no_kms, nobody = other.user("no-kms", allow("secretsmanager:*")), other.user("nobody", allow("kms:*"))
    assert other.client("secretsmanager", may).get_secret_value(SecretId=arn)["SecretString"] == "value"
    for who in (no_kms, nobody):
        with refused():
            other.client("secretsmanager", who).get_secret_value(SecretId=arn)
    for attempt in (
        lambda sm: sm.describe_secret(SecretId=arn),
        lambda sm: sm.put_secret_value(SecretId=arn, SecretString="x"),
        lambda sm: sm.delete_secret(SecretId=arn),
    ):
        with refused():
            attempt(other.client("secretsmanager", may))


def test_the_key_behind_a_shared_secret_is_open_through_secrets_manager_only(house: House, other: House) -> None:
    root = {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}
    arn = shared(house, {**allow("secretsmanager:GetSecretValue"), "Principal": root})
    key = house.client("secretsmanager").describe_secret(SecretId=arn)["KmsKeyId"]
    blob = house.client("kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    other.client("secretsmanager").get_secret_value(SecretId=arn)
    with refused():
        other.client("kms").decrypt(CiphertextBlob=blob, KeyId=key)


def test_a_deny_in_ones_own_account_stands_against_the_invitation_of_another(house: House, other: House) -> None:
    root = {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}
    arn = shared(house, {**allow("secretsmanager:GetSecretValue"), "Principal": root})
    ann = other.user("ann", allow("*"), deny("secretsmanager:GetSecretValue", on=f"arn:aws:*:*:{house.account}:*"))
    with refused():
        other.client("secretsmanager", ann).get_secret_value(SecretId=arn)


def test_secret_made_again_under_its_name_falls_under_no_old_permission(house: House) -> None:
    """A secret that is made again under its name has another ARN: what named the old one does not reach it."""
    sm = house.client("secretsmanager")
    old = sm.create_secret(Name="db", SecretString="old")["ARN"]
    ann = house.user("ann", allow("secretsmanager:GetSecretValue", on=old), allow("kms:*"))
    house.client("secretsmanager", ann).get_secret_value(SecretId="db")
    sm.put_resource_policy(
        SecretId="db",
        ResourcePolicy=document(
            {**allow("secretsmanager:DescribeSecret"), "Principal": {"AWS": user_arn(house, "ann")}}
        ),
    )
    house.client("secretsmanager", ann).describe_secret(SecretId="db")
    sm.delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    assert sm.create_secret(Name="db", SecretString="new")["ARN"] != old
    for attempt in (
        lambda: house.client("secretsmanager", ann).get_secret_value(SecretId="db"),
        lambda: house.client("secretsmanager", ann).get_secret_value(SecretId=old),
        lambda: house.client("secretsmanager", ann).describe_secret(SecretId="db"),
    ):
        with refused("AccessDeniedException", "ResourceNotFoundException"):
            attempt()


def test_a_user_made_again_is_not_the_one_whom_a_secrets_policy_names(house: House) -> None:
    sm = house.client("secretsmanager")
    sm.create_secret(Name="db", SecretString="value")
    ann = house.user("ann")
    opened = {**allow("secretsmanager:DescribeSecret"), "Principal": {"AWS": user_arn(house, "ann")}}
    sm.put_resource_policy(SecretId="db", ResourcePolicy=document(opened))
    house.client("secretsmanager", ann).describe_secret(SecretId="db")
    delete_user(house, "ann")
    with refused():
        house.client("secretsmanager", house.user("ann")).describe_secret(SecretId="db")


@pytest.mark.parametrize("name", ["db-AbCdEf", "db/", "DB", "db-secret", "x/db"])
def test_a_secret_named_like_part_of_anothers_arn_is_not_that_secret(house: House, name: str) -> None:
    sm = house.client("secretsmanager")
    sm.create_secret(Name="db", SecretString="value")
    theirs = sm.create_secret(Name=name, SecretString="theirs")["ARN"]
    pattern = f"arn:aws:secretsmanager:us-east-1:{house.account}:secret:db-??????"
    ann = house.user("ann", allow("secretsmanager:GetSecretValue", on=pattern), allow("kms:*"))
    own = house.client("secretsmanager", ann)
    assert own.get_secret_value(SecretId="db")["SecretString"] == "value"
    for asked in (name, theirs, theirs[:-7]):
        with refused("AccessDeniedException", "ResourceNotFoundException"):
            own.get_secret_value(SecretId=asked)
