"""A name is what it is to the letter: no case, no look-alike, no path and no suffix makes one thing pass for another."""

import re
from collections.abc import Callable

import pytest

from tests.house import House, Key
from tests.promises.tricks import allow, deny, document, make_role, refused, role_arn, session, trusts, user_arn

LOOK_ALIKES = ["Admin", "ADMIN"]
NO_NAMES = [
    "admin ", " admin", "аdmin", "admin\u200b", "../admin", "admin/..", "a/b", "admin\x00", "admin\n", "ａｄｍｉｎ", "*", "admin:root",
]  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_names_that_differ_in_case_only_are_one_name(house: House, name: str) -> None:
    iam = house.client("iam")
    with refused("EntityAlreadyExists"):
        iam.create_user(UserName=name)
    iam.create_user(UserName=f"{name}-two")
    eve = house.user("eve", allow("iam:*"), deny("iam:*", on=user_arn(house, "admin")))
    with refused():
        house.client("iam", eve).create_access_key(UserName=name)
    house.client("iam", eve).create_access_key(UserName=f"{name}-two")


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_that_only_look_like_a_name_are_no_names(house: House, name: str) -> None:
    iam = house.client("iam")
    for attempt in (
        lambda: iam.create_user(UserName=name),
        lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusts(user_arn(house, "admin"))),
        lambda: iam.get_user(UserName=name),
    ):
        with refused("ValidationError", "NoSuchEntity", "InvalidInput", "MalformedQueryString", "MalformedInput"):
            attempt()
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["admin"]


@pytest.mark.parametrize("path", ["x", "/x", "//", "/ /", "/a\nb/", "/é/"])
def test_what_is_no_path_is_refused(house: House, path: str) -> None:
    with refused("ValidationError"):
        house.client("iam").create_user(UserName="odd", Path=path)


@pytest.mark.parametrize("path", ["/../", "/./", "/a/../b/", "/%2e%2e/"])
def test_a_path_is_never_read_as_a_way(house: House, path: str) -> None:
    """A path is opaque: what is made under a strange one lies under it, and nothing that is allowed elsewhere reaches it."""
    iam = house.client("iam")
    iam.create_user(UserName="odd", Path=path)
    arn = f"arn:aws:iam::{house.account}:user{path}odd"
    assert iam.get_user(UserName="odd")["User"]["Arn"] == arn
    near = house.user("near", allow("iam:GetUser", on=user_arn(house, "odd")))
    with refused():
        house.client("iam", near).get_user(UserName="odd")
    house.client("iam", house.user("right", allow("iam:GetUser", on=arn))).get_user(UserName="odd")


@pytest.mark.parametrize("turn", [str.upper, lambda arn: arn + " ", lambda arn: arn.replace("role/", "role//"),
                                  lambda arn: arn.replace("role/", "role/../role/"), lambda arn: arn.replace("reader", "Reader")])  # fmt: skip
def test_the_arn_of_a_role_is_taken_to_the_letter(house: House, turn: Callable[[str], str]) -> None:
    ann = house.user("ann", allow("sts:AssumeRole"))
    arn = make_role(house, "reader", trusts(user_arn(house, "ann")))
    with refused("AccessDenied", "ValidationError"):
        session(house, ann, turn(arn))
    session(house, ann, arn)


def test_a_principal_that_is_a_pattern_is_no_principal(house: House) -> None:
    iam = house.client("iam")
    make_role(house, "reader", trusts(user_arn(house, "admin")))
    for principal in (
        f"arn:aws:iam::{house.account}:user/*",
        f"arn:aws:iam::{house.account}:user/ann*",
        f"arn:aws:iam::{house.account}:role/never-made",
        f"arn:aws:iam::{house.account}:group/staff",
        f"arn:aws:sts::{house.account}:assumed-role/admin-role/*",
        f"arn:aws:iam::{house.account}:user/ADMIN",
        f"arn:aws:sts::{house.account}:assumed-role/READER/worker",
        "arn:aws:iam::*:root",
        "000000000000",
    ):
        with refused("MalformedPolicyDocument"):
            iam.create_role(RoleName="open", AssumeRolePolicyDocument=trusts(principal))
    make_role(house, "open", trusts(f"arn:aws:sts::{house.account}:assumed-role/reader/worker"))


def test_a_role_named_like_the_end_of_anothers_arn_is_not_that_role(house: House) -> None:
    make_role(house, "reader", trusts(user_arn(house, "admin")), allow("kms:*"))
    for name in ("role-reader", "reader-2", "xreader"):
        make_role(house, name, trusts(user_arn(house, "admin")))
    eve = house.user("eve", allow("iam:GetRole", on=role_arn(house, "reader")))
    house.client("iam", eve).get_role(RoleName="reader")
    for name in ("role-reader", "reader-2", "xreader"):
        with refused():
            house.client("iam", eve).get_role(RoleName=name)


# -- what a denial tells ------------------------------------------------------------------------------------------------

ASKS: dict[str, Callable[[House, Key, str], object]] = {
    "a secret": lambda h, who, name: h.client("secretsmanager", who).get_secret_value(SecretId=name),
    "a secret's description": lambda h, who, name: h.client("secretsmanager", who).describe_secret(SecretId=name),
    "a secret to write": lambda h, who, name: h.client("secretsmanager", who).put_secret_value(
        SecretId=name, SecretString="x"
    ),
    "a new secret": lambda h, who, name: h.client("secretsmanager", who).create_secret(Name=name, SecretString="x"),
    "a user": lambda h, who, name: h.client("iam", who).get_user(UserName=name),
    "a role": lambda h, who, name: h.client("iam", who).get_role(RoleName=name),
    "a group": lambda h, who, name: h.client("iam", who).get_group(GroupName=name),
    "a policy": lambda h, who, name: h.client("iam", who).get_policy(
        PolicyArn=f"arn:aws:iam::{h.account}:policy/{name}"
    ),
    "a profile": lambda h, who, name: h.client("iam", who).get_instance_profile(InstanceProfileName=name),
    "a new user": lambda h, who, name: h.client("iam", who).create_user(UserName=name),
    "a role to assume": lambda h, who, name: session(h, who, role_arn(h, name)),
    "an alias": lambda h, who, name: h.client("kms", who).encrypt(KeyId=f"alias/{name}", Plaintext=b"x"),
    "a new alias": lambda h, who, name: h.client("kms", who).create_alias(
        AliasName=f"alias/{name}", TargetKeyId="1234abcd-12ab-34cd-56ef-1234567890ab"
    ),
}


@pytest.mark.parametrize("thing", ASKS)
def test_a_denial_does_not_tell_whether_the_thing_is_there(house: House, thing: str) -> None:
    iam, kms = house.client("iam"), house.client("kms")
    house.client("secretsmanager").create_secret(Name="there", SecretString="x")
    house.user("there")
    make_role(house, "there", trusts(user_arn(house, "admin")))
    iam.create_group(GroupName="there")
    iam.create_policy(PolicyName="there", PolicyDocument=document(allow("kms:ListKeys")))
    iam.create_instance_profile(InstanceProfileName="there")
    kms.create_alias(AliasName="alias/there", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    eve = house.user("eve", allow("kms:ListKeys"))
    with refused() as present:
        ASKS[thing](house, eve, "there")
    with refused() as absent:
        ASKS[thing](house, eve, "other")
    key_id = r"key/[0-9a-f-]{36}"
    said = [re.sub(key_id, "key/...", str(one[0])) for one in (present, absent)]
    assert said[0].replace("there", "...") == said[1].replace("other", "...")
