"""Nobody gets more out of KMS than its policies and grants say. Each attempt has a twin that is honest and succeeds."""

import json
from typing import Any

import pytest

from tests.house import House, Key
from tests.promises.tricks import (
    allow,
    delete_role,
    delete_user,
    document,
    make_role,
    other_account,
    refused,
    role_arn,
    session,
    trusts,
    user_arn,
)

INVALID_CIPHERTEXT = "InvalidCiphertextException"


def new_key(house: House, *statements: dict[str, Any]) -> str:
    """A key whose policy delegates to the account, and says `statements` besides. Answers its ARN."""
    own = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{house.account}:root"}}
    made = house.client("kms").create_key(Policy=document(own, *statements))
    return str(made["KeyMetadata"]["Arn"])


def sealed(house: House, key: str, **context: str) -> bytes:
    blob: bytes = house.client("kms").encrypt(KeyId=key, Plaintext=b"value", EncryptionContext=context)[
        "CiphertextBlob"
    ]
    return blob


def opens(house: House, who: Key, blob: bytes, **context: str) -> bool:
    plaintext: bytes = house.client("kms", who).decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]
    return plaintext == b"value"


# -- those who come back under an old name ------------------------------------------------------------------------------


def test_a_user_made_again_does_not_inherit_what_the_key_policy_gave_the_old_one(house: House) -> None:
    ann = house.user("ann")
    key = new_key(house, {**allow("kms:Decrypt"), "Principal": {"AWS": user_arn(house, "ann")}})
    blob = sealed(house, key)
    assert opens(house, ann, blob)
    delete_user(house, "ann")
    new_ann = house.user("ann")
    with refused():
        opens(house, new_ann, blob)


def test_a_role_made_again_does_not_inherit_what_the_key_policy_gave_the_old_one(house: House) -> None:
    ann = house.user("ann", allow("sts:AssumeRole"))
    trust = trusts(user_arn(house, "ann"))
    key_user = make_role(house, "reader", trust)
    key = new_key(house, {**allow("kms:Decrypt"), "Principal": {"AWS": key_user}})
    blob = sealed(house, key)
    assert opens(house, session(house, ann, key_user), blob)
    delete_role(house, "reader")
    make_role(house, "reader", trust)
    with refused():
        opens(house, session(house, ann, key_user), blob)


def test_a_deny_in_a_key_policy_stays_on_the_user_whom_it_meant_whatever_he_is_called(house: House) -> None:
    ann = house.user("ann", allow("kms:*"))
    against = {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*", "Principal": {"AWS": user_arn(house, "ann")}}
    blob = sealed(house, new_key(house, against))
    house.client("iam").update_user(UserName="ann", NewUserName="anna")
    with refused():
        opens(house, ann, blob)
    assert opens(house, house.user("ann", allow("kms:*")), blob)


def test_a_key_policy_is_read_back_as_written_until_its_user_is_gone(house: House) -> None:
    house.user("ann")
    ann = house.client("iam").get_user(UserName="ann")["User"]
    key = new_key(house, {**allow("kms:Decrypt"), "Principal": {"AWS": ann["Arn"]}})
    kms = house.client("kms")
    named = json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Statement"][1]["Principal"]["AWS"]
    assert named == ann["Arn"]
    delete_user(house, "ann")
    house.user("ann")
    left = kms.get_key_policy(KeyId=key)["Policy"]
    assert json.loads(left)["Statement"][1]["Principal"]["AWS"] == ann["UserId"]


def test_a_grant_does_not_pass_to_a_user_made_again(house: House) -> None:
    ann = house.user("ann")
    key = new_key(house)
    blob = sealed(house, key)
    kms = house.client("kms")
    kms.create_grant(KeyId=key, GranteePrincipal=user_arn(house, "ann"), Operations=["Decrypt"])
    assert opens(house, ann, blob)
    delete_user(house, "ann")
    new_ann = house.user("ann")
    with refused():
        opens(house, new_ann, blob)


def test_a_grant_does_not_pass_to_a_role_made_again(house: House) -> None:
    ann = house.user("ann", allow("sts:AssumeRole"))
    trust = trusts(user_arn(house, "ann"))
    reader = make_role(house, "reader", trust)
    key = new_key(house)
    blob = sealed(house, key)
    house.client("kms").create_grant(KeyId=key, GranteePrincipal=reader, Operations=["Decrypt"])
    assert opens(house, session(house, ann, reader), blob)
    delete_role(house, "reader")
    make_role(house, "reader", trust)
    with refused():
        opens(house, session(house, ann, reader), blob)


def test_the_right_to_retire_does_not_pass_to_a_user_made_again(house: House) -> None:
    house.user("grantee")
    ann = house.user("ann")
    key = new_key(house)
    kms = house.client("kms")
    made = [
        kms.create_grant(
            KeyId=key,
            GranteePrincipal=user_arn(house, "grantee"),
            RetiringPrincipal=user_arn(house, "ann"),
            Operations=["Decrypt"],
        )
        for _ in range(2)
    ]
    house.client("kms", ann).retire_grant(KeyId=key, GrantId=made[0]["GrantId"])
    delete_user(house, "ann")
    new_ann = house.user("ann")
    with refused():
        house.client("kms", new_ann).retire_grant(KeyId=key, GrantId=made[1]["GrantId"])
    assert kms.list_retirable_grants(RetiringPrincipal=user_arn(house, "ann"))["Grants"] == []


# -- grants -------------------------------------------------------------------------------------------------------------


def test_a_grant_shows_its_principals_as_they_were_named(house: House) -> None:
    house.user("ann")
    key, arn = new_key(house), user_arn(house, "ann")
    kms = house.client("kms")
    kms.create_grant(KeyId=key, GranteePrincipal=arn, RetiringPrincipal=arn, Operations=["Decrypt"])
    for found in (
        kms.list_grants(KeyId=key)["Grants"],
        kms.list_grants(KeyId=key, GranteePrincipal=arn)["Grants"],
        kms.list_retirable_grants(RetiringPrincipal=arn)["Grants"],
    ):
        assert [(grant["GranteePrincipal"], grant["RetiringPrincipal"]) for grant in found] == [(arn, arn)]


def test_the_token_of_anothers_grant_opens_nothing(house: House) -> None:
    ann, eve = house.user("ann"), house.user("eve")
    key = new_key(house)
    blob = sealed(house, key)
    token = house.client("kms").create_grant(
        KeyId=key, GranteePrincipal=user_arn(house, "ann"), Operations=["Decrypt"]
    )["GrantToken"]
    assert house.client("kms", ann).decrypt(CiphertextBlob=blob, GrantTokens=[token])["Plaintext"] == b"value"
    with refused():
        house.client("kms", eve).decrypt(CiphertextBlob=blob, GrantTokens=[token])


def test_the_token_of_anothers_grant_does_not_retire_it(house: House) -> None:
    house.user("ann")
    eve = house.user("eve", allow("kms:Decrypt"))
    key = new_key(house)
    made = house.client("kms").create_grant(
        KeyId=key, GranteePrincipal=user_arn(house, "ann"), Operations=["Decrypt", "RetireGrant"]
    )
    with refused():
        house.client("kms", eve).retire_grant(GrantToken=made["GrantToken"])
    assert len(house.client("kms").list_grants(KeyId=key)["Grants"]) == 1


def test_the_context_that_a_grant_demands_cannot_be_left_out_or_stretched(house: House) -> None:
    ann = house.user("ann")
    key = new_key(house)
    mine, twice, other, bare = (
        sealed(house, key, team="a"),
        sealed(house, key, team="a", env="prod"),
        sealed(house, key, team="b"),
        sealed(house, key),
    )
    house.client("kms").create_grant(
        KeyId=key,
        GranteePrincipal=user_arn(house, "ann"),
        Operations=["Decrypt"],
        Constraints={"EncryptionContextEquals": {"team": "a"}},
    )
    assert opens(house, ann, mine, team="a")
    for blob, context in [(twice, {"team": "a", "env": "prod"}), (other, {"team": "b"}), (bare, {})]:
        with refused():
            opens(house, ann, blob, **context)
    with refused(INVALID_CIPHERTEXT):
        opens(house, ann, other, team="a")


PARENT = {"EncryptionContextSubset": {"team": "a"}}
WIDER: dict[str, dict[str, Any]] = {
    "an operation that the parent lacks": {"Operations": ["Encrypt"], "Constraints": PARENT},
    "no constraint": {"Operations": ["Decrypt"]},
    "another constraint": {"Operations": ["Decrypt"], "Constraints": {"EncryptionContextSubset": {"team": "b"}}},
    "an equal that misses a pair": {
        "Operations": ["Decrypt"],
        "Constraints": {"EncryptionContextEquals": {"env": "x"}},
    },
}
NARROWER: dict[str, dict[str, Any]] = {
    "the same": {"Operations": ["Decrypt"], "Constraints": PARENT},
    "a larger subset": {"Operations": ["Decrypt"], "Constraints": {"EncryptionContextSubset": {"team": "a", "env": "x"}}},
    "an equal with the pair": {"Operations": ["Decrypt"], "Constraints": {"EncryptionContextEquals": {"team": "a"}}},
}  # fmt: skip


def grantor(house: House) -> tuple[str, Key]:
    """A key, and somebody whose only right on it is a grant with CreateGrant under a constraint."""
    ann = house.user("ann")
    house.user("bob")
    key = new_key(house)
    house.client("kms").create_grant(
        KeyId=key,
        GranteePrincipal=user_arn(house, "ann"),
        Operations=["Decrypt", "CreateGrant"],
        Constraints=PARENT,
    )
    return key, ann


@pytest.mark.parametrize("wish", WIDER)
def test_a_grant_made_from_a_grant_is_never_wider(house: House, wish: str) -> None:
    key, ann = grantor(house)
    with refused():
        house.client("kms", ann).create_grant(KeyId=key, GranteePrincipal=user_arn(house, "bob"), **WIDER[wish])


@pytest.mark.parametrize("wish", NARROWER)
def test_a_grant_made_from_a_grant_may_be_as_wide_or_narrower(house: House, wish: str) -> None:
    key, ann = grantor(house)
    house.client("kms", ann).create_grant(KeyId=key, GranteePrincipal=user_arn(house, "bob"), **NARROWER[wish])


def test_create_grant_bound_to_operations_gives_no_others(house: House) -> None:
    only = {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}
    ann = house.user("ann", allow("kms:CreateGrant", Condition=only))
    key = new_key(house)
    kms = house.client("kms", ann)
    kms.create_grant(KeyId=key, GranteePrincipal=user_arn(house, "ann"), Operations=["Decrypt"])
    with refused():
        kms.create_grant(KeyId=key, GranteePrincipal=user_arn(house, "ann"), Operations=["Decrypt", "Encrypt"])


# -- names of keys ------------------------------------------------------------------------------------------------------


def test_an_alias_that_is_turned_round_opens_nothing_new(house: House) -> None:
    """A ciphertext names its key: who may use another key, and may turn the alias, still may not open it."""
    mine, theirs = new_key(house), new_key(house)
    kms = house.client("kms")
    kms.create_alias(AliasName="alias/app", TargetKeyId=theirs)
    blob = sealed(house, "alias/app")
    alias = f"arn:aws:kms:us-east-1:{house.account}:alias/*"
    ann = house.user("ann", allow("kms:Decrypt", "kms:UpdateAlias", on=mine), allow("kms:UpdateAlias", on=alias))
    with refused():
        house.client("kms", ann).update_alias(AliasName="alias/app", TargetKeyId=mine)
    kms.update_alias(AliasName="alias/app", TargetKeyId=mine)
    with refused():
        house.client("kms", ann).decrypt(CiphertextBlob=blob)
    with refused("IncorrectKeyException"):
        house.client("kms", ann).decrypt(CiphertextBlob=blob, KeyId="alias/app")
    own = sealed(house, "alias/app")
    assert house.client("kms", ann).decrypt(CiphertextBlob=own, KeyId="alias/app")["Plaintext"] == b"value"


def test_an_alias_of_an_allowed_name_does_not_make_another_key_allowed(house: House) -> None:
    by_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/mine"}}
    ann = house.user("ann", allow("kms:Decrypt", Condition=by_alias), allow("kms:CreateAlias", "kms:UpdateAlias", on=f"arn:aws:kms:us-east-1:{house.account}:alias/*"))  # fmt: skip
    kms = house.client("kms")
    mine, theirs = new_key(house), new_key(house)
    kms.create_alias(AliasName="alias/mine", TargetKeyId=mine)
    assert opens(house, ann, sealed(house, mine))
    for attempt in (
        lambda: house.client("kms", ann).update_alias(AliasName="alias/mine", TargetKeyId=theirs),
        lambda: house.client("kms", ann).create_alias(AliasName="alias/more", TargetKeyId=theirs),
    ):
        with refused():
            attempt()
    with refused():
        opens(house, ann, sealed(house, theirs))


# -- two accounts -------------------------------------------------------------------------------------------------------


def test_a_key_of_another_account_is_closed_by_every_name_it_has(house: House) -> None:
    other = other_account(house)
    key = new_key(house)
    house.client("kms").create_alias(AliasName="alias/app", TargetKeyId=key)
    blob = sealed(house, key)
    kms = other.client("kms")
    alias = f"arn:aws:kms:us-east-1:{house.account}:alias/app"
    for name in (key, alias):
        with refused():
            kms.describe_key(KeyId=name)
        with refused():
            kms.encrypt(KeyId=name, Plaintext=b"x")
        with refused():
            kms.decrypt(CiphertextBlob=blob, KeyId=name)
    for name in (key.rpartition("/")[2], "alias/app"):
        with refused("NotFoundException"):
            kms.describe_key(KeyId=name)
    with refused():
        kms.decrypt(CiphertextBlob=blob)
    for attempt in (
        lambda: kms.create_alias(AliasName="alias/theirs", TargetKeyId=key),
        lambda: kms.create_grant(KeyId=key, GranteePrincipal=user_arn(other, "admin"), Operations=["Decrypt"]),
        lambda: kms.put_key_policy(KeyId=key, Policy=document()),
        lambda: kms.schedule_key_deletion(KeyId=key),
        lambda: kms.list_grants(KeyId=key),
        lambda: kms.get_key_policy(KeyId=key),
    ):
        with refused():
            attempt()
    assert kms.list_keys()["Keys"] == []
    assert [a for a in kms.list_aliases()["Aliases"] if a.get("TargetKeyId")] == []


def test_a_key_that_is_missing_and_one_that_is_foreign_are_refused_alike(house: House) -> None:
    other = other_account(house)
    key = new_key(house)
    missing = key[:-12] + "000000000000"
    with refused() as foreign:
        other.client("kms").describe_key(KeyId=key)
    with refused() as absent:
        other.client("kms").describe_key(KeyId=missing)
    assert str(foreign[0]).replace(key, "") == str(absent[0]).replace(missing, "")


def test_a_key_policy_opens_to_another_account_exactly_what_it_says(house: House) -> None:
    other = other_account(house)
    theirs = {"AWS": f"arn:aws:iam::{other.account}:root"}
    key = new_key(house, {**allow("kms:Decrypt"), "Principal": theirs})
    blob = sealed(house, key)
    allowed, nobody = other.user("ann", allow("kms:*", on=key)), other.user("bob")
    assert opens(other, allowed, blob)
    assert opens(other, other.admin, blob)
    with refused():
        opens(other, nobody, blob)
    with refused():
        other.client("kms", allowed).encrypt(KeyId=key, Plaintext=b"x")
    with refused():
        other.client("kms", allowed).get_key_policy(KeyId=key)


def test_retirable_grants_are_listed_for_principals_of_ones_own_account_only(house: House) -> None:
    other = other_account(house)
    house.user("ann")
    key = new_key(house)
    house.client("kms").create_grant(
        KeyId=key,
        GranteePrincipal=user_arn(house, "ann"),
        RetiringPrincipal=user_arn(house, "ann"),
        Operations=["Decrypt"],
    )
    assert len(house.client("kms").list_retirable_grants(RetiringPrincipal=user_arn(house, "ann"))["Grants"]) == 1
    with refused():
        other.client("kms").list_retirable_grants(RetiringPrincipal=user_arn(house, "ann"))
    bob = house.user("bob", allow("kms:ListRetirableGrants", on=user_arn(house, "bob")))
    assert house.client("kms", bob).list_retirable_grants(RetiringPrincipal=user_arn(house, "bob"))["Grants"] == []
    with refused():
        house.client("kms", bob).list_retirable_grants(RetiringPrincipal=user_arn(house, "ann"))


def test_the_marker_of_another_accounts_list_shows_nothing_of_it(house: House) -> None:
    other = other_account(house)
    for _ in range(3):
        new_key(house)
    own = new_key(other)
    marker = house.client("kms").list_keys(Limit=1)["NextMarker"]
    shown = other.client("kms").list_keys(Marker=marker)["Keys"]
    assert {key["KeyArn"] for key in shown} <= {own}


def test_a_principal_that_is_a_pattern_is_no_principal(house: House) -> None:
    for principal in (
        f"arn:aws:iam::{house.account}:user/*",
        f"arn:aws:iam::{house.account}:role/app-*",
        f"arn:aws:iam::{house.account}:*",
        "arn:aws:iam::*:root",
        "AIDA*",
        role_arn(house, "never-made"),
    ):
        with refused("MalformedPolicyDocumentException"):
            new_key(house, {**allow("kms:Decrypt"), "Principal": {"AWS": principal}})
    new_key(house, {**allow("kms:Decrypt"), "Principal": {"AWS": user_arn(house, "admin")}})


# -- sessions of a role that was made again -----------------------------------------------------------------------------


@pytest.mark.parametrize("means", ["key policy", "grant", "secret's policy", "trust policy"])
def test_what_was_given_to_a_session_does_not_pass_to_one_of_a_role_made_again(house: House, means: str) -> None:
    ann = house.user("ann", allow("sts:AssumeRole"))
    trust = trusts(user_arn(house, "ann"))
    role = make_role(house, "reader", trust)
    named = {"AWS": f"arn:aws:sts::{house.account}:assumed-role/reader/worker"}
    key = new_key(house, *([{**allow("kms:Decrypt"), "Principal": named}] if means == "key policy" else []))
    blob = sealed(house, key)
    house.client("secretsmanager").create_secret(Name="db", SecretString="value")
    if means == "grant":
        house.client("kms").create_grant(KeyId=key, GranteePrincipal=named["AWS"], Operations=["Decrypt"])
    if means == "secret's policy":
        opened = document({**allow("secretsmanager:DescribeSecret"), "Principal": named})
        house.client("secretsmanager").put_resource_policy(SecretId="db", ResourcePolicy=opened)
        shown = house.client("secretsmanager").get_resource_policy(SecretId="db")["ResourcePolicy"]
        assert json.loads(shown)["Statement"][0]["Principal"] == named
    strong = make_role(house, "strong", trusts(named["AWS"] if means == "trust policy" else user_arn(house, "admin")))
    uses = {
        "key policy": lambda who: opens(house, who, blob),
        "grant": lambda who: opens(house, who, blob),
        "secret's policy": lambda who: house.client("secretsmanager", who).describe_secret(SecretId="db"),
        "trust policy": lambda who: session(house, who, strong),
    }
    uses[means](session(house, ann, role))
    with refused():
        uses[means](session(house, ann, role, RoleSessionName="other"))
    delete_role(house, "reader")
    make_role(house, "reader", trust, allow("sts:GetCallerIdentity"))
    with refused():
        uses[means](session(house, ann, role))
